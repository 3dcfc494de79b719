"""fieldsolve unimodal: one density, its Gibbs equilibrium."""

from math import pi
from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, problem_options, result_options
from fieldsolve.cli.values import Between


@click.command(name="unimodal", short_help="One density, its Gibbs equilibrium.")
@click.option(
    "--potential", metavar="U",
    help="flat, two-well, vmf:KAPPA@x,y,z[*WEIGHT][+...] (@x,y on the circle; @axis or @-axis in any dimension), poly:C0,C1,... "
    "of the height along the axis, or a HEALPix map (.fits, .npy).  "
    "[default: two-well; on the circle vmf:6@1,0*0.7+6@-1,0*0.3, with --dimension the same about the axis]",
)  # fmt: skip
@parameter_option("misalign", help_text="Rotate the potential by so many degrees: about the y axis, on a circle in its plane.")
@click.option(
    "--cap-radius",
    type=Between(0, pi, above=True),
    default=0.5,
    show_default=True,
    metavar="RAD",
    help="Radius of the caps around wells.",
)
@problem_options(starts="uniform, gibbs, tilted, random:SEED", default_start="uniform", default_floor="0")
@result_options("summary.json, fields.fits (.npz off the sphere), trace.csv and figure.png")
@guard
def command(**options: Any) -> None:
    """Minimise the energy of one density and certify it against the Gibbs equilibrium.

    \b
    Examples:
      fieldsolve unimodal --tau 0.2
      fieldsolve unimodal --tau 0.5 --floor 0.1 --potential "vmf:12@0,0,1+6@1,0,0*0.5" -o run

    Energies are in nats, relative to the uniform probability measure: F = int U rho/tau + int rho log rho.
    """
    from fieldsolve.cli.solutions import chosen_grid, default_potential, problem_of, run

    grid = chosen_grid(options)
    run(lambda: problem_of(options, options["potential"] or default_potential(grid), grid), options, options["cap_radius"])
