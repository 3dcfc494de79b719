"""fieldsolve encoders: the contrastive objective over all encoders of a pair law, certified."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import CELLS_FAILED, NOT_CONVERGED, guard, result_options
from fieldsolve.cli.say import say
from fieldsolve.cli.studies import check_figure, running, write_figure
from fieldsolve.cli.values import POSITIVE, Between


@click.command(name="encoders", short_help="The loss over all encoders of a pair law, certified.")
@click.argument("law", metavar="LAW")
@click.option("--tau", type=Between(0.003, 1e9), required=True, help="Temperature, at least 0.003.")
@click.option("--labels", is_flag=True, help="LAW is a file with two columns of labels, one pair of partners a row.")
@click.option(
    "--dimension", type=click.IntRange(2, 100_000), metavar="D", help="Encoders map to the sphere in R^D.  [default: any]"
)
@click.option(
    "--objective",
    default="symmetric",
    show_default=True,
    metavar="LOSS",
    help="symmetric, one-sided, one-encoder, in-modal-negatives:BETA, in-modal-positives:BETA, joint-softmax:OWN, negatives:N, "
    "or sigmoid:NEGATIVES,BIAS (the bias a number, or `learned`).",
)
@click.option(
    "--penalty", "penalties", multiple=True, metavar="PENALTY", help="gap:WEIGHT or uniformity:WEIGHT, added; again for more."
)
@click.option("--learn-tau", is_flag=True, help="Learn the temperature; --tau is the least, where training clamps it.")
@click.option(
    "--taus", metavar="T1,T2,...", help="Temperatures of the table and the picture.  [default: 17 around the critical one]"
)
@click.option("--no-critical", is_flag=True, help="Leave out critical temperatures and window: minutes for hundreds of symbols.")
@click.option("--tol", type=POSITIVE, default=1e-8, show_default=True, help="Of loss - bound, nats.")
@click.option("--max-steps", type=click.IntRange(1, 10**9), default=20_000, show_default=True, help="Of all descents.")
@click.option(
    "--workers", type=click.IntRange(1, 4096), default=1, show_default=True, metavar="N", help="Processes for the temperatures."
)
@result_options("ledger.sqlite, summary.json, table.csv, encoders.npz and figure.png")
@guard
def command(law: str, **options: Any) -> None:
    """Minimise a contrastive loss over all encoders of a law of pairs, with a bound that no encoders pass.

    \b
    Examples:
      fieldsolve encoders ring:24,5 --tau 0.1 -o ring
      fieldsolve encoders counts.csv --tau 0.07 --dimension 8 --penalty gap:0.1 --json

    LAW is a table of counts or probabilities of pairs of symbols (.npy or .csv), or ring:SIZE,CONCENTRATION, simplex:SIZE,NOISE,
    blocks:CLASSES,SIZE,NOISE, circle:POINTS,CONCENTRATION or sphere:NSIDE,CONCENTRATION. Losses are in nats, with infinitely many
    negatives and log N taken off. Up to tau* they reach minus the mutual information, and do not determine the centroid gap:
    `window` has all that it may be. Run it again with the same -o after an interruption: only what is missing is computed.
    """
    from fieldsolve.encoders.pictures import plot_encoders
    from fieldsolve.encoders.study import study_encoders
    from fieldsolve.encoders.sweep import Asked, in_folder, in_memory, sweep
    from fieldsolve.equilibrium.descent import Status
    from fieldsolve.runs import check_ledger_folder, in_processes, in_this_process

    output: Path | None = options["output"]
    check_figure(options)
    if output is not None:
        check_ledger_folder(output)
    asked = Asked(
        law, options["tau"], options["labels"], options["objective"], tuple(options["penalties"]), options["dimension"],
        options["learn_tau"], options["tol"], options["max_steps"],
    )  # fmt: skip
    taus, has_critical = _taus(options["taus"]), not options["no_critical"]
    run = in_this_process if options["workers"] == 1 else in_processes(options["workers"])
    problem, found = asked.problem(), None
    with running(options) as watch:
        if output is not None:
            found = sweep(
                asked, problem, taus, has_critical, in_folder(asked, problem.law, taus, output, run, options["force"], watch)
            )
            write(found, output)
        elif options["figure"] is not None:
            found = sweep(asked, problem, taus, has_critical, in_memory, watch)
        study = study_encoders(problem, has_critical, asked.tol, asked.max_steps, watch) if found is None else found.study
    if found is not None:
        write_figure(partial(plot_encoders, found), options)
    print_encoders(study.summary() if found is None else found.summary(), options["as_json"], options["quiet"])
    if output is not None and not options["quiet"] and not options["as_json"]:
        say(f"written to {output}/: {', '.join(sorted(path.name for path in output.iterdir()))}", err=True)
    for reason in [] if found is None else found.failed:
        say(f"fieldsolve: a temperature failed: {reason}", err=True)
    if study.solution.status not in (Status.CONVERGED, Status.CERTIFIED):
        sys.exit(NOT_CONVERGED)
    if found is not None and found.failed:
        sys.exit(CELLS_FAILED)


def write(found: Any, folder: Path) -> None:
    """Write the tables, the encoders and the picture of a sweep, and last summary.json, each whole or not at all."""
    import io

    import numpy as np

    from fieldsolve.encoders.pictures import plot_encoders
    from fieldsolve.output.folders import write_beside
    from fieldsolve.output.pictures import folder_pictures
    from fieldsolve.output.tables import csv_text, rows_of

    solution, file = found.study.solution, io.BytesIO()
    np.savez(file, first=solution.first, second=solution.second, law=found.study.law.table)
    files = {
        "table.csv": csv_text(list(found.table), rows_of(found.table)).encode(),
        "encoders.npz": file.getvalue(),
        **folder_pictures(lambda: {"figure": plot_encoders(found)}),
    }
    write_beside(folder, found.summary(), files)


def print_encoders(summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print one JSON object, report and table, or nothing."""
    from fieldsolve.output.tables import align, short, to_json

    if as_json:
        say(to_json(summary))
        return
    if quiet:
        return
    for sentence in summary["report"]:
        say(sentence)
    if "sweep" in summary:
        columns = [[name.replace("_", " "), *(short(one) for one in summary["sweep"][name])] for name in summary["columns"]]
        for line in align(list(zip(*columns, strict=True))):
            say(line)
    for note in summary["notes"]:
        say(f"note: {note}", err=True)


def _taus(text: str | None) -> list[float]:
    if text is None:
        return []
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or not all(0.003 <= one <= 1e9 for one in found):
        raise click.UsageError(f"--taus takes temperatures of at least 0.003, separated by commas, not {text!r}")
    return found
