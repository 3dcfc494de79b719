"""fieldsolve unimodal: one density, its Gibbs equilibrium."""

from typing import Any

import click

from fieldsolve.cli.options import guarded, solver_options


@click.command(short_help="One density, its Gibbs equilibrium.")
@click.option(
    "--potential", metavar="U",
    help="flat, two-well, vmf:KAPPA@x,y,z[*WEIGHT][+...] (@x,y on the circle), or a HEALPix map (.fits, .npy).  "
    "[default: two-well; on the circle vmf:6@1,0*0.7+6@-1,0*0.3]",
)  # fmt: skip
@click.option("--misalign", type=float, default=0.0, metavar="DEG", help="Rotate the potential about the y axis.")
@click.option("--cap-radius", type=float, default=0.5, show_default=True, metavar="RAD", help="Radius of the caps around wells.")
@solver_options(default_floor=0.0, starts="uniform, gibbs, tilted, random:SEED", default_start="uniform")
@guarded
def unimodal(**options: Any) -> None:
    """Minimise the energy of one density and certify it against the Gibbs equilibrium.

    \b
    Examples:
      fieldsolve unimodal --tau 0.2
      fieldsolve unimodal --tau 0.5 --floor 0.1 --potential "vmf:12@0,0,1+6@1,0,0*0.5" -o run

    Energies are in nats, relative to the uniform probability measure: F = int U rho/tau + int rho log rho.
    """
    from fieldsolve import potentials, solve
    from fieldsolve.cli.run import default_potential, grid_of, run, start_of

    def solved(watch: Any) -> Any:
        grid = grid_of(options["nside"], options["circle"])
        return solve.unimodal(
            grid,
            potentials.named(options["potential"] or default_potential(grid), grid).misaligned(options["misalign"]),
            options["tau"],
            options["floor"],
            smoothed=options["energy"] == "smoothed",
            critic=options["critic"],
            allow_unresolved=options["allow_unresolved"],
            start=start_of(options["start"] or "uniform"),
            tolerance=options["tol"],
            max_steps=options["max_steps"],
            stability=options["energy"] == "smoothed",
            escape=options["escape"],
            watch=watch,
        )

    run(
        solved, options["output"], options["force"], options["as_json"], options["quiet"], options["threads"],
        cap_radius=options["cap_radius"],
    )  # fmt: skip
