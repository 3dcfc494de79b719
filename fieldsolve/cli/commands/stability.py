"""fieldsolve stability: at which coupling two uniform densities break apart under smoothing, and along which mode."""

from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, result_options
from fieldsolve.cli.studies import WRITTEN, check_places, deliver, running
from fieldsolve.cli.values import Between, Checked
from fieldsolve.equilibrium.parameters import PARAMETERS


@click.command(name="stability", short_help="Where uniform densities part, by mode.")
@parameter_option("tau", help_text="Temperature, from 1e-9 to 1e9; CLIP's is 0.01.")
@parameter_option("critic")
@click.option(
    "--dimension", "--dim", type=click.IntRange(2, 100_000), default=3, show_default=True, metavar="D",
    help="Components of the embeddings, on the sphere S^(D-1): 2 is the circle, CLIP's is 512.",
)  # fmt: skip
@click.option("--lmax", type=click.IntRange(1, 10_000), default=16, show_default=True, help="Largest degree of the modes.")
@click.option(
    "--coupling", type=Between(0.0, 1.0), metavar="L", help="Say what the separated state of two bands is at this coupling too."
)
@click.option(
    "--batch", type=click.IntRange(1, 10**60), metavar="N",
    help="For N negatives instead of infinitely many: a batch of N + 1 pairs; CLIP's was 32767.",
)  # fmt: skip
@click.option(
    "--positive", type=Checked(PARAMETERS["positive"]), metavar="none|aligned|COSINE|vmf:B",
    help="The positive in the denominator: none, at the anchor, at a cosine from it, or in a von Mises-Fisher law of "
    "concentration B about it.  [default: aligned]",
)  # fmt: skip
@parameter_option("nside", help_text="Measure the growth of modes on this HEALPix grid too (dimension 3).", automatic="none")
@click.option(
    "--nodes",
    type=click.IntRange(3, 8192),
    metavar="COUNT",
    help="Measure it on a zonal grid of so many nodes (dimension 3 to 4096).",
)
@result_options(WRITTEN)
@guard
def command(**options: Any) -> None:
    """Find the coupling at which two matched uniform densities break apart, mode by mode (smoothed energy, U = 0).

    \b
    Examples:
      fieldsolve stability --tau 0.01 --dimension 512 --coupling 0.48 --figure clip.pdf
      fieldsolve stability --tau 0.01 --dimension 512 --batch 32767 --positive 0.3

    The mode of degree l grows beyond lambda_c(l) = 1/2 - k_l/4, with k_l the kernel's spectrum. Degree 1 is a dipole: the
    centroids part. A penalty beta = 1 - lambda on the symmetric KL must exceed 1 - lambda_c to keep the state. The transition
    is of first order: two bands at heights +-t of an axis, in closed form in any dimension, lie below the uniform pair from the
    binodal on. With N negatives lambda_c(l; N) = 1/2 - f_l/(4 e_l). Then what it means for published losses.
    """
    from fieldsolve.equilibrium.batches import positive_of
    from fieldsolve.grids import Kernel
    from fieldsolve.theorems.batches import batch_dispersion
    from fieldsolve.theorems.dispersion import dispersion
    from fieldsolve.theorems.pictures import plot_batches, plot_dispersion

    if options["nside"] is not None and options["dimension"] != 3:
        raise click.UsageError("--nside measures on the sphere S^2, which is --dimension 3")
    if options["nside"] is not None and options["nodes"] is not None:
        raise click.UsageError("--nside and --nodes each name a grid to measure on; give one of them")
    if options["positive"] is not None and options["batch"] is None:
        raise click.UsageError("--positive says what a batch's positive is; give --batch N too")
    check_places(options)
    kernel, dimension, lmax = Kernel(options["critic"], options["tau"]), options["dimension"], options["lmax"]
    positive = positive_of(options["positive"] or "aligned")
    with running(options) as watch:
        found = dispersion(kernel, dimension, lmax)
        batch = None if options["batch"] is None else batch_dispersion(kernel, dimension, options["batch"], positive, lmax)
        measured = _measured(kernel, found, options, watch)
        summary = _summary(found, batch, options["coupling"], measured)
    deliver(summary, lambda: plot_dispersion(found) if batch is None else plot_batches(found, batch), options)


def _measured(kernel: Any, found: Any, options: dict[str, Any], watch: Any) -> dict[str, Any]:
    """What a grid says of the same: the growth of modes in a mirror step, and where its transition is."""
    from fieldsolve.grids import Healpix, Zonal
    from fieldsolve.theorems.dispersion import measured_growth
    from fieldsolve.theorems.transition import measured_binodal

    if options["nside"] is None and options["nodes"] is None:
        return {"growth": None, "binodal_on_grid": None}
    is_sphere = options["nside"] is not None
    grid: Any = Healpix(options["nside"]) if is_sphere else Zonal(found.dimension, options["nodes"])
    is_known = is_sphere and kernel.critic.linear is not None
    at = found.breaks_at
    growth = [
        {"degree": degree, "coupling": at, "measured": measured_growth(grid, kernel, at, degree), "predicted": predicted}
        for degree, predicted in enumerate(found.growth(at).tolist()[:4], start=1)
    ]
    return {"growth": growth, "binodal_on_grid": measured_binodal(grid, kernel, watch) if is_known else None}


def _bands(kernel: Any, dimension: int, coupling: float | None) -> dict[str, Any] | None:
    """The separated state in closed form, None for critics that are not linear."""
    from fieldsolve.equilibrium.bands import band_binodal, band_opening, band_state

    if kernel.critic.linear is None:
        return None
    binodal = band_binodal(kernel, dimension)
    values: dict[str, Any] = {
        "opens_at": band_opening(kernel, dimension), "binodal": binodal.coupling, "t_at_binodal": binodal.height,
    }  # fmt: skip
    if coupling is not None:
        state = band_state(kernel, dimension, coupling)
        values |= {"t": None if state is None else state.height, "energy": None if state is None else state.energy}
    return values


def _summary(found: Any, batch: Any, coupling: float | None, measured: dict[str, Any]) -> dict[str, Any]:
    from fieldsolve.remedies.effect import published_sentences

    kernel, bands = found.kernel, _bands(found.kernel, found.dimension, coupling)
    report = [
        f"{kernel.critic} critic, tau {kernel.tau:g}, S^{found.dimension - 1}: breaks at coupling {found.breaks_at:.6g}, degree "
        f"{found.mode} (spinodal, infinitely many negatives)"
    ]
    if batch is not None:
        report += _batch_sentences(found, batch)
    report += [
        f"growth of degree {one['degree']} in a mirror step at coupling {one['coupling']:.6g}: measured {one['measured']:.6f}, "
        f"predicted {one['predicted']:.6f}"
        for one in measured["growth"] or []
    ]
    if bands is not None:
        report += _band_sentences(bands, coupling)
    if measured["binodal_on_grid"] is not None:
        at = measured["binodal_on_grid"]
        report.append(f"on the grid a separated state lies below the uniform pair down to coupling {at:.4f}")
    losses = published_sentences(kernel, found.dimension)
    critical = found.critical_couplings if batch is None else batch.critical_couplings
    values = {
        "schema": "fieldsolve/stability/1",
        "bands": bands,
        "binodal": None if bands is None else bands["binodal"],
        "binodal_height": None if bands is None else bands["t_at_binodal"],
        "losses": losses,
        "columns": ["degree", "spectrum", "lambda_c"],
        "report": report + losses,
        "tau": kernel.tau,
        "critic": str(kernel.critic),
        "dimension": found.dimension,
        "coupling": coupling,
        "degree": list(range(1, len(found.spectrum))),
        "spectrum": found.spectrum[1:].tolist(),
        "lambda_c": [None if one != one else one for one in critical.tolist()],
        "breaks_at": found.breaks_at if batch is None else batch.breaks_at,
        "mode": found.mode if batch is None else batch.mode,
        "batch": None,
    }  # fmt: skip
    if batch is not None:
        values["batch"] = {
            "negatives": batch.negatives, "positive": str(batch.positive), "attraction": batch.attraction.tolist(),
            "spread": batch.spread.tolist(), "concave_degrees": batch.concave_degrees, "large_batch_breaks_at": found.breaks_at,
        }  # fmt: skip
    return values | measured


def _band_sentences(bands: dict[str, Any], coupling: float | None) -> list[str]:
    height = bands["t_at_binodal"]
    said = [
        f"first order: two bands at heights +-t exist from coupling {bands['opens_at']:.6g} on and cost as much as uniform "
        f"densities from {bands['binodal']:.6g} on (binodal, partners held still, flat potentials), at t = {height:.4g}: a "
        f"centroid gap of {2 * height:.4g}"
    ]
    if coupling is not None and bands["t"] is None:
        said.append(f"at coupling {coupling:g} there are none")
    elif coupling is not None:
        said.append(
            f"at coupling {coupling:g} they are at t = {bands['t']:.6g}, a centroid gap of {2 * bands['t']:.6g}, with an "
            f"energy J of {bands['energy']:.8g} nats against 0 of uniform densities"
        )
    return said


def _batch_sentences(found: Any, batch: Any) -> list[str]:
    from fieldsolve.theorems.batches import halfway

    n, positive = batch.negatives, batch.positive
    breaks = f"breaks at coupling {batch.breaks_at:.6g}" if batch.breaks_at > 0 else "is unstable at every coupling"
    said = [f"{n:g} negatives (a batch of {n + 1:g} pairs), {positive.words}: {breaks}, degree {batch.mode}"]
    if batch.concave_degrees:
        degrees = ", ".join(map(str, batch.concave_degrees[:6])) + (", ..." if len(batch.concave_degrees) > 6 else "")
        said.append(f"one density alone is not convex with so few negatives: along degrees {degrees} its energy curves downwards")
    if positive.kind != "none":
        count = halfway(found.kernel, found.dimension, positive)
        said.append(
            f"lambda_c falls from 1/2 to {found.breaks_at:.6g} as batches grow, and is halfway at about {count:.2g} negatives: "
            + (
                "no practical batch reaches the large-batch spinodal of uniform densities, because the positive outweighs all "
                "negatives together"
                if count > 1e7
                else "from there on batches are large in this sense"
            )
        )
    return said
