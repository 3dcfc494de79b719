"""fieldsolve consistency: how fast InfoNCE with N negatives nears its large-batch energy."""

from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guarded
from fieldsolve.cli.study import counted, deliver, study_options


@click.command(short_help="InfoNCE against its energy, over N.")
@click.option("--modalities", type=click.IntRange(1, 2), default=1, show_default=True, help="1: InfoNCE; 2: symmetric (CLIP).")
@click.option("--tau", type=float, default=0.5, show_default=True, help="Temperature, above 0.")
@click.option("--critic", type=click.Choice(["cosine", "rbf"]), default="cosine", show_default=True, help="Similarity: z.z' or -|z-z'|^2.")
@click.option(
    "--potential", metavar="U",
    help="The content has this potential's Gibbs density; names as in unimodal.  [default: two-well; on the circle vmf:6@1,0*0.7+6@-1,0*0.3]",
)
@click.option("--at", type=float, default=0.5, show_default=True, metavar="TAU", help="Temperature of that Gibbs density.")
@click.option(
    "--concentration", type=float, multiple=True, metavar="KAPPA",
    help="Of the von Mises-Fisher spread of views around the content, inf for none; twice for two modalities.  [default: 20]",
)
@click.option("--misalign", type=float, default=0.0, metavar="DEG", help="Rotate the second modality's content.")
@click.option("--pairs", multiple=True, metavar="FILE", help="The law of matched embeddings instead, spread by their bandwidth.")
@click.option("--nside", type=int, help="HEALPix resolution of the law's grid.  [default: 16; 32 with --pairs]")
@click.option("--circle", type=int, metavar="POINTS", help="So many points of the circle S^1 instead.")
@click.option("--largest", type=int, default=65536, show_default=True, metavar="N", help="Largest number of negatives; from 4 in powers of 2.")
@click.option("--batch", type=int, default=64, show_default=True, metavar="B", help="Anchors.")
@click.option("--seeds", type=int, default=20, show_default=True, help="Draws of the negatives.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all draws.")
@study_options
@guarded
def consistency(**options: Any) -> None:
    """Compare InfoNCE with N negatives to the energy it tends to, in value and gradient [Thm 3.1, 4.1].

    \b
    Examples:
      fieldsolve consistency --tau 0.5 -o consistency
      fieldsolve consistency --modalities 2 --critic rbf --concentration 20 --concentration 60 --misalign 40

    The bias of the value falls like 1/N, the error of one batch's gradient like 1/sqrt(N), once N is past the
    regime where the positive's own term outweighs the negatives. Points are drawn on the grid, so that the limit is exact.
    """
    from fieldsolve import archive, laws
    from fieldsolve.charts import plot_consistency
    from fieldsolve.cli.run import default_potential, grid_of
    from fieldsolve.consistency import NEGATIVES
    from fieldsolve.consistency import consistency as study
    from fieldsolve.equilibria import gibbs
    from fieldsolve.errors import InputError
    from fieldsolve.kernels import Kernel
    from fieldsolve.pairs import read_pairs
    from fieldsolve.potentials import named

    modalities = options["modalities"]
    concentrations = options["concentration"] or (20.0,)
    if options["pairs"] and (options["potential"] or options["concentration"] or options["misalign"]):
        raise click.UsageError("--pairs gives the law; leave out --potential, --concentration and --misalign")
    if options["pairs"] and modalities == 1:
        raise click.UsageError("pairs are of two modalities; add --modalities 2")
    if len(concentrations) > modalities:
        raise click.UsageError("--concentration is given once, or once for each modality")
    if options["misalign"] and modalities == 1:
        raise click.UsageError("--misalign is for two modalities; add --modalities 2")
    if options["output"] is not None:
        archive.check_folder(options["output"], options["force"])
    numbers = [number for number in NEGATIVES if number <= options["largest"]]
    if len(numbers) < 2:
        raise InputError(f"the largest number of negatives must be at least 8, not {options['largest']}")
    nside = options["nside"] or (None if options["circle"] else 32 if options["pairs"] else 16)
    grid = grid_of(nside, options["circle"])
    if options["pairs"]:
        law = laws.empirical(grid, read_pairs(tuple(Path(path) for path in options["pairs"])))
    else:
        potential = named(options["potential"] or default_potential(grid), grid)
        content = gibbs(potential.on(grid)[None], options["at"], 0.0).density()[0]
        both = (concentrations[0], concentrations[-1])
        law = laws.two_modalities(grid, content, both, options["misalign"], potential.label)
    kernel = Kernel(options["critic"], options["tau"])
    with counted() as watch:
        found = study(law, kernel, modalities, numbers, options["batch"], options["seeds"], options["seed"], watch)
    slopes = {"value": found.value_slope, "gradient": found.gradient_slope}
    header = ["negatives", "bias", "bias_error", "expected_bias", "leading", "law_bias", "gradient_error", "gradient_spread", "expected_gradient_error"]
    everywhere = [None] * len(numbers) if found.law_bias is None else found.law_bias.tolist()
    columns = [
        numbers, found.bias.tolist(), found.bias_error.tolist(), found.expected_bias.tolist(),
        (found.leading / found.negatives).tolist(), everywhere, found.gradient_error.tolist(), found.gradient_spread.tolist(),
        found.expected_gradient_error.tolist(),
    ]  # fmt: skip
    figures = {
        "schema": "fieldsolve/consistency/1",
        "modalities": modalities,
        "tau": kernel.tau,
        "critic": kernel.critic,
        "law": law.label,
        "size": grid.size,
        "batch": found.batch,
        "seeds": found.seeds,
        "energy": found.energy,
        "log_volume": found.log_volume,
        "limit": found.limit,
        "limit_error": found.limit_error,
        "onset": found.onset,
        "effective": found.effective,
        "disintegration": law.expected_similarity(kernel.critic),
        "gradient_largest": found.gradient_largest,
        "gradient_bound": found.gradient_bound,
        **{f"{what}_slope": None if slope is None else slope.value for what, slope in slopes.items()},
        **{f"{what}_slope_error": None if slope is None else slope.error for what, slope in slopes.items()},
        **{f"{what}_slope_since": None if slope is None else slope.since for what, slope in slopes.items()},
        **dict(zip(header, columns, strict=True)),
    }
    sentences = [
        f"energy J {found.energy:.8g}; the batch's limit less log V {found.limit - found.log_volume:.8g} +- {found.limit_error:.2g}",
        f"the positive's own term outweighs all negatives up to N = {found.onset:.3g}",
        f"gradient at most {found.gradient_largest:.4g}, below the uniform bound {found.gradient_bound:.4g}",
    ]
    for (what, slope), exponent in zip(slopes.items(), (-1, -0.5), strict=True):
        if slope is None:
            sentences.append(f"{what}: no slope, too few N are past the pre-asymptotic regime or above the noise; try a larger --largest or --seeds")
        else:
            sentences.append(f"{what}: slope {slope.value:.4f} +- {slope.error:.4f} from N = {slope.since} on (theory {exponent:g})")
    deliver(
        figures, header, list(zip(*columns, strict=True)), sentences, lambda: plot_consistency(found), options["output"],
        options["force"], options["as_json"],
    )  # fmt: skip
