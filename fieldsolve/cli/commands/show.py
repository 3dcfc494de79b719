"""fieldsolve show: draw earlier results again."""

from pathlib import Path

import click

from fieldsolve.cli.options import guard, printing_options


@click.command(name="show", short_help="Print and draw earlier results again.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
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
    from fieldsolve.runs import LEDGER

    if (folder / LEDGER).exists() and _holds_reproduction(folder / LEDGER):
        from fieldsolve.cli.commands.reproduce import report as report_reproduction
        from fieldsolve.reproduce import open_study

        report_reproduction(*open_study(folder), folder, as_json, quiet)
        return
    if (folder / LEDGER).exists():
        from fieldsolve.cli.commands.phase_diagram import report
        from fieldsolve.diagrams.diagram import open_diagram

        report(open_diagram(folder), folder, as_json, quiet)
        return
    from fieldsolve.cli.commands.diagnose import print_diagnosis
    from fieldsolve.cli.studies import STUDY_SCHEMAS, print_study
    from fieldsolve.diagnose.diagnosis import SCHEMA
    from fieldsolve.output.folders import read_summary

    if (study := read_summary(folder, STUDY_SCHEMAS)) is not None:
        print_study(study, as_json, quiet)
        return
    if (diagnosis := read_summary(folder, (SCHEMA,))) is not None:
        print_diagnosis(diagnosis, as_json, quiet)
        return
    from fieldsolve.cli.solutions import print_solution
    from fieldsolve.equilibrium.storage import load, redraw

    solution = load(folder)
    redraw(solution, folder)
    print_solution(solution, solution.summary(), as_json, quiet)


def _holds_reproduction(path: Path) -> bool:
    from fieldsolve.reproduce import is_plan
    from fieldsolve.runs import Ledger

    with Ledger(path, write=False) as ledger:
        text = ledger.spec()
    return text is not None and is_plan(text)
