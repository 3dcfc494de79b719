"""What a diagnosis leaves in its folder: summary, tables, figures, and one page that needs no network."""

import functools
from dataclasses import asdict, fields
from html import escape
from pathlib import Path

from fieldsolve.diagnose import page
from fieldsolve.diagnose.diagnosis import Comparison, Diagnosis
from fieldsolve.diagnose.metrics import table as metrics_table
from fieldsolve.diagnose.metrics.metric import Family, Metric, plain
from fieldsolve.diagnose.pictures import figures
from fieldsolve.diagnose.tables import HEADINGS, PAPER, cells, latex, table, tests_sentence
from fieldsolve.output.pictures import render_all
from fieldsolve.output.tables import csv_text, in_markdown, markdown

_COLUMNS = tuple(field.name for field in fields(Metric))

_PICTURES = {
    "cosines": "The level of partners' cosines says little: what counts is how far they stand out from those of strangers.",
    "metrics": "How the distributions differ, as they are and centred, beside the noise level of this many pairs: what "
    "exchanges of "
    "partners exceed one time in twenty. Lines are 95 % intervals.",
    "sky": "The pairs on the sphere of their three leading directions, with the potentials that the theory derives from them.",
    "equilibria": "How far apart the theory expects modalities with these potentials at each coupling, and with a penalty.",
    "corruption": "Corrupted matchings, and what moves with them. The second modality's rows are drawn again, so that its "
    "distribution moves by sampling only.",
}


def files(diagnosis: Diagnosis) -> dict[str, bytes]:
    """Every file of a diagnosis by name besides its summary: metrics.csv, table.md, table.tex, report.html and figures."""
    found: dict[str, bytes] = {}
    pictures: list[dict[str, bytes]] = []
    for index, comparison in enumerate(diagnosis.comparisons, start=1):
        prefix = "" if len(diagnosis.comparisons) == 1 else f"{index}_"
        pictures.append(render_all(functools.partial(figures, comparison), 100))
        found |= {prefix + name: picture for name, picture in pictures[-1].items()}
    found["metrics.csv"] = _csv(diagnosis).encode()
    found["table.md"] = "\n".join(_markdown(one) for one in diagnosis.comparisons).encode()
    found["table.tex"] = "\n".join(latex(table(plain(one.measurement.metrics), PAPER)) for one in diagnosis.comparisons).encode()
    found["report.html"] = _html(diagnosis, pictures).encode()
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


def _html(diagnosis: Diagnosis, pictures: list[dict[str, bytes]]) -> str:
    parts = []
    for comparison, images in zip(diagnosis.comparisons, pictures, strict=True):
        sample, measured, said = comparison.sample, comparison.measurement, comparison.verdict
        parts.append(f"<h1>{escape(sample.first.name)} (a) and {escape(sample.second.name)} (b)</h1>")
        parts.append(f"<p class=summary>{escape(said.summary)}</p>")
        parts.append(f"<ol class=verdict>{''.join(f'<li>{escape(sentence)}</li>' for sentence in said.sentences)}</ol>")
        notes = [*diagnosis.notes, *measured.notes]
        parts.append(
            f"<p class=about>{sample.pairs} pairs, {sample.first.rows.shape[1]} dimensions, temperature {diagnosis.tau:g}. "
            f"Intervals (95 %) from {measured.groups} groups of pairs, p-values from up to {diagnosis.exchanges} exchanges of "
            f"partners, seed {diagnosis.seed}. {escape(tests_sentence(measured.adjusted))}"
            f"{''.join(' Note: ' + escape(note) + '.' for note in notes)}</p>"
        )
        for file, image in images.items():
            name = Path(file).stem
            parts.append(page.picture(name, image, _PICTURES[name]))
        if comparison.place is not None:
            parts.append(f"<h2>Beside the theory</h2>{''.join(f'<p>{escape(one)}</p>' for one in comparison.place.sentences)}")
        parts.append(page.table(table(plain(measured.metrics), PAPER)))
        parts.append("<details><summary>All metrics, what they are and what is normal</summary>")
        parts += [_family(family, measured.metrics) for family in metrics_table.FAMILIES]
        parts.append("</details>")
        for corruption in comparison.corruptions:
            parts.append(
                f"<h2>With {corruption.replaced:.1%} of the partners replaced (probability {corruption.probability:g})</h2>"
            )
            parts.append(page.table(table(plain(corruption.measurement.metrics), PAPER)))
    return page.page("Modality gap: a diagnosis", [*parts, _FOOT])


def _family(family: Family, metrics: dict[str, Metric]) -> str:
    lines = ["".join(f"<th>{heading}</th>" for heading in ("metric", *HEADINGS, "what it says, and what is normal"))]
    for one in family.definitions:
        if one.name not in metrics:
            continue
        metric = metrics[one.name]
        texts = cells(asdict(metric))
        if metric.shuffled is None and not one.moves:
            texts[-1] = "same"
        numbers = "".join(f"<td class=number>{escape(text)}</td>" for text in texts)
        meaning = f"<b>{escape(one.formula)}</b> ({escape(one.source)}). {escape(one.meaning)}"
        lines.append(f"<td title='{escape(one.name)}'>{escape(one.title)}</td>{numbers}<td class=meaning>{meaning}</td>")
    return f"<h2>{escape(family.title)}</h2><table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


_FOOT = """<details><summary>How to read this</summary>
<p>Strangers are rows of different clusters: a pair, a row with its partners, copies. Intervals are for the mean over samples like
this one; those of metrics of n for samples of this size. Noise level: what exchanges of partners between the modalities exceed
one time in twenty, at this size and with partners as like as these. Shuffled: with partners passed on at random; "same" for
metrics that do not use the matching. p: the share of exchanges that reach the value.</p></details> <p class=about>Made by
fieldsolve.</p>"""
