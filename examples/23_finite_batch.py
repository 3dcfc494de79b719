"""Finite batches: with N negatives the matched state holds longer, or breaks sooner, than with infinitely many.

The expected loss of N negatives is an energy like the others. With the positive in the denominator the coupling at which uniform
densities part falls from 1/2 as batches grow, in high dimension so slowly that no practical batch is large: at d = 512 and
tau = 0.01 it takes some 1e39 negatives. Without it few negatives part sooner than infinitely many, and the energy of one density
is not even convex.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.equilibrium.batches import positive_of
from fieldsolve.theorems.batches import batch_dispersion, halfway
from fieldsolve.theorems.dispersion import dispersion

TAU, POINTS = 0.1, 64
NUMBERS = (2, 8, 32, 128)
COUPLINGS = (0.25, 0.3, 0.35, 0.4, 0.45)
SETTINGS = ((2, 0.1), (3, 0.1), (64, 0.1), (512, 0.01))


@dataclass
class Result:
    gaps: np.ndarray  # centroid gap from a slight tilt, by number and coupling
    curves: dict[tuple[int, float], dict[str, np.ndarray]]
    numbers: np.ndarray
    halfway: float
    concave: list[int]


def gap_after_descent(negatives: int, coupling: float) -> float:
    problem = fs.Problem(
        ["flat"] * 2, TAU, 0.0, coupling, "smoothed", batch=negatives, circle=POINTS, tolerance=1e-5, max_steps=2000
    )
    return problem.solve("tilted").centroid_gap


def solve() -> Result:
    gaps = np.array([[gap_after_descent(n, coupling) for coupling in COUPLINGS] for n in NUMBERS])
    numbers = np.unique(np.rint(np.geomspace(1, 1e6, 41)))
    curves = {
        (d, tau): {
            positive: np.array(
                [batch_dispersion(fs.Kernel("cosine", tau), d, float(n), positive, 1).critical_couplings[0] for n in numbers]
            )
            for positive in ("aligned", "none")
        }
        for d, tau in SETTINGS
    }
    few = batch_dispersion(fs.Kernel("cosine", TAU), 2, 4.0, "none")
    return Result(gaps, curves, numbers, halfway(fs.Kernel("cosine", 0.01), 512, positive_of("aligned")), few.concave_degrees)


def check(result: Result) -> None:
    kernel = fs.Kernel("cosine", TAU)
    for n, row in zip(NUMBERS, result.gaps, strict=True):
        breaks_at = batch_dispersion(kernel, 2, n).breaks_at
        for coupling, gap in zip(COUPLINGS, row, strict=True):
            if abs(coupling - breaks_at) > 0.02:
                assert (gap > 0.5) == (coupling > breaks_at)
    for (d, tau), curve in result.curves.items():
        limit = dispersion(fs.Kernel("cosine", tau), d, 1).breaks_at
        assert np.all(np.diff(curve["aligned"]) < 1e-12)
        assert np.all(curve["aligned"] > limit)
    assert result.curves[512, 0.01]["aligned"][-1] > 0.4999999
    assert result.halfway > 1e38
    assert result.concave[0] == 5


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (d, tau), curve, colour in zip(
        result.curves, result.curves.values(), ("black", "#0072B2", "#009E73", "#D55E00"), strict=True
    ):
        left.semilogx(result.numbers, curve["aligned"], color=colour, label=f"d {d}, tau {tau:g}")
        left.semilogx(result.numbers, curve["none"], ":", color=colour)
        left.axhline(dispersion(fs.Kernel("cosine", tau), d, 1).breaks_at, color=colour, lw=0.5)
    left.axvline(32767, color="grey", lw=0.8)
    left.text(32767, 0.06, " CLIP's batch", fontsize=8, color="grey")
    left.set(
        xlabel="negatives N",
        ylabel="lambda_c(1; N)",
        ylim=(0, 0.55),
        title="solid: aligned positive; dotted: none; thin: N infinite",
    )
    left.legend(frameon=False, fontsize=8, loc="center right", bbox_to_anchor=(1.0, 0.35))
    for n, row, colour in zip(NUMBERS, result.gaps, ("#D55E00", "#009E73", "#0072B2", "black"), strict=True):
        right.plot(COUPLINGS, row, "o-", color=colour, label=f"N = {n:g}")
        right.axvline(batch_dispersion(fs.Kernel("cosine", TAU), 2, n).breaks_at, color=colour, ls="--", lw=0.8)
    right.set(
        xlabel="coupling",
        ylabel="centroid gap after a descent",
        title="circle, tau 0.1: descents from a slight tilt, dashed: lambda_c",
    )
    right.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    found = solve()
    check(found)
    for n, row in zip(NUMBERS, found.gaps, strict=True):
        gaps = ", ".join(f"{coupling:g}: {gap:.3f}" for coupling, gap in zip(COUPLINGS, row, strict=True))
        print(f"N = {n:g}: breaks at {batch_dispersion(fs.Kernel('cosine', TAU), 2, n).breaks_at:.6f}; centroid gaps {gaps}")
    print(f"d 512, tau 0.01: halfway to the large-batch spinodal at {found.halfway:.2g} negatives")
    print(f"one density, circle, 4 negatives, no positive: concave along degrees {found.concave}")
    plot(found).savefig("23_finite_batch.png", dpi=110)
