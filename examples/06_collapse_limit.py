"""The collapse limit: how the energy on a grid approaches the infimum of the continuum, and how fast.

At coupling 1 twice the minimum on N pixels is that of the continuum, sum_a [(1 - floor) min U_a/tau + floor int U_a/tau] +
2 log floor, plus (2 floor/N) log(1 + (1 - floor) N/floor) for the height of the two spikes, plus what the wells lose by lying
between pixels, of order 1/N. At couplings below 1 densities stay bounded, and both the bound and the energy converge.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs

TAU = 0.5
FLOORS = (1e-1, 1e-2, 1e-3)
NSIDES = (8, 16, 32, 64, 128)
BELOW_FULL = 0.9  # a coupling where the densities stay bounded
ANGLE = 40.0


@dataclass
class Result:
    excess: dict[float, np.ndarray]  # of twice the energy over the continuum's, by floor
    spikes: dict[float, np.ndarray]  # what the spikes' height explains of it
    bounded: list[fs.Solution]


def solve() -> Result:
    first, second = fs.Problem(misalign=ANGLE).resolved
    lowest = float(first.function(first.wells).min())
    mean = float(first.on(fs.Healpix(512)).mean())
    excess, spikes = {}, {}
    size = np.array([12 * nside**2 for nside in NSIDES])
    for floor in FLOORS:
        continuum = 2 * ((1 - floor) * lowest + floor * mean) / TAU + 2 * np.log(floor)
        energies = [fs.Problem([first, second], tau=TAU, floor=floor, grid=fs.Healpix(nside)).solve().energy for nside in NSIDES]
        excess[floor] = 2 * np.array(energies) - continuum
        spikes[floor] = 2 * floor / size * np.log1p((1 - floor) * size / floor)
    problem = fs.Problem(misalign=ANGLE, tau=TAU, floor=1e-2, coupling=BELOW_FULL)
    return Result(excess, spikes, [problem.at("nside", nside).solve() for nside in NSIDES[:-1]])


def check(result: Result) -> None:
    size = np.array([12 * nside**2 for nside in NSIDES])
    for floor in FLOORS:
        rest = result.excess[floor] - result.spikes[floor]
        assert np.all(rest > -1e-6)
        assert np.all(rest * size < 60)  # order 1/N: wells between pixels, of curvature 1/tau
        order = np.polyfit(np.log(size), np.log(result.excess[floor]), 1)[0]
        assert -1.15 < order < -0.8
    gaps = np.array([solution.gap for solution in result.bounded])
    assert np.all((gaps >= -1e-12) & (gaps < 1e-4))
    steps = np.abs(np.diff([solution.energy for solution in result.bounded]))
    assert steps[-1] < 0.3 * steps[0]


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    size = np.array([12 * nside**2 for nside in NSIDES])
    for floor, colour in zip(FLOORS, ("#0072B2", "#E69F00", "#009E73"), strict=True):
        left.loglog(size, result.excess[floor], "o-", color=colour, label=f"floor {floor:g}")
        left.loglog(size, result.spikes[floor], "--", color=colour, lw=1)
    left.loglog(size, 30 / size, ":", color="grey", label="order 1/N")
    left.set(xlabel="pixels N", ylabel="nats", title="coupling 1: twice the energy above the continuum's")
    left.legend(frameon=False, title="dashed: the spikes' height")
    below = [12 * solution.grid.nside**2 for solution in result.bounded]
    right.semilogx(below, [solution.energy for solution in result.bounded], "o-", color="black", label="energy")
    right.semilogx(below, [solution.bound for solution in result.bounded], "x--", color="#D55E00", label="bound")
    right.set(xlabel="pixels N", ylabel="nats", title=f"coupling {BELOW_FULL:g}, floor 0.01: energy and bound")
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    found = solve()
    check(found)
    for floor in FLOORS:
        print(f"floor {floor:g}: excess", "  ".join(f"{one:.2e}" for one in found.excess[floor]))
    plot(found).savefig("06_collapse_limit.png", dpi=110)
