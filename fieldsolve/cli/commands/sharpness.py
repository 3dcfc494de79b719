"""fieldsolve sharpness: the smoothed energy against the intrinsic one as the kernel sharpens."""

from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, result_options
from fieldsolve.cli.studies import WRITTEN, check_places, deliver, running
from fieldsolve.cli.values import POSITIVE, Between


@click.command(name="sharpness", short_help="Smoothed against intrinsic, over tau.")
@click.option(
    "--potential",
    multiple=True,
    metavar="U",
    help="Once for one modality, twice for two; names and default as in unimodal.",
)
@click.option(
    "--misalign",
    type=Between(-1e6, 1e6),
    metavar="DEG",
    help="Two modalities: the second has the last potential rotated by this.",
)
@click.option(
    "--at",
    type=Between(1e-9, 1e9),
    default=0.5,
    show_default=True,
    metavar="TAU",
    help="Temperature of the Gibbs densities that are smoothed.",
)
@parameter_option("floor", help_text="Their floor, 0 to below 1.", automatic="0")
@parameter_option("critic")
@parameter_option("nside", help_text="HEALPix resolution.")
@parameter_option("circle", help_text="So many points of the circle S^1 instead.")
@parameter_option("dimension", help_text="Densities of the height along one axis of S^(D-1) instead.")
@parameter_option("grid", help_text="This grid instead, as zonal:512,168.")
@click.option(
    "--from",
    "highest",
    type=Between(1e-9, 1e9),
    metavar="TAU",
    help="Highest temperature.  [default: 1; 0.25 for the geodesic critic]",
)
@click.option(
    "--to",
    "lowest",
    type=Between(1e-9, 1e9),
    metavar="TAU",
    help="Lowest temperature.  [default: the lowest that the grid resolves]",
)
@click.option(
    "--steps", type=click.IntRange(2, 1000), default=16, show_default=True, help="Temperatures, evenly spaced in logarithms."
)
@click.option(
    "--margin", type=POSITIVE, metavar="ETA", help="Of the ground states' neighbourhood.  [default: a quarter of the range of U]"
)
@result_options(WRITTEN)
@guard
def command(**options: Any) -> None:
    """Follow |J - F|, the KDE errors and their bounds as tau falls [Thm 3.2, 4.2], and what does not vanish [Rem 4.2].

    \b
    Examples:
      fieldsolve sharpness -o sharp
      fieldsolve sharpness --misalign 40 --to 0.001 --json

    The densities are Gibbs densities at the temperature --at and stay; the kernel sharpens. The last columns are the logarithm of
    the mass that the Gibbs density at each tau leaves where U exceeds its minimum by ETA or more, and its bound [Prop 3.3].
    """
    from fieldsolve.cli.solutions import chosen_grid, default_potential
    from fieldsolve.equilibrium.potentials import potential_named
    from fieldsolve.theorems.pictures import plot_sharpness
    from fieldsolve.theorems.sharpness import default_taus
    from fieldsolve.theorems.sharpness import sharpness as study

    names = options["potential"]
    if len(names) > 2:
        raise click.UsageError("--potential is given once or twice")
    check_places(options)
    grid = chosen_grid(options)
    potentials = [potential_named(name, grid) for name in names or (default_potential(grid),)]
    if options["misalign"] is not None:
        potentials = [potentials[0], potentials[-1].misalign(options["misalign"], grid)]
    critic = options["critic"]
    taus = default_taus(grid, critic, options["highest"], options["lowest"], options["steps"])
    with running(options) as watch:
        found = study(
            grid,
            potentials,
            taus.tolist(),
            critic=critic,
            at=options["at"],
            floor=options["floor"] or 0.0,
            margin=options["margin"],
            watch=watch,
        )
    deliver(found.summary(), lambda: plot_sharpness(found), options)
