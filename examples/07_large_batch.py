"""Large batches: InfoNCE with N negatives nears its energy, the value like 1/N and one batch's gradient like 1/sqrt(N).

Positive pairs are two views of a common content, spread around it. At few negatives the positive's own term in the softmax
outweighs them all; the number up to which it does grows as the temperature falls. The exact expectation over
negatives, an integral and no sample, runs through what is measured.
"""

from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.theorems.consistency import Consistency, consistency
from fieldsolve.theorems.laws import augmented, two_modalities


def solve() -> dict[str, Consistency]:
    grid = fs.Healpix(16)
    content = gibbs(fs.two_well().on(grid)[None], 0.5, 0.0).density()[0]
    views, modalities = augmented(grid, content, 20.0), two_modalities(grid, content, (10.0, 25.0), 40.0)
    return {
        "one modality, tau 0.5": consistency(views, fs.Kernel("cosine", 0.5)),
        "one modality, tau 0.1": consistency(views, fs.Kernel("cosine", 0.1)),
        "two modalities, tau 0.5": consistency(modalities, fs.Kernel("cosine", 0.5), modalities=2),
    }


def check(found: dict[str, Consistency]) -> None:
    for one in found.values():
        assert one.value_slope is not None
        assert one.gradient_slope is not None
        assert abs(one.value_slope.value + 1) < 0.05
        assert abs(one.gradient_slope.value + 0.5) < 0.05
        assert one.gradient_largest < one.gradient_bound
        assert abs(one.limit - one.log_volume - one.energy) < 4 * one.limit_error
    assert found["one modality, tau 0.1"].onset > found["one modality, tau 0.5"].onset


def plot(found: dict[str, Consistency]) -> Figure:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, one), colour in zip(found.items(), ("black", "#D55E00", "#0072B2"), strict=True):
        assert one.value_slope is not None
        assert one.gradient_slope is not None
        label = f"{name}: slope {one.value_slope.value:.3f}"
        left.errorbar(one.negatives, one.bias, yerr=one.bias_error, fmt="o", ms=3, color=colour, label=label)
        left.loglog(one.negatives, one.expected_bias, color=colour, lw=0.8)
        label = f"{name}: slope {one.gradient_slope.value:.3f}"
        right.errorbar(one.negatives, one.gradient_error, yerr=one.gradient_spread, fmt="o", ms=3, color=colour, label=label)
        right.loglog(one.negatives, one.expected_gradient_error, color=colour, lw=0.8)
        for ax in (left, right):
            ax.axvline(one.onset, color=colour, ls=":", lw=0.8)
    left.set(xlabel="negatives N", ylabel="loss - log N - limit (nats)", title="value; lines are exact expectations")
    right.set(xlabel="negatives N", ylabel="relative error", title="gradient; lines are predictions")
    for ax in (left, right):
        ax.legend(frameon=False, fontsize=8)
    figure.suptitle("InfoNCE against its large-batch energy; left of the dotted lines the positive's own term dominates")
    return figure


if __name__ == "__main__":
    results = solve()
    check(results)
    for name, one in results.items():
        print(f"{name}: the positive's own term dominates up to N = {one.onset:.3g}; bias {one.leading:.4g}/N")
    plot(results).savefig("07_large_batch.png", dpi=110)
