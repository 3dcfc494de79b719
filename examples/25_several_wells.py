"""Potentials with several wells at CLIP's dimension: densities of two directions, and atoms in any number of them.

The wells of both potentials span two directions of S^511. A disk of projections holds every density of these two, on 21 240 nodes
with the exact kernel; its spikes are then moved off the nodes. Atoms on shells of the wells' directions need no grid, for any
number of wells, and find the same states, or stop at a higher one.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.equilibrium.wells import InWells, lowest_atoms

TAU, COUPLINGS = 0.02, (0.0, 0.3)
POTENTIALS = ("vmf:12@axis:0+12@axis:90", "vmf:12@axis:45")


@dataclass
class Result:
    problem: fs.Problem
    on_disk: list[fs.Solution]
    atoms: list[InWells]


def solve() -> Result:
    problem = fs.Problem(POTENTIALS, TAU, 0.0, energy="smoothed", grid="disk:512,90,236", max_steps=150)
    on_disk = [problem.at("coupling", coupling).solve() for coupling in COUPLINGS]
    return Result(problem, on_disk, [lowest_atoms(problem.resolved, 512, TAU, coupling) for coupling in COUPLINGS])


def check(result: Result) -> None:
    for state, atoms in zip(result.on_disk, result.atoms, strict=True):
        assert state.converged
        assert state.atoms is not None
        assert state.energy <= atoms.polished.energy + 1e-6
    assert abs(result.on_disk[1].energy - result.atoms[1].polished.energy) < 2e-6
    assert result.on_disk[0].centroid_gap < result.on_disk[1].centroid_gap


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    grid = result.problem.grid
    values = result.problem.values
    for k, (values_a, name) in enumerate(zip(values, POTENTIALS, strict=True)):
        ax = figure.add_subplot(1, 2, k + 1, projection="polar")
        grid.sky(ax, values_a, "U", cmap="cividis")
        for state, coupling, mark in zip(result.on_disk, COUPLINGS, ("o", "s"), strict=True):
            if state.atoms is not None:
                places = grid.places(grid.from_shells(state.atoms.positions[k]))
                ax.scatter(
                    *places, s=20 + 120 * np.asarray(state.atoms.masses[k]), marker=mark, facecolor="none", edgecolor="#D55E00",
                    label=f"coupling {coupling:g}",
                )  # fmt: skip
        ax.set_title(f"modality {k + 1}: {name}", fontsize=9)
        ax.legend(loc="lower right", bbox_to_anchor=(1.2, 0.0), fontsize=8, frameon=False)
    figure.suptitle(f"S^511, tau = {TAU:g}: potentials over the disk of two directions, and where the atoms are")
    return figure


if __name__ == "__main__":
    answer = solve()
    check(answer)
    for solution, state, coupling in zip(answer.on_disk, answer.atoms, COUPLINGS, strict=True):
        print(
            f"coupling {coupling:g}: on the disk J = {solution.energy:.6f}, centroid gap {solution.centroid_gap:.4f}; "
            f"atoms from the wells J = {state.polished.energy:.6f}, centroid gap {state.centroid_gap:.4f}"
        )
    plot(answer).savefig("25_several_wells.png", dpi=110)
