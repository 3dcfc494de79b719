"""fieldsolve reproduce: the paper's experiments at their settings, beside what fields and population limits give."""

import sys
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import CELLS_FAILED, guard, html_option, printing_options
from fieldsolve.cli.say import say
from fieldsolve.cli.values import Between, FileName, FolderName
from fieldsolve.cli.workers import executor_of, workers_options

_FAILURES_SHOWN = 3


@click.command(name="reproduce", short_help="The paper's experiments, beside their limits.")
@click.argument("experiment", type=click.Choice(["gradient", "gibbs", "gap", "captions"]))
@click.argument("features", nargs=-1, metavar="[FEATURES...]")
@click.option(
    "-o",
    "--output",
    type=FolderName(),
    metavar="DIR",
    required=True,
    help="Write ledger.sqlite, tables, report.md and figures.",
)
@click.option("--quick", is_flag=True, help="Fewer seeds and shorter training: below a minute on two cores.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Seeds of everything that is drawn.  [default: 20, captions 5; --quick: 10, 3, 3, 2]",
)
@click.option("--groups", type=FileName(), metavar="FILE", help="captions: one label a pair; replaced within groups only.")
@click.option("--tau", type=Between(0.003, 1e3), help="captions: temperature of the loss.  [default: 0.01]")
@workers_options
@click.option("--force", is_flag=True, help="Use a folder with other seeds or the quick version; what both share is kept.")
@html_option
@printing_options
@guard
def command(experiment: str, features: tuple[str, ...], **options: Any) -> None:
    """Run one of the paper's experiments D.1 to D.3, and compute what it samples without samples; or that on MS-COCO's captions.

    \b
    Examples:
      fieldsolve reproduce gap -o paper-gap --quick
      fieldsolve reproduce captions clip.npy --groups categories.txt -o paper-captions

    \b
    gradient  gradients with N negatives against 4096, two critics, with their leading-order prediction (Fig. 2)
    gibbs     particles against the Gibbs field, and what the particles minimise, as a density (Figs. 3, 4)
    gap       trained encoders against the large-batch objective's two phases (Figs. 5 to 8)
    captions  linear heads on your FEATURES, trained with captions replaced within groups (MS-COCO)

    Run it again after an interruption: only what is missing is computed. On two cores the full versions take about 20 s, 15
    minutes and 12 minutes, captions one minute on 500 pairs of 512. Exit code 5 if parts failed; the next run tries them again.
    """
    from fieldsolve.cli.progress import progress
    from fieldsolve.reproduce import make_plan, run_plan

    inputs = None
    if experiment == "captions":
        from fieldsolve.reproduce.captions.study import inputs_of

        groups = None if options["groups"] is None else str(options["groups"])
        inputs = inputs_of(features, groups, 0.01 if options["tau"] is None else options["tau"])
    elif features or options["groups"] is not None or options["tau"] is not None:
        raise click.UsageError("files of embeddings, --groups and --tau are of captions; leave them out")
    plan, folder = make_plan(experiment, options["quick"], options["seeds"], inputs), options["output"]
    run = executor_of(options)
    with progress(options["quiet"]) as watch:
        study = run_plan(plan, folder, run, options["force"], watch)
    write(plan, study, folder)
    report(plan, study, folder, options["as_json"], options["quiet"])


def write(plan: Any, study: Any, folder: Path) -> None:
    """Write the tables and figures of a study that is whole."""
    if not isinstance(study, list):
        from fieldsolve.reproduce import writing

        writing.write(plan, study, folder)


def report(plan: Any, study: Any, folder: Path, as_json: bool, quiet: bool) -> None:
    """Print the report, or say what failed."""
    if isinstance(study, list):
        for task, outcome in study[:_FAILURES_SHOWN]:
            say(f"fieldsolve: {task.kind} {task.config} failed: {outcome.reason}", err=True)
        say(
            f"fieldsolve: {len(study)} of {len(plan.tasks)} parts failed; the same command tries them again",
            err=True,
        )
        sys.exit(CELLS_FAILED)
    from fieldsolve.output.tables import to_json
    from fieldsolve.reproduce.writing import summary

    if as_json:
        say(to_json(summary(plan, study)))
    elif not quiet:
        for sentence in study.report:
            say(sentence)
        say(f"written to {folder}/: {', '.join(sorted(path.name for path in folder.iterdir()))}", err=True)
