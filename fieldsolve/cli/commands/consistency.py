"""fieldsolve consistency: how fast InfoNCE with N negatives nears its large-batch energy."""

from typing import Any

import click

from fieldsolve.cli.options import guard, parameter_option, result_options
from fieldsolve.cli.studies import WRITTEN, check_places, deliver, running
from fieldsolve.cli.values import POSITIVE, Between


@click.command(name="consistency", short_help="InfoNCE against its energy, over N.")
@click.option("--modalities", type=click.IntRange(1, 2), help="1: InfoNCE; 2: symmetric (CLIP).  [default: 1; 2 with --pairs]")
@parameter_option("tau")
@parameter_option("critic", help_text="Similarity: cosine z.z' or rbf -|z-z'|^2.")
@click.option(
    "--potential",
    metavar="U",
    help="The content has this potential's Gibbs density; names and default as in unimodal.",
)
@click.option(
    "--at", type=Between(1e-9, 1e9), default=0.5, show_default=True, metavar="TAU", help="Temperature of that Gibbs density."
)
@click.option(
    "--concentration",
    type=POSITIVE,
    multiple=True,
    metavar="KAPPA",
    help="Of the von Mises-Fisher spread of views around the content, inf for none; twice for two modalities.  [default: 20]",
)
@parameter_option("misalign", help_text="Rotate the second modality's content by so many degrees.")
@click.option(
    "--pairs",
    multiple=True,
    metavar="FILE",
    help="The law of matched embeddings instead: one file (2, n, d), or twice one (n, d); formats as in diagnose.",
)
@click.option("--bandwidth", type=POSITIVE, metavar="RAD", help="The spread of pairs.  [default: spread n^(-1/6)]")
@click.option("--normalize", is_flag=True, help="Scale rows of pairs to unit length instead of refusing others.")
@parameter_option("nside", help_text="HEALPix resolution of the law's grid.", automatic="16; 32 with --pairs")
@parameter_option("circle", help_text="So many points of the circle S^1 instead.")
@click.option(
    "--largest",
    type=click.IntRange(8, 2**22),
    default=65536,
    show_default=True,
    metavar="N",
    help="Numbers of negatives: 4, 8, 16 and so on up to N.",
)
@click.option("--batch", type=click.IntRange(2, 1_000_000), default=64, show_default=True, metavar="B", help="Anchors.")
@click.option("--seeds", type=click.IntRange(2, 1_000_000), default=20, show_default=True, help="Draws of the negatives.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all draws.")
@result_options(WRITTEN)
@guard
def command(**options: Any) -> None:
    """Compare InfoNCE with N negatives to the energy it tends to, in value and gradient [Thm 3.1, 4.1].

    \b
    Examples:
      fieldsolve consistency --tau 0.5 -o consistency
      fieldsolve consistency --modalities 2 --critic rbf --concentration 20 --concentration 60 --misalign 40

    The bias of the value falls like 1/N, the error of one batch's gradient like 1/sqrt(N), once N is past the
    regime where the positive's own term outweighs the negatives. Points are drawn on the grid, so that the limit is exact. Parts
    of the bias that have a known mean are taken off; its exact expectation stands beside it.
    """
    from fieldsolve.cli.solutions import chosen_grid, default_potential
    from fieldsolve.embeddings.pairs import read_pairs
    from fieldsolve.equilibrium.gibbs import gibbs
    from fieldsolve.equilibrium.potentials import potential_named
    from fieldsolve.grids import Kernel
    from fieldsolve.theorems import laws
    from fieldsolve.theorems.consistency import consistency as study
    from fieldsolve.theorems.pictures import plot_consistency

    pairs, concentrations, misalign = options["pairs"], options["concentration"] or (20.0,), options["misalign"]
    modalities = options["modalities"] or (2 if pairs else 1)
    if pairs and (options["potential"] or options["concentration"] or misalign):
        raise click.UsageError("--pairs gives the law; leave out --potential, --concentration and --misalign")
    if pairs and modalities == 1:
        raise click.UsageError("pairs are of two modalities; leave out --modalities 1")
    if (options["bandwidth"] is not None or options["normalize"]) and not pairs:
        raise click.UsageError("--bandwidth and --normalize go with --pairs; the spread of a law is its --concentration")
    if len(concentrations) > modalities:
        raise click.UsageError("--concentration is given once, or once for each modality")
    if misalign and modalities == 1:
        raise click.UsageError("--misalign is for two modalities; add --modalities 2")
    check_places(options)
    numbers = [2**k for k in range(2, options["largest"].bit_length())]
    grid = chosen_grid(options, 32 if pairs else 16)
    if pairs:
        law = laws.empirical(grid, read_pairs(pairs, options["normalize"]), options["bandwidth"])
    else:
        potential = potential_named(options["potential"] or default_potential(grid), grid)
        content = gibbs(potential.on(grid)[None], options["at"], 0.0).density()[0]
        spreads = " and ".join(f"{one:g}" for one in concentrations)
        label = f"{potential.label} at tau {options['at']:g}, concentration {spreads}" + (
            f", misaligned by {misalign:g}" if misalign else ""
        )
        law = laws.two_modalities(grid, content, (concentrations[0], concentrations[-1]), misalign, label)
    kernel = Kernel(options["critic"], options["tau"])
    with running(options) as watch:
        found = study(law, kernel, modalities, numbers, options["batch"], options["seeds"], options["seed"], watch)
    deliver(found.summary(), lambda: plot_consistency(found), options)
