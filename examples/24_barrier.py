"""What holds matched densities where separated ones are lower, and how long the noise of batches takes across it.

Between binodal and spinodal the matched state is a local minimum. The least energy at each centroid gap has a top, the pass: some
thousandths of a nat a pair. Near the spinodal its height is known in closed form. Particles under batches cross it after times
that grow exponentially with it, against the temperature of the batches' noise; and that noise is an entropy too, which holds the
matched state a little beyond the spinodal.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.equilibrium.landau import height_near_spinodal
from fieldsolve.theorems.barriers import Barriers, Escapes, barriers
from fieldsolve.theorems.batches import batch_dispersion

SETTINGS = ((512, 0.01, (0.43, 0.44, 0.448)), (3, 0.3, (0.3, 0.31, 0.318)))
TAU, NEGATIVES, COUPLINGS = 0.5, 15, (0.3725, 0.375, 0.38)


@dataclass
class Result:
    clean: list[Barriers]  # infinitely many negatives, no noise
    noisy: Barriers


def solve() -> Result:
    clean = [
        barriers(fs.Problem(["flat"] * 2, tau, 0.0, energy="smoothed", dimension=d), "coupling", couplings)
        for d, tau, couplings in SETTINGS
    ]
    circle = fs.Problem(["flat"] * 2, TAU, 0.0, energy="smoothed", batch=NEGATIVES, circle=64)
    return Result(clean, barriers(circle, "coupling", COUPLINGS, Escapes(64, 1.0, runs=16, steps=40_000)))


def check(result: Result) -> None:
    for (d, tau, couplings), found in zip(SETTINGS, result.clean, strict=True):
        heights = [one.height for one in found.found if one is not None]
        assert len(heights) == len(couplings)
        assert np.all(np.diff(heights) < 0)
        closed = height_near_spinodal(fs.Kernel("cosine", tau), d, couplings[-1])
        assert abs(heights[-1] / closed - 1) < 0.1
    assert result.noisy.is_ordered
    assert batch_dispersion(fs.Kernel("cosine", TAU), 2, NEGATIVES).breaks_at < COUPLINGS[0]
    assert all(one is not None and one.height == 0 for one in result.noisy.found)
    assert all(one.barrier is not None and one.barrier.height > 0 for one in result.noisy.noisy)


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for ax, (d, tau, _), found in zip(axes, SETTINGS, result.clean, strict=False):
        kernel = fs.Kernel("cosine", tau)
        for value, one, colour in zip(found.values, found.found, ("black", "#0072B2", "#D55E00"), strict=True):
            if one is not None:
                closed = height_near_spinodal(kernel, d, value)
                ax.plot(one.gaps, one.energies - one.matched, color=colour, label=f"coupling {value:g}")
                ax.plot([one.gap], [one.height], "o", color=colour)
                ax.axhline(closed, color=colour, ls=":", lw=0.8)
        highest = max(one.height for one in found.found if one is not None)
        ax.set(
            xlabel="centroid gap", ylabel="least energy (nats)", ylim=(-0.6 * highest, 1.3 * highest),
            title=f"d = {d}, tau = {tau:g}; dotted: closed form at the spinodal",
        )  # fmt: skip
        ax.legend(frameon=False, fontsize=8)
    for one in result.noisy.noisy:
        if one.times is not None and one.exponent is not None:
            axes[2].semilogy(np.full(len(one.times), one.exponent), one.times, ".", color="#0072B2")
            axes[2].semilogy([one.exponent], [one.median], "o", color="black")
    axes[2].set(
        xlabel="2 n height/temperature, with noise", ylabel="steps until separated",
        title=f"circle, {NEGATIVES} negatives: escapes of 64 particles",
    )  # fmt: skip
    return figure


if __name__ == "__main__":
    answer = solve()
    check(answer)
    for study in (*answer.clean, answer.noisy):
        print(f"{study.problem.grid}, tau {study.problem.tau:g}")
        for sentence in study.report:
            print("  " + sentence)
    plot(answer).savefig("24_barrier.png", dpi=110)
