"""fieldsolve barrier: what holds the matched state, and how long batch noise takes across it."""

from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, result_options
from fieldsolve.cli.studies import WRITTEN, check_places, deliver, running
from fieldsolve.cli.values import POSITIVE

_PROBLEM = ("tau", "coupling", "floor", "misalign", "batch", "positive", "critic", "nside", "circle", "dimension", "grid")


@click.command(name="barrier", short_help="What holds the matched state against separating.")
@click.option(
    "--potential",
    multiple=True,
    metavar="U",
    help="Once for both modalities, or twice; names as in multimodal.  [default: flat]",
)
@parameter_option("tau")
@parameter_option("coupling", help_text="This coupling alone, or the one that --over is at.")
@parameter_option("floor", help_text="Least density, 0 to below 1.", automatic="0")
@parameter_option("misalign")
@parameter_option("batch")
@parameter_option("positive")
@parameter_option("critic")
@parameter_option("nside", help_text="HEALPix resolution; 8 takes minutes.", automatic="none")
@parameter_option("circle", help_text="So many points of the circle S^1 instead.")
@parameter_option("dimension", help_text="Densities of the height along one axis of S^(D-1).", automatic="3")
@parameter_option("grid", help_text="This grid instead, as zonal:512,336.")
@click.option(
    "--over",
    metavar="NAME=V1,V2,...",
    help="A parameter (coupling, tau, batch, floor, misalign) and its values.  [default: five couplings up to the spinodal of "
    "flat potentials]",
)
@click.option("--particles", type=click.IntRange(2, 100_000), metavar="N", help="Follow N particles of each modality too.")
@click.option("--rate", type=POSITIVE, default=1.0, show_default=True, help="Length of their steps.")
@click.option("--runs", type=click.IntRange(1, 100_000), default=16, show_default=True, help="Seeded runs of them.")
@click.option("--steps", type=click.IntRange(1, 10**9), default=100_000, show_default=True, help="Most steps of a run.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of the first run.")
@result_options(WRITTEN)
@guard
def command(**options: Any) -> None:
    """The barrier between the matched and the separated state of two smoothed densities, in nats (the paper's Section 5).

    \b
    Examples:
      fieldsolve barrier --dimension 512 --tau 0.01 -o barrier
      fieldsolve barrier --circle 64 --tau 0.5 --batch 15 --over coupling=0.37,0.375,0.38 --particles 64 -o escapes

    At each centroid gap the least energy is looked for; the highest of these is the pass, from which one direction leads down to
    either side. Energies are per pair: n particles cross a height h against noise of temperature T in times whose logarithm
    grows in the scale of 2 n h/T, and the noise itself counts as an entropy.
    """
    from fieldsolve.equilibrium.problem import Problem
    from fieldsolve.theorems.barriers import Escapes, barriers
    from fieldsolve.theorems.pictures import plot_barriers

    names = options["potential"]
    if len(names) > 2:
        raise click.UsageError("--potential is given once or twice")
    check_places(options)
    parameter, values = _over(options["over"])
    is_given = click.get_current_context().get_parameter_source("coupling") is not click.core.ParameterSource.DEFAULT
    if is_given and parameter == "coupling":
        if values is not None:
            raise click.UsageError("--over has the couplings; leave out --coupling")
        values = [options["coupling"]]
    if parameter != "coupling" and not is_given:
        raise click.UsageError(
            f"--over is of {parameter}; say at which --coupling, as one below the spinodal of fieldsolve stability"
        )
    places = {name: options[name] for name in _PROBLEM if options[name] is not None}
    if not any(name in places for name in ("nside", "circle", "dimension", "grid")):
        places["dimension"] = 3
    potentials = [*names, *names] if len(names) == 1 else list(names or ("flat", "flat"))
    problem = Problem(potentials, **{"energy": "smoothed", "floor": 0.0, **places})
    escapes = None
    if options["particles"] is not None:
        escapes = Escapes(options["particles"], options["rate"], options["runs"], options["steps"], options["seed"])
    with running(options) as watch:
        found = barriers(problem, parameter, values, escapes, watch)
    deliver(found.summary(), lambda: plot_barriers(found), options)


def _over(text: str | None) -> tuple[str, list[float] | None]:
    """A parameter and its values. Raises UsageError for what is neither."""
    if text is None:
        return "coupling", None
    name, _, numbers = text.partition("=")
    try:
        values = [float(one) for one in numbers.split(",")]
    except ValueError:
        values = []
    if name not in ("coupling", "tau", "batch", "floor", "misalign") or not values:
        raise click.UsageError(f"--over names a parameter and its values, as coupling=0.42,0.43, not {text!r}")
    return name, values
