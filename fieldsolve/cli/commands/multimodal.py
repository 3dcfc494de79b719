"""fieldsolve multimodal: several densities against each other, boundary collapse and modality gap."""

from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, problem_options, result_options
from fieldsolve.cli.values import POSITIVE


@click.command(name="multimodal", short_help="Two densities: separation, collapse.")
@click.option(
    "--potential", multiple=True, metavar="U",
    help="flat, two-well, vmf:KAPPA@x,y,z[*WEIGHT][+...] (@x,y on the circle; @axis or @-axis in any dimension), poly:C0,C1,... "
    "of the height along the axis, or a HEALPix map (.fits, .npy); once for "
    "two modalities alike, or once for each.  "
    "[default: two-well; on the circle vmf:6@1,0*0.7+6@-1,0*0.3, with --dimension the same about the axis]",
)  # fmt: skip
@parameter_option("misalign")
@click.option(
    "--pairs", multiple=True, metavar="FILE",
    help="Potentials from matched embeddings: one file of shape (2, n, d), or twice one of shape (n, d); formats as in diagnose. "
    "On the sphere of their three leading directions; with --dimension d as functions of the height along the gap's axis.",
)  # fmt: skip
@click.option(
    "--bandwidth",
    type=POSITIVE,
    metavar="RAD",
    help="Of the kernel regression from pairs.  [default: spread n^(-1/6); of heights spread n^(-1/5)]",
)
@click.option("--normalize", is_flag=True, help="Scale rows of pairs to unit length instead of refusing others.")
@parameter_option("coupling")
@problem_options(
    starts="global, uniform, gibbs, tilted, random:SEED, intrinsic (for the smoothed energy), bands (with --dimension)",
    default_start="global; for the smoothed energy tilted, intrinsic and bands, whichever ends lower",
    default_floor="0.001",
)
@result_options("summary.json, fields.fits (.npz off the sphere), trace.csv and figure.png")
@guard
def command(**options: Any) -> None:
    """Minimise the energy of two coupled densities, or more: see them separate and collapse to the floor.

    \b
    Examples:
      fieldsolve multimodal --floor 1e-3 -o run
      fieldsolve multimodal --pairs features.npy --tau 0.1 --coupling 1 -o clip

    Energies are in nats, relative to the uniform probability measure: F = (F_1 + F_2 - coupling D)/2.
    """
    from fieldsolve.cli.solutions import chosen_grid, default_potential, problem_of, run
    from fieldsolve.embeddings.heights import read_heights
    from fieldsolve.embeddings.pairs import read_pairs
    from fieldsolve.grids import Zonal

    names = options["potential"]
    if options["pairs"] and (names or options["misalign"]):
        raise click.UsageError("--pairs gives both potentials; leave out --potential and --misalign")
    if (options["bandwidth"] is not None or options["normalize"]) and not options["pairs"]:
        raise click.UsageError("--bandwidth and --normalize go with --pairs")
    grid = chosen_grid(options)

    def potentials() -> Any:
        if options["pairs"] and isinstance(grid, Zonal):
            return read_heights(options["pairs"], options["normalize"]).potentials(options["bandwidth"])
        if options["pairs"]:
            return read_pairs(options["pairs"], options["normalize"]).potentials(options["bandwidth"])
        given = list(names or (default_potential(grid),))
        return given * 2 if len(given) == 1 else given

    run(lambda: problem_of(options, potentials(), grid), options)
