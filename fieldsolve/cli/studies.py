"""What the study commands share: their table, their values as JSON, progress, and a folder of results."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.progress import progress
from fieldsolve.cli.say import say
from fieldsolve.numerics.progress import Watch

#: What a folder of a study holds.
WRITTEN = "summary.json, table.csv and figure.png"

STUDY_SCHEMAS = (
    "fieldsolve/barrier/1", "fieldsolve/consistency/1", "fieldsolve/drift/1", "fieldsolve/remedies/1", "fieldsolve/remedy/1",
    "fieldsolve/sharpness/1", "fieldsolve/stability/1",
)  # fmt: skip

_TITLES = {
    "negatives": "N", "bias_error": "+-", "expected_bias": "exact", "law_bias": "over the law", "leading": "leading/N",
    "gradient_error": "gradient", "gradient_spread": "+-", "expected_gradient_error": "predicted", "difference": "J - F",
    "quadratic_bound": "quadratic", "smoothed_symmetric_kl": "smoothed D", "log_outside": "log outside",
    "log_outside_bound": "its bound", "spectrum": "k_l", "error": "+-", "scaled": "x B/rate^2", "scaled_error": "+-",
}  # fmt: skip
_DIGITS = {"spectrum": 6, "lambda_c": 8}


def check_places(options: dict[str, Any]) -> None:
    """Refuse what cannot be written to, before anything is computed. Raises InputError."""
    from fieldsolve.output.folders import check_folder

    if options["output"] is not None:
        check_folder(options["output"], options["force"])
    check_figure(options)


def check_figure(options: dict[str, Any]) -> None:
    """Refuse a place for the picture alone that cannot be written to. Raises InputError."""
    figure = options["figure"]
    if figure is None:
        return
    if options["output"] is not None and options["output"].resolve() in figure.resolve().parents:
        raise click.UsageError(
            f"--figure {figure} lies in the folder of -o, which has a picture of its own; choose another place"
        )
    check_file(figure, options["force"])


def check_file(path: Path, force: bool) -> None:
    """Refuse a name for a file that is taken or that nothing can be written to. Raises InputError."""
    from fieldsolve.numerics.errors import InputError

    if not path.parent.is_dir():
        raise InputError(f"{path}: {path.parent} is no folder; make it first, or choose another place")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; choose another name")
    if os.path.lexists(path) and not force:
        raise InputError(f"{path}: exists already; choose another name, or replace it with --force")


def write_figure(draw: Callable[[], Any], options: dict[str, Any]) -> None:
    """Write the picture alone if a file for it was given; that none can be drawn is advised."""
    path = options["figure"]
    if path is None:
        return
    from fieldsolve.output.folders import write_whole
    from fieldsolve.output.pictures import render_all

    for picture in render_all(lambda: {"figure": draw()}, kind=path.suffix.removeprefix(".").lower()).values():
        write_whole(path, picture)
        if not options["quiet"] and not options["as_json"]:
            say(f"written to {path}", err=True)


def deliver(summary: dict[str, Any], draw: Callable[[], Any], options: dict[str, Any]) -> None:
    """Write summary.json, table.csv and figure.png if a folder was given; print the JSON object, or report and table."""
    output = options["output"]
    if output is not None:
        from fieldsolve.output.folders import write_files
        from fieldsolve.output.pictures import folder_pictures
        from fieldsolve.output.tables import csv_text, rows_of

        table = csv_text(summary["columns"], rows_of({name: summary[name] for name in summary["columns"]}))
        files = {"table.csv": table.encode(), **folder_pictures(lambda: {"figure": draw()})}
        write_files(output, summary, files, options["force"])
    write_figure(draw, options)
    print_study(summary, options["as_json"], options["quiet"])
    if output is not None and not options["quiet"] and not options["as_json"]:
        say(f"written to {output}/: {', '.join(sorted(path.name for path in output.iterdir()))}", err=True)


def print_study(summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print one JSON object, report and table, or nothing."""
    from fieldsolve.output.tables import align, short, to_json

    if as_json:
        say(to_json(summary))
        return
    if quiet:
        return
    for sentence in summary["report"]:
        say(sentence)
    columns = [
        [_TITLES.get(name, name.replace("_", " ")), *(short(one, _DIGITS.get(name, 4)) for one in summary[name])]
        for name in summary["columns"]
    ]
    for line in align(list(zip(*columns, strict=True))):
        say(line)


@contextmanager
def running(options: dict[str, Any]) -> Iterator[Watch | None]:
    """At most so many threads, and progress on a terminal."""
    from fieldsolve.numerics import threads

    with (
        threads.limit(options["threads"]) if options["threads"] is not None else nullcontext(),
        progress(options["quiet"]) as watch,
    ):
        yield watch
