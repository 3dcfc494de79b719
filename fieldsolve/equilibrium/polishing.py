"""Spikes that a grid pins, moved off its points: which states have them, and what becomes of these."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.atoms import AtomEnergy, Polished, atoms_of, why_unpolished
from fieldsolve.equilibrium.descent import Descent, Status
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.grids import Grid
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_FEW = {True: 5.0, False: 12.0}  # points that a smooth density covers at least, of one angle and of spheres
_MOST_ATOMS = 64  # a modality


@dataclass(frozen=True, eq=False)
class Settled:
    """What is known of a state's spikes: where they are off the grid (None: there are none, or why is said), and its status."""

    polished: Polished | None
    status: Status
    why: str | None = None


def points_covered(grid: Grid, density: Array, floor: float) -> Array:
    """1/sum p_i^2 of the shares p of each density's excess mass, (A,): how many points it stands on; all without any."""
    weights = grid.weights

    def sums(at: slice) -> tuple[Array, Array]:
        excess = np.maximum(density[:, at] - floor * (weights if weights.size == 1 else weights[at]), 0.0)
        return excess.sum(axis=1), np.einsum("an,an->a", excess, excess)

    masses, squares = (np.sum(parts, axis=0) for parts in zip(*threads.over_chunks(sums, grid.size), strict=True))
    return np.asarray(np.where(squares > 0, masses**2 / np.where(squares > 0, squares, 1.0), grid.size))


def is_spiked(grid: Grid, density: Array, floor: float) -> bool:
    """Whether a density stands on so few points that where these are counts."""
    shells = grid.shells()
    is_line = grid.dim == 1 or (shells is not None and shells.directions < shells.dimension)
    return bool(points_covered(grid, density, floor).min() < _FEW[is_line])


def settle_spikes(problem: Problem, energy: Energy, levels: Array, found: Descent, floor: float) -> Settled:
    """Polish a converged smoothed state that has spikes, where the energy allows it and the problem wants it.

    A state on a grid is stationary with spikes on points some widths from where they belong: nothing is converged before they
    could move. levels: (A,), what `Problem.functional` took off the potentials.
    """
    density = found.state.density()
    is_concerned = energy.kernel is not None and np.all(np.isfinite(density)) and is_spiked(energy.grid, density, floor)
    if not is_concerned or found.status is Status.NOT_FINITE:
        return Settled(None, found.status)
    reason = why_unpolished(energy)
    if reason is not None:
        return Settled(None, found.status, reason)
    if not problem.polish:
        return Settled(None, Status.PINNED)
    atoms = atoms_of(energy, density, floor)
    if max(len(masses) for masses in atoms.masses) > _MOST_ATOMS:
        return Settled(None, found.status, f"one of the densities is more than {_MOST_ATOMS} atoms")
    potentials = [
        lambda points, one=one, level=level: one.at(points) - level
        for one, level in zip(problem.resolved, levels.tolist(), strict=True)
    ]
    try:
        polished = AtomEnergy(energy, potentials, floor).polish(atoms, problem.nats)
    except InputError as error:
        return Settled(None, found.status, str(error))
    return Settled(polished, Status.CONVERGED if polished.stationarity <= problem.nats else Status.PINNED)
