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
    centroid, mmd:TAU or energy-distance; or a published loss: clip, alignclip, cua, joint-softmax-half, siglip. Two questions
    have two answers: in training partners move with the densities (free encoders, --law); with partners held still, a stress
    test of the loss, densities react to potentials that stay. `curvature` below 0: the mode of that degree grows.
    """
    from fieldsolve.encoders.laws import law_named
    from fieldsolve.grids import Kernel
    from fieldsolve.remedies.pictures import plot_comparison, plot_study
    from fieldsolve.remedies.published import remedy_of
    from fieldsolve.remedies.study import compare_all, study, study_published

    is_all = name.lower() == _ALL
    remedy, published = (None, None) if is_all else remedy_of(name)
    _check_usage(options, is_all)
    check_places(options)
    wanted = options["states"]
    if wanted is None:
        wanted = not is_all or options["output"] is not None or options["figure"] is not None
    kernel, dimension = Kernel(options["critic"], options["tau"]), options["dimension"]
    law = None if options["law"] is None else law_named(options["law"])
    with running(options) as watch:
        problem = _problem(options) if wanted and dimension in (2, 3) else None
        if remedy is None:
            every = compare_all(kernel, dimension, problem, law, watch)
            summary, draw = every.summary(), lambda: plot_comparison(every)
        else:
            more = {"problem": problem, "weights": _weights(options["weights"]), "weight": options["weight"], "law": law}
            if published is None:
                found = study(remedy, kernel, dimension, watch=watch, **more)
            else:
                found = study_published(published, kernel, dimension, watch=watch, **more)
            summary, draw = found.summary(), lambda: plot_study(found)
    deliver(summary, draw, options)


def _check_usage(options: dict[str, Any], is_all: bool) -> None:
    """Refuse options that would not be looked at."""
    if is_all and (options["weight"] is not None or options["weights"] is not None):
        raise click.UsageError("--weight and --weights are of one remedy; name it")
    of_states = [name for name in ("weights", "potentials", "nside", "circle") if options[name]]
    if options["dimension"] not in (2, 3) and (options["states"] or of_states):
        raise click.UsageError(f"states are found in dimension 2 and 3, not {options['dimension']}; leave out what asks for them")
    if options["states"] is False and of_states:
        raise click.UsageError(f"--{of_states[0].rstrip('s')} is of the states, which --no-states leaves out")
    if options["nside"] and options["dimension"] == 2:
        raise click.UsageError("--nside is of the sphere, --dimension 3; give --circle")
    if options["circle"] and options["dimension"] == 3:
        raise click.UsageError("--circle is of --dimension 2; give --nside")


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
