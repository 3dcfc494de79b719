"""The gap as a direction that the loss does not see: InfoNCE over all encoders of a ring, certified.

Symbols on a circle are seen through noise by two modalities, and each symbol may go anywhere on a sphere. Up to a critical
temperature, 1/k for von Mises noise of concentration k, symmetric InfoNCE reaches minus the mutual information, and a whole
window of centroid gaps has that loss, from 0 to 2 sqrt(1 - k tau): at infinitely many negatives, and at one. With potentials held
still the theory says that modalities repel each other; with partners that move nothing does. In two dimensions the loss costs
more, and has bad minima.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from fieldsolve.encoders import EncoderProblem, EncoderSolution, law_named, solve_encoders
from fieldsolve.encoders.losses import FewNegatives, Symmetric
from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.encoders.windows import Window, window_by_program
from fieldsolve.numerics.arrays import Array

CONCENTRATION = 5.0
LAW = law_named(f"ring:12,{CONCENTRATION}")
TAUS = np.array([0.02, 0.05, 0.1, 0.15, 0.19])
NEGATIVES = (1, 4)


@dataclass
class Result:
    windows: list[Window]
    losses: Array  # along the window at tau 0.1, of infinitely many negatives and of few, less the least
    gaps: Array
    above: list[EncoderSolution]
    flat: EncoderSolution


def solve() -> Result:
    windows = []
    for tau in TAUS.tolist():
        found = window_by_program(LAW, tau)
        assert found is not None
        windows.append(found)
    chosen, tau = windows[2], float(TAUS[2])
    gaps = np.linspace(chosen.low, chosen.high, 9)
    losses = []
    for loss in (Symmetric(), *map(FewNegatives, NEGATIVES)):
        objective = Objective(EncoderProblem(LAW, tau, loss))
        points = [Point(np.concatenate(chosen.encoders(gap, 12)), 1 / tau) for gap in gaps.tolist()]
        losses.append([objective.slopes(point)[0] - loss.least(LAW) for point in points])
    above = [solve_encoders(EncoderProblem(LAW, tau)) for tau in (0.25, 0.5)]
    return Result(windows, np.array(losses), gaps, above, solve_encoders(EncoderProblem(LAW, 0.1, dimension=2)))


def check(result: Result) -> None:
    for tau, found in zip(TAUS.tolist(), result.windows, strict=True):
        assert abs(found.high - 2 * np.sqrt(1 - CONCENTRATION * tau)) < 1e-6
        assert found.low < 1e-3
    assert np.abs(result.losses).max() < 1e-12
    for one in result.above:
        assert 0 <= one.gap <= 1e-8  # certified
        assert one.excess > 1e-3
        assert one.centroid_gap < 1e-3
    assert abs(result.flat.excess - 0.161915) < 1e-6
    assert result.flat.ends[-1] - result.flat.bound > 0.4


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    fine = np.linspace(0, 0.2, 200)
    left.fill_between(fine, 0, 2 * np.sqrt(1 - CONCENTRATION * fine), color="#DDDDDD", label="2 sqrt(1 - k tau)")
    left.plot(TAUS, [one.high for one in result.windows], "o", color="black", label="semidefinite program")
    left.plot([0.25, 0.5], [one.centroid_gap for one in result.above], "s", color="#D55E00", label="certified optima above 1/k")
    left.set(xlabel="temperature tau", ylabel="centroid gap", title="all gaps in the window have the same loss", ylim=(-0.05, 2))
    left.legend(frameon=False)
    for row, name in zip(result.losses, ("infinitely many", *NEGATIVES), strict=True):
        right.plot(result.gaps, np.maximum(np.abs(row), 1e-17), "o-", ms=4, label=f"{name} negatives")
    right.set(yscale="log", ylim=(1e-17, 1e-2), xlabel="centroid gap", ylabel="loss above its least (nats)", title="tau = 0.1")
    right.axhline(result.flat.excess, color="#D55E00", ls="--", label="what two dimensions cost")
    right.set_ylim(1e-17, 1)
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    results = solve()
    check(results)
    for tau, one in zip(TAUS, results.windows, strict=True):
        print(f"tau {tau:g}: window [{one.low:.4f}, {one.high:.6f}], closed form {2 * np.sqrt(1 - CONCENTRATION * tau):.6f}")
    ends = results.flat.ends
    print(f"two dimensions cost {results.flat.excess:.6f} nats at tau 0.1; descents end from {ends[0]:.5f} to {ends[-1]:.5f}")
    plot(results).savefig("14_free_encoders.png", dpi=110)
