"""fieldsolve show: draw earlier results again."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guard, printing_options
from fieldsolve.cli.values import FileName
from fieldsolve.numerics.errors import Advice, InputError


@click.command(name="show", short_help="Print and draw earlier results again.")
@click.argument("folder", type=FileName(), metavar="DIR")
@printing_options
@guard
def command(folder: Path, as_json: bool, quiet: bool) -> None:
    """Print the values of earlier results and draw their pictures again, in the same folder.

    \b
    Examples:
      fieldsolve show run
      fieldsolve show diagram --json

    DIR is what unimodal, multimodal, phase-diagram, reproduce, consistency, sharpness or diagnose wrote; a diagram may be
    unfinished. The values of the last three are printed only.
    """
    from fieldsolve.output.folders import recover
    from fieldsolve.runs import LEDGER

    recover(folder)
    if not (folder / LEDGER).exists():
        _show_results(folder, as_json, quiet)
    elif _holds_reproduction(folder / LEDGER):
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
        print_study(summary, as_json, quiet)
        return
    if summary["schema"] == SCHEMA:
        print_diagnosis(summary, as_json, quiet)
        return
    from fieldsolve.cli.solutions import print_solution
    from fieldsolve.equilibrium.solution import CAP_RADIUS
    from fieldsolve.equilibrium.storage import load, redraw

    solution = load(folder)
    _draw_again(lambda: redraw(solution, folder))
    print_solution(solution, solution.summary(summary.get("cap_radius", CAP_RADIUS)), as_json, quiet)


def _show_reproduction(folder: Path, as_json: bool, quiet: bool) -> None:
    from fieldsolve.cli.commands.reproduce import report, write
    from fieldsolve.reproduce import open_study

    plan, study = open_study(folder)
    _draw_again(lambda: write(plan, study, folder))
    report(plan, study, folder, as_json, quiet)


def _show_diagram(folder: Path, as_json: bool, quiet: bool) -> None:
    from fieldsolve.cli.commands.phase_diagram import report, write
    from fieldsolve.diagrams.diagram import open_diagram

    diagram = open_diagram(folder)
    notes = _draw_again(lambda: write(diagram, folder)) or []
    report(diagram, notes, folder, as_json, quiet)


def _draw_again(write: Callable[[], Any]) -> Any:
    """Write pictures and tables; that they cannot be written is no reason not to print what is there."""
    try:
        return write()
    except InputError as error:
        warnings.warn(f"nothing is drawn again: {error}", Advice, stacklevel=1)
        return None


def _holds_reproduction(path: Path) -> bool:
    from fieldsolve.reproduce import is_plan
    from fieldsolve.runs import Ledger

    with Ledger(path, write=False) as ledger:
        text = ledger.spec()
    return text is not None and is_plan(text)
