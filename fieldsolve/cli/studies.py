"""What the study commands share: their table, their values as JSON, progress, and a folder of results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import click

from fieldsolve.cli.progress import progress
from fieldsolve.numerics.progress import Watch

#: What a folder of a study holds.
WRITTEN = "summary.json, table.csv and figure.png"

STUDY_SCHEMAS = ("fieldsolve/consistency/1", "fieldsolve/sharpness/1")

_TITLES = {
    "negatives": "N", "bias_error": "+-", "expected_bias": "exact", "law_bias": "over the law", "leading": "leading/N",
    "gradient_error": "gradient", "gradient_spread": "+-", "expected_gradient_error": "predicted", "difference": "J - F",
    "quadratic_bound": "quadratic", "smoothed_symmetric_kl": "smoothed D", "log_outside": "log outside",
    "log_outside_bound": "its bound",
}  # fmt: skip


def deliver(summary: dict[str, Any], draw: Callable[[], Any], options: dict[str, Any]) -> None:
    """Write summary.json, table.csv and figure.png if a folder was given; print the JSON object, or report and table."""
    output = options["output"]
    if output is not None:
        from fieldsolve.output.folders import write_files
        from fieldsolve.output.pictures import render_all
        from fieldsolve.output.tables import csv_text, rows_of

        table = csv_text(summary["columns"], rows_of({name: summary[name] for name in summary["columns"]}))
        files = {"table.csv": table.encode(), **render_all(lambda: {"figure": draw()})}
        write_files(output, summary, files, options["force"])
    print_study(summary, options["as_json"], options["quiet"])
    if output is not None and not options["quiet"] and not options["as_json"]:
        click.echo(f"written to {output}/: {', '.join(sorted(path.name for path in output.iterdir()))}", err=True)


def print_study(summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print one JSON object, report and table, or nothing."""
    from fieldsolve.output.tables import align, short, to_json

    if as_json:
        click.echo(to_json(summary))
        return
    if quiet:
        return
    for sentence in summary["report"]:
        click.echo(sentence)
    columns = [
        [_TITLES.get(name, name.replace("_", " ")), *(short(one, 4) for one in summary[name])] for name in summary["columns"]
    ]
    for line in align(list(zip(*columns, strict=True))):
        click.echo(line)


@contextmanager
def running(options: dict[str, Any]) -> Iterator[Watch | None]:
    """At most so many threads, and progress on a terminal."""
    from fieldsolve.numerics import threads

    with (
        threads.limit(options["threads"]) if options["threads"] is not None else nullcontext(),
        progress(options["quiet"]) as watch,
    ):
        yield watch
