"""What a comparison leaves in its folder besides the ledger: tables for programs, papers and pages, and pictures."""

from typing import Any

from fieldsolve.diagnose.many.pictures import figures
from fieldsolve.diagnose.many.series import Entry, Series
from fieldsolve.diagnose.many.tables import rows_of
from fieldsolve.diagnose.tables import latex
from fieldsolve.output import page
from fieldsolve.output.pictures import folder_pictures
from fieldsolve.output.tables import csv_text, markdown

_CAPTIONS = {
    "metrics": "Main metrics of all runs with 95 % intervals.",
    "gap_and_retrieval": "Centroid gap against recall at 1, the mean of both directions.",
    "steps": "Over the steps of training.",
}

_COLUMNS = ("value", "ci_low", "ci_high")
_OF_DIFFERENCE = ("value", "ci_low", "ci_high", "p_value")


def files(series: Series) -> dict[str, bytes]:
    """table.csv (every metric of every run), table.md, table.tex, table.html and pictures, by name."""
    pictures = folder_pictures(lambda: figures(series), 110)
    rows = rows_of(series.summary())
    parts = ["<h1>Runs compared</h1>", *(f"<p>{page.escape(one)}</p>" for one in series.report), page.table(rows)]
    parts += [
        page.picture(name, image, _CAPTIONS[name.rsplit(".", 1)[0]]) for name, image in pictures.items() if name.endswith(".png")
    ]
    notes = "".join(f"<li>{page.escape(one)}</li>" for one in series.notes)
    parts.append(f"<p class=about>Differences are to {page.escape(series.against)}.</p><ul class=about>{notes}</ul>")
    return {
        "table.csv": _csv(series).encode(),
        "table.md": markdown(rows[0], rows[1:]).encode(),
        "table.tex": latex(rows).encode(),
        "table.html": page.page("Runs compared", parts).encode(),
        **pictures,
    }


def _csv(series: Series) -> str:
    differences = [f"difference_{name}" for name in _OF_DIFFERENCE]
    header = ["run", "first", "second", "step", "pairs", "metric", *_COLUMNS, *differences, "paired"]
    return csv_text(header, [row for one in series.entries for row in _rows(series, one)])


def _rows(series: Series, entry: Entry) -> list[list[Any]]:
    rows = []
    for name, metric in entry.metrics.items():
        found = series.difference(entry, name)
        values = [None if metric[column] is None else float(metric[column]) for column in _COLUMNS]
        differences = [None if found is None else getattr(found, column) for column in _OF_DIFFERENCE]
        paired = None if found is None else found.p_value is not None
        about = [entry.run, entry.values["first"], entry.values["second"], entry.step, entry.values["pairs"]]
        rows.append([*about, name, *values, *differences, paired])
    return rows
