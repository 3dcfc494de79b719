"""What the explorer computes, each a pure function of its configuration: certified entries, stored sweeps."""

from typing import Any

import numpy as np

from fieldsolve.equilibrium import sheets
from fieldsolve.equilibrium.continuation import follow
from fieldsolve.equilibrium.dual import dual
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.grids import Healpix
from fieldsolve.numerics.arrays import Array
from fieldsolve.runs import Outcome, Task, outcome_of

#: Figures of a table's entry, in their order.
FIGURES = ("multiplier_1", "multiplier_2", "energy", "bound", "centroid_gap", "symmetric_kl")

#: Where the bound of coupling 0 is taken: F falls as the coupling grows, so that a bound holds at all lower ones.
LEAST_COUPLING = 1e-9

_WIDE = 1e-6  # nats: entries with a wider gap are solved with every start


def entries_task(nside: int, potentials: Array, tau: float, floors: tuple[float, ...], couplings: tuple[float, ...]) -> Task:
    """The entries of one temperature and misalignment; potentials: (2, N), with minima of 0."""
    config = {"potentials": potentials.tolist(), "tau": tau, "floors": floors, "couplings": couplings}
    return Task.of("entries", {"nside": nside, **config})


def sweep_task(problem: Problem, potentials: Array, couplings: list[float]) -> Task:
    """States of the smoothed energy along couplings, each from the one before."""
    config = {"tau": problem.tau, "floor": problem.floor, "critic": problem.critic, "couplings": couplings}
    return Task.of("sweep", {"nside": problem.grid.nside, "potentials": potentials.tolist(), **config})


def perform(kind: str, config: dict[str, Any]) -> Outcome:
    """Compute a task on one thread."""
    return outcome_of({"entries": _entries, "sweep": _sweep}[kind], config)


def _entries(config: dict[str, Any]) -> dict[str, Any]:
    """Figures (floors, couplings, 6), and of each floor binodal and spinodal."""
    grid, potentials, tau = Healpix(config["nside"]), np.array(config["potentials"]), config["tau"]
    figures, ends = [], []
    for floor in config["floors"]:
        problem = Problem(list(potentials), tau, floor, grid=grid, coupling=0.0)
        ends.append(list(vars(problem.transitions()).values()))
        figures.append([_entry(problem.at("coupling", coupling)) for coupling in config["couplings"]])
    return {"figures": figures, "transitions": ends}


def _entry(problem: Problem) -> list[float]:
    """A state that the dual's minimisers make, its energy, and the bound that certifies it."""
    floor, coupling = float(problem.floor or 0.0), max(float(problem.coupling or 0.0), LEAST_COUPLING)
    energy, _ = problem.functional()
    highest = dual(energy.potentials, problem.tau, floor, coupling)
    met, _ = sheets.of_dual(problem.at("coupling", coupling).functional()[0], floor, highest)
    density, value = met.density(), energy.value(met)
    if value - highest.bound > _WIDE:
        solution = problem.solve()
        if solution.energy < value:
            density, value = solution.density, solution.energy
    first, second = density
    centroids = problem.grid.centroid(density)
    apart = float(np.linalg.norm(centroids[0] - centroids[1]))
    symmetric_kl = float(np.mean((first - second) * np.log(first / second)))
    return [*highest.multipliers, value, highest.bound, apart, symmetric_kl]


def _sweep(config: dict[str, Any]) -> dict[str, Any]:
    """Logarithms of densities (couplings, 2, N), and the figures of each state."""
    problem = Problem(
        list(np.array(config["potentials"])), config["tau"], config["floor"], grid=Healpix(config["nside"]),
        energy="smoothed", critic=config["critic"], polish=False,
    )  # fmt: skip
    states = follow(problem, "coupling", config["couplings"])
    return {
        "log_density": [np.log(state.density).tolist() for state in states],
        "energy": [state.energy for state in states],
        "centroid_gap": [state.centroid_gap for state in states],
        "symmetric_kl": [state.symmetric_kl for state in states],
        "status": [state.status.value for state in states],
    }
