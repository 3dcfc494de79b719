"""The Gibbs equilibrium of the paper's two-well potential, at seven temperatures (experiment D.2).

As the temperature falls, the one equilibrium concentrates in the wells [Prop 3.3], and descent from any start finds it:
its energy is -log Z exactly, and the share of mass within 0.5 rad of a well rises to one.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs

TAUS = (10, 5, 2.5, 1, 0.5, 0.2, 0.1)

# Cap masses by quadrature, to 1e-10.
EXACT = (0.1286327598, 0.1349755024, 0.1480117059, 0.1893464213, 0.2620628235, 0.4675284987, 0.7063853515)


@dataclass
class Result:
    solutions: list[fs.Solution]
    cap_masses: list[float]


def solve() -> Result:
    grid = fs.Healpix(64)
    solutions = [fs.Problem(fs.two_well(), tau=tau, grid=grid).solve() for tau in TAUS]
    return Result(solutions, [float(solution.cap_mass() or 0) for solution in solutions])


def check(result: Result) -> None:
    for solution in result.solutions:
        assert solution.converged
        assert abs(solution.energy + solution.log_partition[0]) < 1e-12
        assert solution.gap is not None
        assert abs(solution.gap) < 1e-12
    np.testing.assert_allclose(result.cap_masses, EXACT, rtol=1e-3)


def plot(result: Result) -> Figure:
    from fieldsolve.equilibrium.pictures import plot_density

    figure = Figure(figsize=(15, 6.5), layout="constrained")
    panels = [["10", "2.5", "1"], ["0.5", "0.1", "caps"]]
    axes = figure.subplot_mosaic(panels, per_subplot_kw={tuple(panels[0] + panels[1][:2]): {"projection": "mollweide"}})
    for solution in result.solutions:
        name = f"{solution.tau:g}"
        if name in axes:
            plot_density(axes[name], solution, 0).set_title(f"tau = {name}")
    axes["caps"].plot(TAUS, EXACT, "s", mfc="none", color="#0072B2", ms=9, label="quadrature")
    axes["caps"].plot(TAUS, result.cap_masses, "o-", color="#D55E00", ms=4, label="field, nside 64")
    axes["caps"].set(xscale="log", xlabel="tau", ylabel="mass within 0.5 rad of a well")
    axes["caps"].invert_xaxis()
    axes["caps"].legend(frameon=False)
    return figure


if __name__ == "__main__":
    found = solve()
    check(found)
    for tau, mass in zip(TAUS, found.cap_masses, strict=True):
        print(f"tau {tau:<4}  cap mass {mass:.6f}")
    plot(found).savefig("01_gibbs.png", dpi=110)
