"""fieldsolve stability: at which coupling two uniform densities break apart under smoothing, and along which mode."""

from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, result_options
from fieldsolve.cli.studies import WRITTEN, check_places, deliver, running


@click.command(name="stability", short_help="Where uniform densities part, by mode.")
@parameter_option("tau", help_text="Temperature, from 1e-9 to 1e9; CLIP's is 0.01.")
@parameter_option("critic")
@click.option(
    "--dimension", "--dim", type=click.IntRange(2, 100_000), default=3, show_default=True, metavar="D",
    help="Components of the embeddings, on the sphere S^(D-1): 2 is the circle, CLIP's is 512.",
)  # fmt: skip
@click.option("--lmax", type=click.IntRange(1, 10_000), default=16, show_default=True, help="Largest degree of the modes.")
@parameter_option("nside", help_text="Measure the growth of modes on this HEALPix grid too (dimension 3).", automatic="none")
@result_options(WRITTEN)
@guard
def command(**options: Any) -> None:
    """Find the coupling at which two matched uniform densities break apart, mode by mode (smoothed energy, U = 0).

    \b
    Examples:
      fieldsolve stability --tau 0.3 --nside 32 -o stability
      fieldsolve stability --tau 0.01 --dimension 512 --figure clip.pdf

    The mode of degree l grows beyond lambda_c(l) = 1/2 - k_l/4, with k_l the kernel's spectrum. Degree 1 is a dipole: the
    centroids part. A penalty beta = 1 - lambda on the symmetric KL must exceed 1 - lambda_c to keep the state. The transition
    is of first order: separated states lie below the uniform pair from the binodal on. Then what it means for published losses.
    """
    from fieldsolve.grids import Healpix, Kernel
    from fieldsolve.theorems.bands import band_binodal, measured_binodal
    from fieldsolve.theorems.dispersion import dispersion, measured_growth
    from fieldsolve.theorems.pictures import plot_dispersion

    if options["nside"] is not None and options["dimension"] != 3:
        raise click.UsageError("--nside measures on the sphere S^2, which is --dimension 3")
    check_places(options)
    kernel = Kernel(options["critic"], options["tau"])
    with running(options) as watch:
        found = dispersion(kernel, options["dimension"], options["lmax"])
        measured, transition = None, None
        bands = None if kernel.critic.linear is None else band_binodal(kernel, options["dimension"])
        if options["nside"] is not None:
            transition = None if bands is None else measured_binodal(Healpix(options["nside"]), kernel, watch)
            grid, at = Healpix(options["nside"]), found.breaks_at
            measured = [
                {"degree": degree, "coupling": at, "measured": measured_growth(grid, kernel, at, degree), "predicted": predicted}
                for degree, predicted in enumerate(found.growth(at).tolist()[:4], start=1)
            ]
    deliver(_summary(found, measured, bands, transition), lambda: plot_dispersion(found), options)


def _summary(found: Any, measured: list[dict[str, Any]] | None, bands: Any, transition: float | None) -> dict[str, Any]:
    from fieldsolve.remedies.effect import published_sentences

    kernel = found.kernel
    report = [
        f"{kernel.critic} critic, tau {kernel.tau:g}, S^{found.dimension - 1}: breaks at coupling {found.breaks_at:.6g}, degree "
        f"{found.mode}"
    ]
    report += [
        f"growth of degree {one['degree']} in a mirror step at coupling {one['coupling']:.6g}: measured {one['measured']:.6f}, "
        f"predicted {one['predicted']:.6f}"
        for one in measured or []
    ]
    if bands is not None:
        report.append(
            f"first order: two bands at heights +-{bands.height:.4g} cost as much as uniform densities from coupling "
            f"{bands.coupling:.6g} on (binodal, partners held still, flat potentials)"
        )
    if transition is not None:
        report.append(f"on the grid a separated state lies below the uniform pair down to coupling {transition:.4f}")
    losses = published_sentences(kernel, found.dimension)
    report += losses
    return {
        "schema": "fieldsolve/stability/1",
        "binodal": None if bands is None else bands.coupling,
        "binodal_height": None if bands is None else bands.height,
        "binodal_on_grid": transition,
        "losses": losses,
        "columns": ["degree", "spectrum", "lambda_c"],
        "report": report,
        "tau": kernel.tau,
        "critic": str(kernel.critic),
        "dimension": found.dimension,
        "degree": list(range(1, len(found.spectrum))),
        "spectrum": found.spectrum[1:].tolist(),
        "lambda_c": found.critical_couplings.tolist(),
        "breaks_at": found.breaks_at,
        "mode": found.mode,
        "growth": measured,
    }
