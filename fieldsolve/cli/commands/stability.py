"""fieldsolve stability: at which coupling two uniform densities break apart under smoothing, and along which mode."""

from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, printing_options


@click.command(name="stability", short_help="Where uniform densities part, by mode.")
@parameter_option("tau", help_text="Temperature, from 1e-9 to 1e9; CLIP's is 0.01.")
@parameter_option("critic")
@click.option(
    "--dimension", "--dim", type=int, default=3, show_default=True, metavar="D",
    help="Components of the embeddings, on the sphere S^(D-1): 2 is the circle, CLIP's is 512.",
)  # fmt: skip
@click.option("--lmax", type=int, default=16, show_default=True, help="Largest degree of the modes.")
@click.option("--nside", type=int, metavar="N", help="Measure the growth of modes on this HEALPix grid too (dimension 3).")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the figure (.png, .svg or .pdf).")
@click.option("--force", is_flag=True, help="Replace FILE.")
@printing_options
@guard
def command(**options: Any) -> None:
    """Find the coupling at which two matched uniform densities break apart, mode by mode (smoothed energy, U = 0).

    \b
    Examples:
      fieldsolve stability --tau 0.3 --nside 32 -o stability.png
      fieldsolve stability --tau 0.01 --dimension 512

    The mode of degree l grows beyond lambda_c(l) = 1/2 - k_l/4, with k_l the kernel's spectrum. Degree 1 is a dipole: the
    centroids part. A penalty beta = 1 - lambda on the symmetric KL must exceed 1 - lambda_c to keep the state.
    """
    from fieldsolve.grids import Healpix, Kernel
    from fieldsolve.output.tables import to_json
    from fieldsolve.theorems.dispersion import dispersion, measured_growth

    if options["nside"] is not None and options["dimension"] != 3:
        raise click.UsageError("--nside measures on the sphere S^2, which is --dimension 3")
    kernel = Kernel(options["critic"], options["tau"])
    found = dispersion(kernel, options["dimension"], options["lmax"])
    measured = None
    if options["nside"] is not None:
        grid, at = Healpix(options["nside"]), found.breaks_at
        measured = [
            {"degree": degree, "coupling": at, "measured": measured_growth(grid, kernel, at, degree), "predicted": predicted}
            for degree, predicted in enumerate(found.growth(at).tolist()[:4], start=1)
        ]
    values = {
        "schema": "fieldsolve/stability/1",
        "tau": kernel.tau,
        "critic": str(kernel.critic),
        "dimension": found.dimension,
        "spectrum": found.spectrum[1:].tolist(),
        "lambda_c": found.critical_couplings.tolist(),
        "breaks_at": found.breaks_at,
        "mode": found.mode,
        "growth": measured,
    }
    if options["output"] is not None:
        _draw(found, options["output"], options["force"])
    if options["as_json"]:
        click.echo(to_json(values))
    elif not options["quiet"]:
        _print(values)


def _print(values: dict[str, Any]) -> None:
    click.echo(
        f"{values['critic']} critic, tau {values['tau']:g}, S^{values['dimension'] - 1}: breaks at coupling "
        f"{values['breaks_at']:.6g}, degree {values['mode']}"
    )
    click.echo("degree  k_l           lambda_c")
    for degree, (ratio, critical) in enumerate(zip(values["spectrum"], values["lambda_c"], strict=True), start=1):
        click.echo(f"{degree:<7} {ratio:<13.6g} {critical:.8f}")
    for one in values["growth"] or []:
        click.echo(
            f"growth of degree {one['degree']} in a mirror step at coupling {one['coupling']:.6g}: measured "
            f"{one['measured']:.6f}, predicted {one['predicted']:.6f}"
        )


def _draw(found: Any, path: Path, force: bool) -> None:
    from fieldsolve.numerics.errors import InputError
    from fieldsolve.output.folders import write_whole
    from fieldsolve.output.pictures import KINDS, render
    from fieldsolve.theorems.pictures import plot_dispersion

    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise InputError(f"{path}: a figure is written as .png, .svg or .pdf")
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; choose another name, or replace it with --force")
    write_whole(path, render(plot_dispersion(found), kind))
