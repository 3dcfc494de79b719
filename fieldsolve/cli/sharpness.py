"""fieldsolve sharpness: the smoothed energy against the intrinsic one as the kernel sharpens."""

from typing import Any

import click

from fieldsolve.cli.options import guarded
from fieldsolve.cli.study import counted, deliver, study_options


@click.command(short_help="Smoothed against intrinsic, over tau.")
@click.option(
    "--potential", multiple=True, metavar="U",
    help="Once for one modality, twice for two; names as in unimodal.  [default: two-well; on the circle vmf:6@1,0*0.7+6@-1,0*0.3]",
)
@click.option("--misalign", type=float, metavar="DEG", help="Two modalities: the second has the last potential rotated by this.")
@click.option("--at", type=float, default=0.5, show_default=True, metavar="TAU", help="Temperature of the Gibbs densities that are smoothed.")
@click.option("--floor", type=float, default=0.0, show_default=True, help="Their floor, 0 to below 1.")
@click.option("--critic", type=click.Choice(["cosine", "rbf", "geodesic"]), default="cosine", show_default=True, help="Similarity behind the kernel.")
@click.option("--nside", type=int, help="HEALPix resolution.  [default: 64]")
@click.option("--circle", type=int, metavar="POINTS", help="So many points of the circle S^1 instead.")
@click.option("--from", "highest", type=float, default=1.0, show_default=True, metavar="TAU", help="Highest temperature.")
@click.option("--to", "lowest", type=float, metavar="TAU", help="Lowest temperature.  [default: the lowest that the grid resolves]")
@click.option("--steps", type=click.IntRange(2, 1000), default=16, show_default=True, help="Temperatures, evenly spaced in logarithms.")
@click.option("--margin", type=float, metavar="ETA", help="Of the ground states' neighbourhood.  [default: a quarter of the range of U]")
@study_options
@guarded
def sharpness(**options: Any) -> None:
    """Follow |J - F|, the KDE errors and their bounds as tau falls [Thm 3.2, 4.2], and what does not vanish [Rem 4.2].

    \b
    Examples:
      fieldsolve sharpness -o sharp
      fieldsolve sharpness --misalign 40 --to 0.001 --json

    The densities are Gibbs densities at the temperature --at and stay; the kernel sharpens. The last columns are the logarithm of the
    mass that the Gibbs density at each tau leaves where U exceeds its minimum by ETA or more, and its bound [Prop 3.3].
    """
    import numpy as np

    from fieldsolve import archive
    from fieldsolve.charts import plot_sharpness
    from fieldsolve.cli.run import default_potential, grid_of
    from fieldsolve.errors import InputError
    from fieldsolve.kernels import Kernel
    from fieldsolve.potentials import named
    from fieldsolve.sharpness import sharpness as study

    names = options["potential"]
    if len(names) > 2:
        raise click.UsageError("--potential is given once or twice")
    if options["output"] is not None:
        archive.check_folder(options["output"], options["force"])
    grid = grid_of(options["nside"], options["circle"])
    potentials = [named(name, grid) for name in names or (default_potential(grid),)]
    if options["misalign"] is not None:
        potentials = [potentials[0], potentials[-1].misaligned(options["misalign"])]
    lowest = grid.least_tau(Kernel(options["critic"], 1.0)) * 1.001 if options["lowest"] is None else options["lowest"]
    if not 0 < lowest < options["highest"]:
        raise InputError(f"the temperatures must fall from --from to --to, above 0, not from {options['highest']:g} to {lowest:g}")
    taus = np.geomspace(options["highest"], lowest, options["steps"]).tolist()
    with counted() as watch:
        found = study(
            grid, potentials, taus, critic=options["critic"], at=options["at"], floor=options["floor"], margin=options["margin"],
            watch=watch,
        )  # fmt: skip
    header = ["tau", "difference", "kde_error", "log_error", "bound", "smoothed_symmetric_kl", "log_outside", "log_outside_bound"]
    columns = [
        taus, found.difference.tolist(), found.kde_error.max(axis=0).tolist(), found.log_error.max(axis=0).tolist(),
        found.bound.tolist(), found.smoothed_symmetric_kl.tolist(), found.log_outside.tolist(), found.log_outside_bound.tolist(),
    ]  # fmt: skip
    figures = {
        "schema": "fieldsolve/sharpness/1",
        "modalities": found.modalities,
        "potential": list(found.labels),
        "critic": found.critic,
        "at": found.at,
        "floor": found.floor,
        "size": grid.size,
        "least_density": found.least_density.tolist(),
        "symmetric_kl": found.symmetric_kl,
        "margin": found.margin,
        "difference_rate": found.difference_rate,
        "kde_rate": found.kde_rate,
        "concentration_rate": found.concentration_rate,
        "quadratic_bound": None if found.quadratic_bound is None else found.quadratic_bound.tolist(),
        **dict(zip(header, columns, strict=True)),
    }
    sentences = [
        f"|J - F| falls like tau^{found.difference_rate:.3f}, the KDE error like tau^{found.kde_rate:.3f} (between the two lowest tau)",
        f"largest |J - F|/bound {np.max(np.abs(found.difference) / found.bound):.3g}; it must not exceed 1",
        f"mass away from the ground states falls like exp(-{found.concentration_rate:.4g}/tau); margin {found.margin:.4g}",
    ]
    if found.modalities == 2:
        sentences.append(f"symmetric KL {found.symmetric_kl:.6g}, smoothed at the lowest tau {found.smoothed_symmetric_kl[-1]:.6g}: it stays")
    deliver(
        figures, header, list(zip(*columns, strict=True)), sentences, lambda: plot_sharpness(found), options["output"],
        options["force"], options["as_json"],
    )  # fmt: skip
