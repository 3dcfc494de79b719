"""What the study commands share: their table, their figures as JSON, progress, and a folder of results."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

SCHEMAS = ("fieldsolve/consistency/1", "fieldsolve/sharpness/1")

_TITLES = {
    "negatives": "N", "bias_error": "+-", "expected_bias": "exact", "law_bias": "over the law", "leading": "leading/N",
    "gradient_error": "gradient", "gradient_spread": "+-", "expected_gradient_error": "predicted", "difference": "J - F",
    "quadratic_bound": "quadratic", "smoothed_symmetric_kl": "smoothed D", "log_outside": "log outside", "log_outside_bound": "its bound",
}  # fmt: skip


def deliver(summary: dict[str, Any], draw: Callable[[], Any], options: dict[str, Any]) -> None:
    """Write summary.json, table.csv and figure.png if a folder was given; print the JSON object, or report and table."""
    from fieldsolve import archive

    output = options["output"]
    if output is not None:
        from fieldsolve.plotting import rendered

        file = io.StringIO()
        csv.writer(file).writerows([summary["columns"], *zip(*(summary[name] for name in summary["columns"]), strict=True)])
        archive.save_study(output, summary, file.getvalue(), rendered(draw(), "png"), options["force"])
    print_study(summary, options["as_json"], options["quiet"])
    if output is not None and not options["quiet"] and not options["as_json"]:
        click.echo(f"written to {output}/: figure.png, summary.json, table.csv", err=True)


def print_study(summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print one JSON object, report and table, or nothing."""
    from fieldsolve import archive

    if as_json:
        click.echo(archive.to_json(summary))
        return
    if quiet:
        return
    for sentence in summary["report"]:
        click.echo(sentence)
    columns = [[_TITLES.get(name, name.replace("_", " ")), *map(_cell, summary[name])] for name in summary["columns"]]
    widths = [2 + max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        click.echo("".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def read_summary(folder: Path, schemas: tuple[str, ...]) -> dict[str, Any] | None:
    """The summary of results with one of these schemas in a folder, or None if it holds something else."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return None
    return summary if isinstance(summary, dict) and summary.get("schema") in schemas else None


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def running(options: dict[str, Any]) -> Iterator[Callable[[int, int], None]]:
    """At most so many threads, and a callback for how much of how much is done: a bar on stderr, on a terminal."""
    from fieldsolve import threads

    with threads.limited(options["threads"]) if options["threads"] is not None else nullcontext():
        if options["quiet"] or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            line = bar.add_task("", total=None)
            yield lambda done, total: bar.update(line, completed=done, total=total)


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every study has, in the order of the help."""
    for option in reversed([
        click.option("--threads", type=click.IntRange(min=1), help="Most threads.  [default: all cores; same bits for any number]"),
        click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write summary.json, table.csv and figure.png."),
        click.option("--force", is_flag=True, help="Replace earlier results in DIR."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table."),
        click.option("--quiet", is_flag=True, help="Print nothing but errors (and the JSON object)."),
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
    ]):  # fmt: skip
        command = option(command)
    return command
