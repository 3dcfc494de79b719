"""fieldsolve show: draw earlier results again."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guard, html_option, printing_options
from fieldsolve.cli.values import FileName
from fieldsolve.numerics.errors import Advice, InputError
from fieldsolve.output.interactive import are_wanted, pages


@click.command(name="show", short_help="Print and draw earlier results again.")
@click.argument("folder", type=FileName(), metavar="DIR")
@html_option
@printing_options
@guard
def command(folder: Path, as_json: bool, quiet: bool) -> None:
    """Print the values of earlier results and draw their pictures again, in the same folder.

    \b
    Examples:
      fieldsolve show run
      fieldsolve show diagram --json

    DIR is what unimodal, multimodal, phase-diagram, reproduce, consistency, sharpness, stability, encoders, drift, diagnose
    or compare wrote; a diagram may be unfinished. Pictures are drawn again of the first four.
    """
    from fieldsolve.output.folders import recover
    from fieldsolve.runs import LEDGER

    recover(folder)
    if not (folder / LEDGER).exists():
        _show_results(folder, as_json, quiet)
    elif _spec(folder / LEDGER).get("study") is not None:
        _show_encoders(folder, as_json, quiet)
    elif "compare" in _spec(folder / LEDGER):
        _show_comparison(folder, as_json, quiet)
    elif "experiment" in _spec(folder / LEDGER):
        _show_reproduction(folder, as_json, quiet)
    else:
        _show_diagram(folder, as_json, quiet)


def _show_results(folder: Path, as_json: bool, quiet: bool) -> None:
    from fieldsolve.cli.commands.diagnose import print_diagnosis
    from fieldsolve.cli.studies import STUDY_SCHEMAS, print_study
    from fieldsolve.diagnose.diagnosis import SCHEMA
    from fieldsolve.output.summary import read_summary

    summary = read_summary(folder)
    del summary["files"]
    if summary["schema"] in STUDY_SCHEMAS:
        _is_not_drawn()
        print_study(summary, as_json, quiet)
        return
    if str(summary["schema"]).startswith("fieldsolve/diagnose/") and summary["schema"] != SCHEMA:
        raise InputError(f"{folder}: holds a diagnosis of another version ({summary['schema']}); run fieldsolve diagnose again")
    if summary["schema"] == SCHEMA:
        _is_not_drawn()
        print_diagnosis(summary, as_json, quiet)
        return
    from fieldsolve.cli.solutions import print_solution
    from fieldsolve.equilibrium.solution import CAP_RADIUS
    from fieldsolve.equilibrium.storage import load, redraw

    solution = load(folder)
    _draw_again(folder, lambda: redraw(solution, folder))
    print_solution(solution, solution.summary(summary.get("cap_radius", CAP_RADIUS)), as_json, quiet)


def _show_reproduction(folder: Path, as_json: bool, quiet: bool) -> None:
    from fieldsolve.cli.commands.reproduce import report, write
    from fieldsolve.reproduce import open_study

    plan, study = open_study(folder)
    _draw_again(folder, lambda: write(plan, study, folder))
    report(plan, study, folder, as_json, quiet)


def _show_comparison(folder: Path, as_json: bool, quiet: bool) -> None:
    from fieldsolve.cli.commands.compare import print_comparison
    from fieldsolve.output.summary import read_summary

    _is_not_drawn()
    summary = read_summary(folder)
    del summary["files"]
    print_comparison(summary, as_json, quiet)


def _show_encoders(folder: Path, as_json: bool, quiet: bool) -> None:
    from fieldsolve.cli.commands.encoders import print_encoders
    from fieldsolve.cli.studies import STUDY_SCHEMAS, print_study
    from fieldsolve.output.summary import read_summary

    _is_not_drawn()
    summary = read_summary(folder)
    del summary["files"]
    (print_study if summary["schema"] in STUDY_SCHEMAS else print_encoders)(summary, as_json, quiet)


def _show_diagram(folder: Path, as_json: bool, quiet: bool) -> None:
    from fieldsolve.cli.commands.phase_diagram import report, write
    from fieldsolve.diagrams.diagram import open_diagram

    diagram = open_diagram(folder)
    notes = _draw_again(folder, lambda: write(diagram, folder)) or []
    report(diagram, notes, folder, as_json, quiet)


def _is_not_drawn() -> None:
    """Refuse a page of results whose pictures are not drawn again."""
    if are_wanted():
        raise click.UsageError("pictures of these results are not drawn again; run their command with --html")


def _draw_again(folder: Path, write: Callable[[], Any]) -> Any:
    """Write pictures and tables; that they cannot be written is no reason not to print what is there.

    A page that is there is written anew too: it is to show what the pictures do.
    """
    has_page = (folder / "figures.html").exists() or any(one.with_suffix(".html").exists() for one in folder.glob("*.png"))
    try:
        with pages() if has_page else nullcontext():
            return write()
    except InputError as error:
        warnings.warn(f"nothing is drawn again: {error}", Advice, stacklevel=1)
        return None


def _spec(path: Path) -> dict[str, Any]:
    """What a ledger says that its tasks are of."""
    import json

    from fieldsolve.runs import Ledger

    with Ledger(path, write=False) as ledger:
        text = ledger.spec()
    found: dict[str, Any] = {} if text is None else json.loads(text)
    return found
