"""What a reproduction leaves in its folder besides the ledger: tables, report and figures."""

from pathlib import Path
from typing import Any

from fieldsolve.numerics.names import printable
from fieldsolve.output.folders import write_beside
from fieldsolve.output.pictures import folder_pictures
from fieldsolve.output.tables import csv_text, markdown, rows_of, short
from fieldsolve.reproduce.captions.pictures import figures as captions_figures
from fieldsolve.reproduce.gap.pictures import figures as gap_figures
from fieldsolve.reproduce.gibbs.pictures import figures as gibbs_figures
from fieldsolve.reproduce.gradient.pictures import figures as gradient_figures
from fieldsolve.reproduce.plan import Plan
from fieldsolve.reproduce.study import Columns, Study, with_noun

_FIGURES: dict[str, Any] = {
    "gradient": gradient_figures,
    "gibbs": gibbs_figures,
    "gap": gap_figures,
    "captions": captions_figures,
}
_TITLES = {
    "gradient": "Large-batch gradient consistency (D.1)",
    "gibbs": "Gibbs equilibrium and concentration (D.2)",
    "gap": "Gap under controlled misalignment (D.3)",
    "captions": "Captions replaced within their category (MS-COCO)",
}


def summary(plan: Plan, study: Study) -> dict[str, Any]:
    """All figures of a study, as JSON."""
    return {
        "schema": "fieldsolve/reproduce/1",
        "experiment": plan.experiment,
        "seeds": plan.seeds,
        "quick": plan.quick,
        "report": study.report,
        "columns": list(study.table),
        **study.table,
    }


def write(plan: Plan, study: Study, folder: Path) -> None:
    """Write table.csv, table.md, runs.csv, report.md, the figures, and last summary.json, each whole or not at all."""
    pictures = folder_pictures(lambda: _FIGURES[plan.experiment](study), 110)
    sentences = "\n".join(f"- {sentence}" for sentence in study.report)
    links = "\n\n".join(f"![{Path(name).stem}]({name})" for name in pictures if name.endswith(".png"))
    quick = " in the quick version" if plan.quick else ""
    title = f"# {_TITLES[plan.experiment]}\n\nWith {with_noun(plan.seeds, 'seed')}{quick}: `{command(plan, folder.name)}`."
    files = {
        "table.csv": _csv(study.table).encode(),
        "table.md": _markdown(study.table).encode(),
        "runs.csv": _csv(study.runs).encode(),
        "report.md": f"{title}\n\n{sentences}\n\n{_markdown(study.table)}\n{links}\n".encode(),
        **pictures,
    }
    write_beside(folder, summary(plan, study), files)


def command(plan: Plan, folder: str) -> str:
    """What computes a plan."""
    given = plan.inputs or {"files": [], "groups": None}
    files = "".join(f" {printable(Path(one).name)}" for one in given["files"])
    of = "" if plan.inputs is None else f" --tau {plan.inputs['tau']:g}"
    of += "" if given["groups"] is None else f" --groups {printable(Path(given['groups']).name)}"
    return f"fieldsolve reproduce {plan.experiment}{files}{of}{' --quick' if plan.quick else ''} --seeds {plan.seeds} -o {folder}"


def _csv(columns: Columns) -> str:
    return csv_text(list(columns), rows_of(columns))


def _markdown(columns: Columns) -> str:
    """Rows are those of the table; where it is wider than long, they are its columns."""
    cells = [[name, *(short(value) for value in values)] for name, values in columns.items()]
    rows = cells if len(columns) > len(cells[0]) else [list(row) for row in zip(*cells, strict=True)]
    return markdown(rows[0], rows[1:])
