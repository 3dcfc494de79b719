"""fieldsolve multimodal: two densities against each other, boundary collapse and modality gap."""

from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guarded, solver_options


@click.command(short_help="Two densities: separation, collapse.")
@click.option(
    "--potential", multiple=True, metavar="U",
    help="flat, two-well, vmf:KAPPA@x,y,z[*WEIGHT][+...] (@x,y on the circle), or a HEALPix map (.fits, .npy); once for "
    "both modalities or twice.  [default: two-well; on the circle vmf:6@1,0*0.7+6@-1,0*0.3]",
)  # fmt: skip
@click.option("--misalign", type=float, default=0.0, metavar="DEG", help="Rotate the second potential about the y axis.")
@click.option(
    "--pairs", multiple=True, metavar="FILE",
    help="Potentials from matched embeddings: one .npy of shape (2, n, d), or twice one of shape (n, d).",
)  # fmt: skip
@click.option("--bandwidth", type=float, metavar="RAD", help="Of the kernel regression from pairs.  [default: spread n^(-1/6)]")
@click.option(
    "--coupling", type=float, default=1.0, show_default=True, help="lambda, 0 to 1: weight of the symmetric KL divergence; 1 is CLIP."
)
@solver_options(
    default_floor=1e-3,
    starts="global, uniform, gibbs, tilted, random:SEED",
    default_start="global; tilted for the smoothed energy",
)
@guarded
def multimodal(**options: Any) -> None:
    """Minimise the energy of two coupled densities: see them separate and collapse to the floor.

    \b
    Examples:
      fieldsolve multimodal --floor 1e-3 -o run
      fieldsolve multimodal --pairs features.npy --tau 0.1 --coupling 1 -o clip

    Energies are in nats, relative to the uniform probability measure: F = (F_1 + F_2 - coupling D)/2.
    """
    from fieldsolve import pairs, potentials, solve
    from fieldsolve.cli.run import default_potential, grid_of, run, start_of

    names = options["potential"]
    if len(names) > 2:
        raise click.UsageError("--potential is given once or twice")
    if options["pairs"] and (names or options["misalign"]):
        raise click.UsageError("--pairs gives both potentials; leave out --potential and --misalign")
    if options["bandwidth"] is not None and not options["pairs"]:
        raise click.UsageError("--bandwidth goes with --pairs")

    def solved(watch: Any) -> Any:
        grid = grid_of(options["nside"], options["circle"])
        if options["pairs"]:
            given: Any = pairs.read_pairs(tuple(Path(path) for path in options["pairs"]))
        else:
            first, second = ((names or (default_potential(grid),)) * 2)[:2]
            given = [
                potentials.named(first, grid),
                potentials.named(second, grid).misaligned(options["misalign"]),
            ]
        return solve.multimodal(
            grid,
            given,
            options["tau"],
            options["floor"],
            options["coupling"],
            smoothed=options["energy"] == "smoothed",
            critic=options["critic"],
            allow_unresolved=options["allow_unresolved"],
            bandwidth=options["bandwidth"],
            start=None if options["start"] is None else start_of(options["start"]),
            tolerance=options["tol"],
            max_steps=options["max_steps"],
            stability=options["energy"] == "smoothed",
            escape=options["escape"],
            watch=watch,
        )

    run(solved, options["output"], options["force"], options["as_json"], options["quiet"], options["threads"])
