"""fieldsolve check: thresholds that embeddings must keep, for tests of training runs."""

import sys
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import CHECK_FAILED, guard, printing_options, threads_option
from fieldsolve.cli.say import say
from fieldsolve.cli.studies import running
from fieldsolve.cli.values import Between, FileName

#: In the names of metrics that depend on the temperature.
_OF_TEMPERATURE = ("infonce", "siglip", "cross_entropy", "smoothed", "inverted")


@click.command(
    name="check",
    short_help="Thresholds that embeddings must keep.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="A [B] --max-METRIC X --min-METRIC Y ...")
@click.option("--tau", type=Between(0.003, 1e9), help="Temperature of the model; losses depend on it.  [default: 0.07]")
@click.option("--logit-scale", type=Between(1e-9, 1 / 0.003), metavar="SCALE", help="The same as 1/tau.")
@click.option("--bias", type=Between(-1e6, 1e6), help="Of a sigmoid loss, for siglip; InfoNCE without.")
@click.option("--normalize", is_flag=True, help="Scale rows to unit length instead of refusing others.")
@click.option("--pairs", type=FileName(), metavar="FILE", help="Matched rows, A's and B's from 0, in two columns (.npy or .csv).")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn.")
@threads_option
@printing_options
@guard
def command(words: tuple[str, ...], **options: Any) -> None:
    """Measure two modalities, and fail (exit code 6, one line a failed check) where a threshold is not kept.

    \b
    Examples:
      fieldsolve check images.npy captions.npy --max-centroid-gap 0.5 --min-recall 0.4
      fieldsolve check clip.npy --tau 0.01 --max-infonce 2 --min-mutual-neighbours 0.2

    METRIC is any metric of docs/metrics.md with - for _; recall, recall-at-5, recall-at-10, other-share-at-10 and
    partner-median-rank mean both directions. Files are those of diagnose. What fs.quick has takes a second, others a whole
    diagnosis.
    """
    from fieldsolve.diagnose.checks import check
    from fieldsolve.diagnose.sample import MOST_CLUSTERS
    from fieldsolve.diagnose.statistics.temperature import DEFAULT_TAU
    from fieldsolve.embeddings.files import read_modalities
    from fieldsolve.embeddings.partners import read_pairs_table
    from fieldsolve.numerics.errors import InputError
    from fieldsolve.output.tables import to_json

    sources, thresholds = _parsed(words)
    warm = sorted({one.metric for one in thresholds if any(word in one.metric for word in _OF_TEMPERATURE)})
    if options["tau"] is not None and options["logit_scale"] is not None:
        raise click.UsageError("--tau is 1/--logit-scale; give one of them")
    if options["logit_scale"] is not None:
        options["tau"] = 1 / options["logit_scale"]
    if warm and options["tau"] is None:
        raise click.UsageError(f"{', '.join(warm)} depends on the temperature; give the model's with --tau")
    pairs = None if options["pairs"] is None else read_pairs_table(Path(options["pairs"]))
    with running(options):
        most = MOST_CLUSTERS if pairs is None else None
        both = read_modalities(sources, options["normalize"], most=most, seed=options["seed"])
        if len(both) != 2:
            raise InputError(f"{', '.join(sources)}: hold {len(both)} modalities; check takes two")
        tau = DEFAULT_TAU if options["tau"] is None else options["tau"]
        found = check(both[0].rows, both[1].rows, tau, thresholds, options["bias"], pairs, options["seed"])
    if options["as_json"]:
        say(to_json(found.summary()))
    else:
        for line in found.failed:
            say(line)
        if not options["quiet"] and not found.failed:
            say(f"{len(thresholds)} check{'s' * (len(thresholds) != 1)} passed")
    if found.failed:
        sys.exit(CHECK_FAILED)


def _parsed(words: tuple[str, ...]) -> tuple[list[str], list[Any]]:
    """Files, and thresholds from --max-METRIC X and --min-METRIC=Y."""
    from fieldsolve.diagnose.checks import thresholds_of

    sources: list[str] = []
    thresholds = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            sources.append(word)
            continue
        name, has_value, text = word.partition("=")
        end = name[2:5]
        if end not in ("min", "max") or not name.startswith(("--min-", "--max-")):
            raise click.NoSuchOption(name)
        if not has_value:
            text = left.pop(0) if left else ""
        try:
            value = float(text)
        except ValueError:
            raise click.UsageError(f"{name} needs a number, not {text!r}") from None
        thresholds += thresholds_of("min" if end == "min" else "max", name[6:].replace("-", "_"), value)
    if not sources or not thresholds:
        raise click.UsageError("give files, and what they must keep, as --max-centroid-gap 0.5 or --min-recall 0.4")
    return sources, thresholds
