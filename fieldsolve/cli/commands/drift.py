"""fieldsolve drift: what gradient flow and batch noise do to a centroid gap that the loss does not see."""

import sys
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import CELLS_FAILED, guard, html_option, printing_options
from fieldsolve.cli.say import say
from fieldsolve.cli.studies import print_study
from fieldsolve.cli.values import Between, FolderName

_FAILURES_SHOWN = 3


@click.command(name="drift", short_help="Free encoders in training: where the gap goes.")
@click.argument("law", metavar="LAW")
@click.option("--tau", type=Between(0.003, 1e9), required=True, help="Temperature, below the law's tau*.")
@click.option("--labels", is_flag=True, help="LAW is a file with two columns of labels, one pair of partners a row.")
@click.option(
    "-o",
    "--output",
    type=FolderName(),
    metavar="DIR",
    required=True,
    help="Write ledger.sqlite, summary.json, table.csv and figure.png.",
)
@click.option("--batches", default="16,64,256", show_default=True, metavar="B1,B2,...", help="Pairs a step of batch noise.")
@click.option(
    "--rate", type=Between(1e-9, 1e3), help="Length of a step of batch noise.  [default: tau^2/4 over the largest marginal]"
)
@click.option("--steps", type=click.IntRange(64, 10**9), default=8000, show_default=True, help="Steps of batch noise.")
@click.option("--seeds", type=click.IntRange(2, 100_000), default=24, show_default=True, help="Runs of each batch.")
@click.option(
    "--workers", type=click.IntRange(1, 4096), metavar="N", help="Spawned processes, one thread each.  [default: all cores]"
)
@click.option("--force", is_flag=True, help="Use a folder with other settings; what both share is kept.")
@html_option
@printing_options
@guard
def command(law: str, **options: Any) -> None:
    """Train free encoders of a law of pairs, below its critical temperature, where every gap of a window has the same loss.

    \b
    Examples:
      fieldsolve drift simplex:6,0.2 --tau 0.18 -o drift
      fieldsolve drift ring:8,5 --tau 0.1 --batches 64,256,1024 -o ring-drift

    Gradient flow keeps the angle of both centroids if the symbols differ by symmetries only ("orbit" starts), and ends at a gap
    that goes with the one it began at. Batches drawn from the law change the squared gap, along the flat direction, in proportion
    to rate^2/batch a step. Laws are those of `fieldsolve encoders`, of at most 48 symbols. Run it again after an interruption:
    only what is missing is computed.
    """
    from fieldsolve.cli.progress import progress
    from fieldsolve.encoders.drift import DriftPlan, run_drift
    from fieldsolve.numerics import threads
    from fieldsolve.runs import in_processes, in_this_process

    plan = DriftPlan(
        law, options["tau"], options["labels"], _batches(options["batches"]), options["rate"], options["steps"], options["seeds"]
    )  # fmt: skip
    workers = options["workers"] or threads.count(threads.WORTHWHILE)
    run = in_this_process if workers == 1 else in_processes(workers)
    with progress(options["quiet"]) as watch:
        found = run_drift(plan, options["output"], run, options["force"], watch)
    if isinstance(found, list):
        for task, outcome in found[:_FAILURES_SHOWN]:
            say(f"fieldsolve: {task.kind} {task.config} failed: {outcome.reason}", err=True)
        say(f"fieldsolve: {len(found)} trainings failed; the same command tries them again", err=True)
        sys.exit(CELLS_FAILED)
    _write(found, options["output"])
    print_study(found.summary(), options["as_json"], options["quiet"])
    if not options["quiet"] and not options["as_json"]:
        say(f"written to {options['output']}/: {', '.join(sorted(one.name for one in options['output'].iterdir()))}", err=True)


def _write(found: Any, folder: Path) -> None:
    from fieldsolve.encoders.pictures import plot_drift
    from fieldsolve.output.folders import write_beside
    from fieldsolve.output.pictures import folder_pictures
    from fieldsolve.output.tables import csv_text, rows_of

    files = {
        "table.csv": csv_text(list(found.noise), rows_of(found.noise)).encode(),
        "flows.csv": csv_text(list(found.flows), rows_of(found.flows)).encode(),
        **folder_pictures(lambda: {"figure": plot_drift(found)}),
    }
    write_beside(folder, found.summary(), files)


def _batches(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not all(2 <= one <= 10**9 for one in found):
        raise click.UsageError(f"--batches takes whole numbers of at least 2, separated by commas, not {text!r}")
    return found
