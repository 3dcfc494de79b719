"""fieldsolve diagnose: the modality gap of real embeddings, with uncertainty and with the theory beside the data."""

from math import nan
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guard, result_options
from fieldsolve.cli.say import say
from fieldsolve.cli.studies import check_file, running
from fieldsolve.cli.values import Between, FileName


@click.command(name="diagnose", short_help="The modality gap of real embeddings.")
@click.argument("sources", nargs=-1, required=True, metavar="A [B ...]")
@click.option(
    "--tau",
    type=Between(0.003, 1e9),
    help="Temperature of the model, at least 0.003.  [default: 0.07, where CLIP's training starts]",
)
@click.option(
    "--logit-scale",
    type=Between(1e-9, 1 / 0.003),
    metavar="SCALE",
    help="The same as 1/tau, exp of the stored parameter; 100 for OpenAI's CLIP.",
)
@click.option("--normalize", is_flag=True, help="Scale rows to unit length instead of refusing others.")
@click.option(
    "--pairs",
    type=FileName(),
    metavar="FILE",
    help="Matched rows, A's and B's from 0, in two columns (.npy or .csv): five captions an image, say.",
)
@click.option("--corrupt", metavar="P1,P2,...", help="Measure again with partners replaced with these probabilities.")
@click.option(
    "--groups",
    type=FileName(),
    metavar="FILE",
    help="One label a row of A (.npy or text): gap and recall by group; --corrupt replaces within groups.",
)
@click.option(
    "--means",
    type=FileName(),
    metavar="FILE.npz",
    help="Take these means off (of --save-means, of other rows) instead of those of the other folds.",
)
@click.option("--save-means", type=FileName(), metavar="FILE.npz", help="Write the means and scales of both modalities.")
@click.option(
    "--loss", type=click.Choice(["infonce", "siglip"]), default="infonce", show_default=True, help="What the model minimises."
)
@click.option("--bias", type=Between(-1e6, 1e6), help="Bias of the sigmoid loss; with --loss siglip only.  [default: -10]")
@click.option("--theory", is_flag=True, help="Set the sample beside the equilibria of its own potentials: half a minute.")
@click.option(
    "--exchanges",
    type=click.IntRange(99, 100_000),
    default=999,
    show_default=True,
    help="Exchanges of partners for p-values; at most 199 of costly ones.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn.")
@result_options("report.html, summary.json, metrics.csv, table.md, table.tex and figures", has_figure=False)
@guard
def command(sources: tuple[str, ...], **options: Any) -> None:
    """Measure how two or more modalities of matched embeddings differ, and say what it means.

    \b
    Examples:
      fieldsolve diagnose images.npy captions.npy --logit-scale 100 -o diagnosis
      fieldsolve diagnose clip.npz::image clip.npz::text --tau 0.01 --corrupt 0.25,0.5,1 --theory -o diagnosis

    Embeddings are tables (n, d), rows matched one by one: .npy, also (2, n, d); .npz, .safetensors (also bfloat16) and .pt, all
    arrays or FILE::NAME; .parquet and .csv, FILE::COLUMN (with the extra `tables`). Nothing is unpickled. docs/metrics.md defines
    the metrics.
    """
    from fieldsolve.diagnose.diagnosis import diagnose
    from fieldsolve.diagnose.sample import MOST_CLUSTERS
    from fieldsolve.embeddings.centring import Means
    from fieldsolve.embeddings.files import read_modalities
    from fieldsolve.embeddings.partners import read_groups, read_pairs_table
    from fieldsolve.numerics.errors import InputError
    from fieldsolve.output.folders import check_folder, write_files
    from fieldsolve.runs import LEDGER

    output = options["output"]
    groups = None if options["groups"] is None else read_groups(options["groups"])
    corrupt = _probabilities(options["corrupt"])
    bias = _bias(options["loss"], options["bias"])
    means = None if options["means"] is None else Means.load(options["means"])
    if output is not None:
        check_folder(output, options["force"])
        if (output / LEDGER).exists():
            raise InputError(f"{output}: holds the ledger of another command's runs; choose another folder")
    if options["save_means"] is not None:
        _check_means(options["save_means"], options["force"])
    most = MOST_CLUSTERS if options["pairs"] is None and groups is None else None
    with running(options) as watch:
        given = read_modalities(sources, options["normalize"], most=most, seed=options["seed"])
        if options["save_means"] is not None and len(given) > 2:
            raise InputError(f"--save-means: means are of two modalities, and there are {len(given)}; give two at a time")
        found = diagnose(
            *given,
            tau=_temperature(options["tau"], options["logit_scale"]),
            groups=groups,
            means=means,
            bias=bias,
            pairs=None if options["pairs"] is None else read_pairs_table(options["pairs"]),
            corrupt=corrupt,
            exchanges=options["exchanges"],
            seed=options["seed"],
            watch=watch,
        )
        if options["theory"] or output is not None:
            found = found.with_freedom(watch)
        if options["theory"]:
            found = found.with_theory(watch)
        if output is not None:
            from fieldsolve.diagnose.report import files

            write_files(output, found.summary(), files(found), options["force"])
    if options["save_means"] is not None:
        _save_means(found, options)
    summary = found.summary()
    print_diagnosis(summary, options["as_json"], options["quiet"])
    if output is not None and not options["quiet"] and not options["as_json"]:
        say(f"written to {output}/: {', '.join(sorted(path.name for path in output.iterdir()))}", err=True)
    if not options["quiet"]:
        for note in summary["notes"]:
            say(f"note: {note}", err=True)


def _check_means(path: Path, force: bool) -> None:
    """Refuse what is no name for means, or holds something else."""
    from fieldsolve.embeddings.centring import Means

    if path.suffix.lower() != ".npz":
        raise click.UsageError(f"--save-means {path}: means are written as .npz")
    check_file(path, force)
    if path.exists():
        Means.load(path)  # only means are replaced by means


def _save_means(found: Any, options: dict[str, Any]) -> None:
    from fieldsolve.output.folders import write_whole

    path = options["save_means"]
    write_whole(path, found.comparisons[0].means.content())
    if not options["quiet"] and not options["as_json"]:
        say(f"written to {path}; to take them off new rows of {found.modalities[0].name} (mean_b of the other):", err=True)
        say(f"  rows = rows - numpy.load({str(path)!r})['mean_a']", err=True)
        say("  rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)", err=True)


def print_diagnosis(summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print one JSON object, what was found with a few metrics, or nothing."""
    from fieldsolve.diagnose.tables import TERMINAL, group_table, mixed_sentences, table, tests_sentence
    from fieldsolve.output.tables import align, to_json

    if as_json:
        say(to_json(summary))
        return
    if quiet:
        return
    for one in summary.get("comparisons", [summary]):
        say(f"{one['first']} (a) and {one['second']} (b): {one['pairs']} pairs, temperature {summary['tau']:g}")
        say(f"{one['summary']}\n")
        for finding in one["findings"]:
            say(f"- {finding['sentence']} {finding['advice']}".rstrip())
        for sentence in [*one.get("freedom", {}).get("report", []), *one.get("theory", [])]:
            say(f"- {sentence}")
        say("")
        for line in align([row[:-1] for row in table(one["metrics"], TERMINAL)]):
            say(line)
        for line in mixed_sentences(one["mixed"]):
            say(line)
        for line in align(group_table(one["by_group"])) if one["by_group"] else []:
            say(line)
        say(tests_sentence(one["tests"]["holm"]))
        for again in one["corruption"]:
            recalls = " and ".join(f"{again['metrics'][f'recall_{way}_at_1']['value']:.3g}" for way in ("a_to_b", "b_to_a"))
            gap = again["metrics"]["centroid_gap"]["value"]
            say(f"with {again['replaced']:.0%} of the partners replaced: recall@1 {recalls}, centroid gap {gap:.3f}")


def _bias(loss: str, bias: float | None) -> float | None:
    """The bias of the sigmoid loss, SigLIP's own at the start without; None for InfoNCE."""
    if loss == "infonce":
        if bias is not None:
            raise click.UsageError("--bias is of the sigmoid loss; give --loss siglip with it")
        return None
    return -10.0 if bias is None else bias


def _temperature(tau: float | None, logit_scale: float | None) -> float | None:
    """tau, or 1/logit scale."""
    if tau is not None and logit_scale is not None:
        raise click.UsageError("--tau is 1/--logit-scale; give one of them")
    return tau if logit_scale is None else 1 / logit_scale


def _probabilities(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = (nan,)
    if not all(0 <= one <= 1 for one in found):
        raise click.UsageError(f"--corrupt takes probabilities from 0 to 1, separated by commas, not {text!r}")
    return found
