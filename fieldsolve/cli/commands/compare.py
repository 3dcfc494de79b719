"""fieldsolve compare: many diagnoses side by side, checkpoints or models, resumably."""

import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import CELLS_FAILED, guard, html_option, printing_options
from fieldsolve.cli.say import say
from fieldsolve.cli.values import Between, FileName, FolderName
from fieldsolve.cli.workers import executor_of, workers_options

_FAILURES_SHOWN = 3


@click.command(name="compare", short_help="Many diagnoses side by side.")
@click.argument("words", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    type=FolderName(),
    metavar="DIR",
    help="Write ledger.sqlite, table.csv, .md, .tex, .html and pictures; run again to resume.",
)
@click.option("--against", metavar="NAME", help="The run that differences are taken to.  [default: the first]")
@click.option("--unpaired", is_flag=True, help="Runs with as many pairs are not of the same pairs.")
@click.option("--tau", type=Between(0.003, 1e9), help="Temperature of runs that name none.  [default: 0.07]")
@click.option("--bias", type=Between(-1e6, 1e6), help="Of a sigmoid loss; InfoNCE without.")
@click.option("--pairs", type=FileName(), metavar="FILE", help="Matched rows of runs that name no file of their own.")
@click.option("--normalize", is_flag=True, help="Scale rows to unit length instead of refusing others.")
@click.option(
    "--exchanges", type=click.IntRange(99, 100_000), default=99, show_default=True, help="Of partners, for p-values of a run."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn.")
@click.option("--force", is_flag=True, help="Use a folder with other runs; what both share is kept.")
@workers_options
@html_option
@printing_options
@guard
def command(words: tuple[str, ...], **options: Any) -> None:
    """Compare checkpoints or models: metrics with intervals, differences by a paired bootstrap, gap against retrieval.

    \b
    Examples:
      fieldsolve compare untrained=random.npy trained=clip.npy --tau 0.01 -o compared
      fieldsolve compare runs.toml -o compared --workers 8

    \b
    A RUN is a file with both modalities (2, n, d), two files as A.npy,B.npy, a folder of diagnose -o, each with NAME= before
    it if it is to have one, or a manifest, whose files are beside it:
      tau = 0.01                # of all runs that say nothing else; likewise bias, pairs
      [[run]]
      name = "step 1000"
      files = ["images_1000.npy", "captions_1000.npy"]
      step = 1000               # for pictures over steps

    Differences of the gap, cosines, recall, mixed index and loss are paired (*) where runs match alike, which then are taken to
    be of the same pairs. Run it again after an interruption: only what is missing is diagnosed. Exit code 5 if some runs failed;
    the others are compared all the same.
    """
    from fieldsolve.cli.progress import progress
    from fieldsolve.diagnose.many.compare import compare_runs
    from fieldsolve.diagnose.many.runs import runs_of
    from fieldsolve.diagnose.many.tasks import Common
    from fieldsolve.numerics.errors import InputError

    runs = runs_of(words)
    if options["against"] is not None and options["against"] not in [one.name for one in runs]:
        raise InputError(
            f"there is no run {options['against']!r} to compare with; runs are {', '.join(one.name for one in runs)}"
        )
    pairs = None if options["pairs"] is None else str(options["pairs"])
    common = Common(options["tau"], options["bias"], pairs, options["normalize"], options["exchanges"], seed=options["seed"])
    executor = executor_of(options, len(runs))
    output = options["output"]
    with nullcontext(output) if output is not None else tempfile.TemporaryDirectory() as folder:
        with progress(options["quiet"]) as watch:
            done, failed = compare_runs(runs, common, Path(folder), executor, options["force"], watch)
        report(done, failed, output, options)


def report(done: Any, failed: Any, folder: Path | None, options: dict[str, Any]) -> None:
    """Write the tables and pictures of what is done, and say what differs and what failed."""
    from fieldsolve.diagnose.many.compare import series_of

    for run, outcome in failed[:_FAILURES_SHOWN]:
        say(f"fieldsolve: {run.name} failed: {outcome.reason}", err=True)
    series = series_of(done, options["against"], not options["unpaired"])
    if options["against"] is None and failed and not options["quiet"]:
        say(f"note: differences are to {series.against}, the first run that could be diagnosed", err=True)
    summary = series.summary()
    if folder is not None:
        from fieldsolve.diagnose.many.writing import files
        from fieldsolve.output.folders import write_beside

        write_beside(folder, summary, files(series))
    print_comparison(summary, options["as_json"], options["quiet"])
    if folder is not None and not options["quiet"] and not options["as_json"]:
        say(f"written to {folder}/: {', '.join(sorted(path.name for path in folder.iterdir()))}", err=True)
    if failed:
        say(f"fieldsolve: {len(failed)} of {len(failed) + len(done)} runs failed; the same command tries them again", err=True)
        sys.exit(CELLS_FAILED)


def print_comparison(summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print one JSON object, or what differs and the main metrics with their differences, or nothing."""
    from fieldsolve.diagnose.many.tables import rows_of
    from fieldsolve.output.tables import align, to_json

    if as_json:
        say(to_json(summary))
    elif not quiet:
        for sentence in summary["report"]:
            say(sentence)
        for line in align(rows_of(summary)):
            say(line)
    for note in [] if quiet else summary["notes"]:
        say(f"note: {note}", err=True)
