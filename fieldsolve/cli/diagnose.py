"""fieldsolve diagnose: the modality gap of real embeddings, with uncertainty and with the theory beside the data."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guarded

@click.command(short_help="The modality gap of real embeddings.")
@click.argument("sources", nargs=-1, required=True, metavar="A [B ...]")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write report.html, summary.json, metrics.csv, table.md, table.tex and figures.")
@click.option("--tau", type=float, help="Temperature of the model, at least 0.003.  [default: 0.07, where CLIP's training starts]")
@click.option("--logit-scale", type=float, metavar="SCALE", help="The same as 1/tau; 100 for OpenAI's CLIP.")
@click.option("--normalize", is_flag=True, help="Scale rows to unit length instead of refusing others.")
@click.option("--pairs", type=click.Path(path_type=Path), metavar="FILE", help="Matched rows, A's and B's from 0, in two columns (.npy or .csv): five captions an image, say.")
@click.option("--corrupt", metavar="P1,P2,...", help="Measure again with partners replaced with these probabilities.")
@click.option("--groups", type=click.Path(path_type=Path), metavar="FILE", help="One label a row of A (.npy or text): replace partners within groups only.")
@click.option("--resamples", type=click.IntRange(min=1), default=999, show_default=True, help="Bootstraps and permutations, each.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn.")
@click.option("--threads", type=click.IntRange(min=1), help="Most threads.  [default: all cores; same bits for any number]")
@click.option("--force", is_flag=True, help="Replace earlier results in DIR.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors (and the JSON object).")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@guarded
def diagnose(sources: tuple[str, ...], **options: Any) -> None:
    """Measure how two or more modalities of matched embeddings differ, and say what it means.

    \b
    Examples:
      fieldsolve diagnose images.npy captions.npy --logit-scale 100 -o gap
      fieldsolve diagnose clip.npz::image clip.npz::text --tau 0.01 --corrupt 0.25,0.5,1 -o gap

    Embeddings are tables (n, d), rows matched one by one: .npy, also (2, n, d); .npz, .safetensors (also bfloat16) and .pt, all arrays
    or FILE::NAME; .parquet and .csv, FILE::COLUMN (with the extra `tables`). Nothing is unpickled. docs/metrics.md defines the metrics.
    """
    from fieldsolve import archive, threads
    from fieldsolve.diagnose import diagnose as diagnosed
    from fieldsolve.diagnose import read_groups, read_modalities, read_pairs_table

    output = options["output"]
    corrupt = _probabilities(options["corrupt"])
    if output is not None:
        archive.check_folder(output, options["force"])
    with threads.limited(options["threads"]) if options["threads"] is not None else nullcontext(), _progress(options["quiet"]) as watch:
        found = diagnosed(
            *read_modalities(sources, options["normalize"]),
            tau=options["tau"],
            logit_scale=options["logit_scale"],
            pairs=None if options["pairs"] is None else read_pairs_table(options["pairs"]),
            corrupt=corrupt,
            groups=None if options["groups"] is None else read_groups(options["groups"]),
            resamples=options["resamples"],
            seed=options["seed"],
            watch=watch,
        )
        if output is not None:
            from fieldsolve.diagnose.report import files

            archive.save_files(output, files(found), options["force"])
    print_diagnosis(found.summary(), options["as_json"], options["quiet"])
    if not options["quiet"] and not options["as_json"]:
        if output is not None:
            click.echo(f"written to {output}/: {', '.join(sorted(path.name for path in output.iterdir()))}", err=True)
    if not options["quiet"]:
        for note in found.summary()["notes"]:
            click.echo(f"note: {note}", err=True)


def print_diagnosis(summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print one JSON object, verdicts with the main metrics, or nothing."""
    from fieldsolve import archive
    from fieldsolve.diagnose.report import main_table

    if as_json:
        click.echo(archive.to_json(summary))
        return
    if quiet:
        return
    for one in summary.get("comparisons", [summary]):
        click.echo(f"{one['first']} (a) and {one['second']} (b): {one['pairs']} pairs, temperature {summary['tau']:g}\n")
        for sentence in one["verdict"]:
            click.echo(sentence)
        rows = main_table(one["metrics"])
        widths = [2 + max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        click.echo()
        for row in rows:
            click.echo("".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        beside = [row[0] for row in rows[1:] if _is_beside(one["metrics"][row[0]])]
        if beside:
            click.echo(f"\nbeside their intervals, which take off the bias of small samples: {', '.join(beside)}")


def _is_beside(metric: dict[str, float | None]) -> bool:
    value, low, high = metric["value"], metric["ci_low"], metric["ci_high"]
    return value is not None and low is not None and high is not None and not low <= value <= high


def _probabilities(text: str | None) -> tuple[float, ...]:
    from fieldsolve.diagnose.corruption import check_probabilities

    if text is None:
        return ()
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"--corrupt takes probabilities separated by commas, not {text!r}") from None
    check_probabilities(found)
    return found


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """A callback for what is being done and how much of how much: a bar on stderr, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(line, description=what, completed=done, total=total)
