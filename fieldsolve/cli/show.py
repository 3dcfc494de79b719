"""fieldsolve show: draw earlier results again."""

from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guarded


@click.command(short_help="Print and draw earlier results again.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors (and the JSON object).")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@guarded
def show(folder: Path, as_json: bool, quiet: bool) -> None:
    """Print the figures of earlier results and draw their pictures again, in the same folder.

    \b
    Examples:
      fieldsolve show run
      fieldsolve show diagram --json

    DIR is what unimodal, multimodal, phase-diagram, reproduce, consistency, sharpness or diagnose wrote; a diagram may be
    unfinished. The figures of the last three are printed only.
    """
    from fieldsolve import archive
    from fieldsolve.runs import LEDGER

    if (folder / LEDGER).exists() and _holds_reproduction(folder / LEDGER):
        from fieldsolve.cli.reproduce import report as report_reproduction
        from fieldsolve.reproduce import opened

        report_reproduction(*opened(folder), folder, as_json, quiet)
        return
    if (folder / LEDGER).exists():
        from fieldsolve.cli.phase_diagram import report
        from fieldsolve.sweeps.diagram import open_diagram

        report(open_diagram(folder), folder, as_json, quiet)
        return
    from fieldsolve.cli.diagnose import print_diagnosis
    from fieldsolve.cli.study import SCHEMAS, print_study, read_summary
    from fieldsolve.diagnose.diagnosis import SCHEMA

    if (study := read_summary(folder, SCHEMAS)) is not None:
        print_study(study, as_json, quiet)
        return
    if (diagnosis := read_summary(folder, (SCHEMA,))) is not None:
        print_diagnosis(diagnosis, as_json, quiet)
        return
    from fieldsolve.cli.run import print_figures

    solution = archive.load(folder)
    archive.redraw(solution, folder)
    print_figures(solution, solution.summary(), as_json, quiet)


def _holds_reproduction(path: Path) -> bool:
    from fieldsolve.reproduce import is_plan
    from fieldsolve.runs import Ledger

    with Ledger(path, write=False) as ledger:
        text = ledger.spec()
    return text is not None and is_plan(text)
