"""The bifurcation: how two coupled densities leave the Gibbs phase, and do not come back the same way.

The coupling is moved up and down again. The matched state stays a local minimum up to the spinodal, 1/4 exactly for equal
potentials; but separated states are lower from the binodal on, and once there the densities stay separated almost down
to no coupling at all. The bound certifies which state is the global minimum.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.equilibrium.continuation import Hysteresis
from fieldsolve.equilibrium.phases import Phase, Transitions

ANGLES = (0.0, 10.0)  # misalignment of the second potential in degrees
COUPLINGS = [float(coupling) for coupling in np.linspace(0, 0.4, 21)]


@dataclass
class Result:
    loop: Hysteresis
    lowest: list[fs.Solution]
    transitions: Transitions


def solve() -> dict[float, Result]:
    results = {}
    for angle in ANGLES:
        problem = fs.Problem(tau=1.0, floor=1e-3, nside=16, misalign=angle)
        lowest = [problem.at("coupling", coupling).solve() for coupling in COUPLINGS]
        results[angle] = Result(fs.hysteresis(problem, "coupling", COUPLINGS), lowest, problem.transitions())
    return results


def check(results: dict[float, Result]) -> None:
    assert abs(results[0.0].transitions.spinodal - 0.25) < 1e-6
    for result in results.values():
        at = result.transitions
        for solution in result.lowest:
            assert solution.gap is not None
            assert -1e-12 < solution.gap < 1e-6
            assert solution.matched is not None
            assert (solution.matched.phase is Phase.MATCHED) == (solution.coupling <= at.binodal)
        for up, down, lowest in zip(result.loop.up, result.loop.down[::-1], result.lowest, strict=True):
            assert min(up.energy, down.energy) > lowest.energy - 1e-6
            if at.binodal + 0.02 < up.coupling < at.spinodal:
                assert down.energy < up.energy


def plot(results: dict[float, Result]) -> Figure:
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, len(results), sharex=True, sharey="row")
    for column, (angle, result) in zip(axes.T, results.items(), strict=True):
        for ax, name in zip(column, ("energy", "symmetric_kl"), strict=True):
            for states, style, colour, label in (
                (result.loop.up, ">--", "#0072B2", "followed upwards"),
                (result.loop.down, "<--", "#CC79A7", "followed downwards"),
                (result.lowest, "-", "black", "global minimum, certified"),
            ):
                ax.plot(
                    [one.coupling for one in states],
                    [getattr(one, name) for one in states],
                    style,
                    color=colour,
                    ms=4,
                    label=label,
                )
            ax.axvline(result.transitions.binodal, color="#E69F00", label=f"binodal {result.transitions.binodal:.6f}")
            ax.axvline(result.transitions.spinodal, color="#D55E00", ls="--", label=f"spinodal {result.transitions.spinodal:.6f}")
        column[0].set_title(f"two wells, misaligned by {angle:g} degrees")
        column[0].legend(frameon=False, fontsize=8)
        column[1].set(xlabel="coupling")
    axes[0, 0].set(ylabel="energy (nats)")
    axes[1, 0].set(ylabel="symmetric KL (nats)")
    return figure


if __name__ == "__main__":
    found = solve()
    check(found)
    for angle, result in found.items():
        print(f"misaligned by {angle:g}: binodal {result.transitions.binodal:.6f}, spinodal {result.transitions.spinodal:.6f}")
    plot(found).savefig("04_bifurcation.png", dpi=110)
