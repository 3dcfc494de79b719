"""What the study commands share: their table, their figures as JSON, and a folder of results."""

import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click


def deliver(
    figures: dict[str, Any],
    header: Sequence[str],
    rows: Sequence[Sequence[float | None]],
    sentences: Sequence[str],
    draw: Callable[[], Any],
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write summary.json, table.csv and figure.png if a folder is given; print the JSON object, or sentences and table."""
    from fieldsolve import archive

    if output is not None:
        from fieldsolve.plotting import rendered

        file = io.StringIO()
        csv.writer(file).writerows([header, *(["" if cell is None else repr(cell) for cell in row] for row in rows)])
        archive.save_study(output, figures, file.getvalue(), rendered(draw(), "png"), force)
    if as_json:
        click.echo(archive.to_json(figures))
        return
    width = max(12, *(len(name) + 2 for name in header))
    for sentence in sentences:
        click.echo(sentence)
    click.echo("".join(f"{name:<{width}}" for name in header).rstrip())
    for row in rows:
        click.echo("".join(f"{'-' if cell is None else f'{cell:.5g}':<{width}}" for cell in row).rstrip())
    if output is not None:
        click.echo(f"written to {output}/: summary.json, table.csv, figure.png", err=True)


@contextmanager
def counted() -> Iterator[Callable[[int, int], None]]:
    """A callback for how much of how much is done: a bar on stderr, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("", total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total)


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The output options of every study command."""
    for option in reversed([
        click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write summary.json, table.csv and figure.png."),
        click.option("--force", is_flag=True, help="Replace earlier results in DIR."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table."),
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
    ]):  # fmt: skip
        command = option(command)
    return command
