"""fieldsolve remedy: what losses against the modality gap do, from which weight on, and what they cost."""

from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, result_options
from fieldsolve.cli.studies import WRITTEN, check_places, deliver, running
from fieldsolve.cli.values import Between

_ALL = "all"


@click.command(name="remedy", short_help="What losses against the gap do, and cost.")
@click.argument("name", default=_ALL, metavar="[NAME]")
@parameter_option("tau", help_text="Temperature, from 1e-9 to 1e9; CLIP's is 0.01.")
@parameter_option("critic")
@click.option(
    "--dimension", "--dim", type=click.IntRange(2, 100_000), default=3, show_default=True, metavar="D",
    help="Components of the embeddings, on the sphere S^(D-1): CLIP's is 512. States are found on the circle (2) and S^2 (3).",
)  # fmt: skip
@click.option("--weight", type=Between(0.0), help="Weight to speak of.  [default: a published one, or where centroids close]")
@click.option("--weights", metavar="W1,W2,...", help="Weights of the states.  [default: up to four times what centroids need]")
@click.option("--potential", "potentials", multiple=True, metavar="U", help="As in multimodal.  [default: two wells]")
@parameter_option("misalign")
@parameter_option("floor", automatic="1e-3")
@parameter_option("nside", help_text="HEALPix resolution of the states.", automatic="8")
@parameter_option("circle", help_text="Points of the circle, for --dimension 2.", automatic="128")
@click.option("--law", metavar="LAW", help="A law of pairs, as in encoders: the weight that free encoders need is found for it.")
@click.option("--states/--no-states", default=None, help="Find the states.  [default: of one remedy, or for -o and --figure]")
@result_options(WRITTEN)
@guard
def command(name: str, **options: Any) -> None:
    """Say what a loss against the modality gap does, from which weight on, and what it costs alignment; without NAME, all of
    them.

    \b
    Examples:
      fieldsolve remedy --tau 0.01 --dimension 512
      fieldsolve remedy alignclip --tau 0.3 -o alignclip

    NAME: in-modal-negatives, joint-softmax, symmetric-kl, tempered-reference, sigmoid, uniformity:T, cross-uniformity:T,
    centroid, mmd:TAU or energy-distance; or a published loss: clip, alignclip, cua, four-directions, siglip. Two questions have
    two
    answers: with partners held still, densities react to potentials that stay; with free encoders partners move too.
    """
    from fieldsolve.encoders.laws import law_named
    from fieldsolve.grids import Kernel
    from fieldsolve.numerics.errors import InputError
    from fieldsolve.remedies.pictures import plot_comparison, plot_study
    from fieldsolve.remedies.study import compare_all, study
    from fieldsolve.remedies.table import PUBLISHED, REMEDIES, remedy_of

    if name.partition(":")[0] not in {_ALL, *PUBLISHED, *REMEDIES}:
        raise InputError(f"unknown remedy {name!r}; there is {', '.join(sorted({_ALL, *PUBLISHED, *REMEDIES}))}")
    if name == _ALL and (options["weight"] is not None or options["weights"] is not None):
        raise click.UsageError("--weight and --weights are of one remedy; name it")
    check_places(options)
    wanted = options["states"]
    if wanted is None:
        wanted = name != _ALL or options["output"] is not None or options["figure"] is not None
    space = Kernel(options["critic"], options["tau"]), options["dimension"]
    law = None if options["law"] is None else law_named(options["law"])
    with running(options) as watch:
        problem = _problem(options) if wanted and options["dimension"] in (2, 3) else None
        if name == _ALL:
            every = compare_all(problem, space, law, watch)
            summary, draw = every.summary(), lambda: plot_comparison(every)
        else:
            remedy, published = remedy_of(name)
            weight = published if options["weight"] is None else options["weight"]
            found = study(remedy, problem, space, _weights(options["weights"]), weight, law, watch)
            summary, draw = found.summary(), lambda: plot_study(found)
    deliver(summary, draw, options)


def _problem(options: dict[str, Any]) -> Any:
    """CLIP's problem on a small grid, smoothed."""
    from fieldsolve.cli.solutions import default_potential
    from fieldsolve.equilibrium.problem import Problem
    from fieldsolve.grids import Circle, Healpix

    grid = Healpix(options["nside"] or 8) if options["dimension"] == 3 else Circle(options["circle"] or 128)
    potentials = list(options["potentials"]) or [default_potential(grid)]
    return Problem(
        potentials * 2 if len(potentials) == 1 else potentials, options["tau"], options["floor"], grid=grid, energy="smoothed",
        critic=options["critic"], misalign=options["misalign"],
    )  # fmt: skip


def _weights(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return sorted({float(part) for part in text.split(",")})
    except ValueError:
        raise click.UsageError(f"--weights takes numbers separated by commas, not {text!r}") from None
