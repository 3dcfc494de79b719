"""What a diagnosis leaves in its folder: summary, tables, figures, and one page that needs no network."""

import functools
from dataclasses import fields
from pathlib import Path

from fieldsolve.diagnose.diagnosis import Comparison, Diagnosis
from fieldsolve.diagnose.metrics.metric import Metric, plain
from fieldsolve.diagnose.pictures import figures
from fieldsolve.diagnose.sections import report
from fieldsolve.diagnose.tables import PAPER, latex, table
from fieldsolve.output.pictures import folder_pictures
from fieldsolve.output.tables import csv_text, in_markdown, markdown

_COLUMNS = tuple(field.name for field in fields(Metric))


def files(diagnosis: Diagnosis) -> dict[str, bytes]:
    """Every file of a diagnosis by name besides its summary: metrics.csv, table.md, table.tex, report.html and figures."""
    found: dict[str, bytes] = {}
    pictures: list[dict[str, bytes]] = []
    for index, comparison in enumerate(diagnosis.comparisons, start=1):
        prefix = "" if len(diagnosis.comparisons) == 1 else f"{index}_"
        pictures.append(folder_pictures(functools.partial(figures, comparison), 100))
        found |= {prefix + name: picture for name, picture in pictures[-1].items()}
    found["metrics.csv"] = _csv(diagnosis).encode()
    found["table.md"] = "\n".join(_markdown(one) for one in diagnosis.comparisons).encode()
    found["table.tex"] = "\n".join(latex(table(plain(one.measurement.metrics), PAPER)) for one in diagnosis.comparisons).encode()
    named = [{Path(name).stem: image for name, image in images.items() if name.endswith(".png")} for images in pictures]
    found["report.html"] = report(diagnosis, named).encode()
    return found


def _csv(diagnosis: Diagnosis) -> str:
    rows = []
    for one in diagnosis.comparisons:
        tables = [(0.0, one.measurement), *((corruption.probability, corruption.measurement) for corruption in one.corruptions)]
        for chance, measurement in tables:
            for name, metric in measurement.metrics.items():
                cells = [None if (value := getattr(metric, column)) is None else float(value) for column in _COLUMNS]
                rows.append([one.sample.first.name, one.sample.second.name, chance, name, *cells])
    return csv_text(["first", "second", "corrupted", "metric", *_COLUMNS], rows)


def _markdown(comparison: Comparison) -> str:
    rows = table(plain(comparison.measurement.metrics), PAPER)
    first, second = in_markdown(comparison.sample.first.name), in_markdown(comparison.sample.second.name)
    return f"{first} (a) and {second} (b), {comparison.sample.pairs} pairs\n\n{markdown(rows[0], rows[1:])}"
