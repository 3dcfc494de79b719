"""Spikes that a grid pins, moved off its points: which states have them, and what becomes of these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.atoms import AtomEnergy, Atoms, Polished, merged
from fieldsolve.equilibrium.descent import Descent, Status
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.terms.finite_batch import FiniteBatch
from fieldsolve.grids import Grid, Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_FEW = {True: 5.0, False: 12.0}  # points that a smooth density covers at least, of one angle and of spheres
_MOST_ATOMS = 64  # a modality


_LEAST_NODES, _MOST_NODES = 3000, 15_000  # of the grid that the floor's integrals are taken on
_SMALLEST = 1e-9  # mass of a point that is an atom


@dataclass(frozen=True, eq=False)
class Settled:
    """What is known of a state's spikes: where they are off the grid (None: there are none, or why is said), and its status."""

    polished: Polished | None
    status: Status
    why: str | None = None


def why_unpolished(energy: Energy) -> str | None:
    """Why densities of an energy cannot be moved off a grid's points, or None."""
    if energy.kernel is None:
        return "spikes of intrinsic energies are as narrow as the grid's points"
    if any(isinstance(term, FiniteBatch) for term in energy.added):
        return "atoms of finite batches are not known; a finer grid moves them"
    if energy.added:
        return "atoms of energies with added terms are not known"
    if energy.kernel.critic.linear is None:
        return f"atoms are known for critics that are linear in z.z', and {energy.kernel.critic} is not"
    if energy.grid.shells() is None:
        return f"atoms are known on spheres and circles, not on {energy.grid}"
    return None


def atom_energy(energy: Energy, potentials: Sequence[Callable[[Array], Array]], floor: float) -> AtomEnergy:
    """A smoothed energy of densities on a grid as one of atoms; potentials: U_a at points (n, components), one a modality.

    Raises InputError where `why_unpolished` says why, and where a floor's integrals would take too many points.
    """
    reason, shells, grid = why_unpolished(energy), energy.grid.shells(), energy.grid
    if reason is not None or shells is None or energy.kernel is None:
        raise InputError(f"densities cannot be moved off the grid: {reason}")
    tau = np.broadcast_to(energy.binding.tau, energy.modalities)
    rough = _rough(grid, energy.kernel)
    if floor > 0 and rough.size > _MOST_NODES:
        raise InputError(
            f"densities cannot be moved off the grid: with a floor it takes sums over all pairs of {rough.size} points"
        )

    def cost(potential: Callable[[Array], Array], own: float) -> Callable[[Array], Array]:
        return lambda where: np.asarray(potential(grid.from_shells(where)) / own)

    return AtomEnergy(
        shells=shells,
        kernel=energy.kernel,
        mixing=energy.mixing,
        costs=[cost(one, own) for one, own in zip(potentials, tau.tolist(), strict=True)],
        nodes=rough.shell_vectors(),
        floor=floor,
        shares=np.broadcast_to(rough.weights, rough.size) / rough.size,
        levels=floor * grid.mean(energy.potentials) / tau,
    )


def atoms_energy(problem: Problem, energy: Energy, levels: Array, floor: float) -> AtomEnergy:
    """`atom_energy` of a problem's potentials; energy, levels: what `Problem.functional` returns."""
    potentials = [
        lambda points, one=one, level=level: one.at(points) - level
        for one, level in zip(problem.resolved, levels.tolist(), strict=True)
    ]
    return atom_energy(energy, potentials, floor)


def atoms_of(energy: Energy, density: Array, floor: float) -> Atoms:
    """The atoms at a grid's points that hold the excess mass of spiked densities (A, N), each at the mean of a heap's points."""
    grid, shells = energy.grid, energy.grid.shells()
    assert shells is not None
    vectors, positions, masses = grid.shell_vectors(), [], []
    for one in density:
        share = np.maximum(one - floor * grid.weights, 0.0)
        share = np.asarray(share / share.sum())
        heavy = np.flatnonzero(share > _SMALLEST)
        positions.append(vectors[heavy])
        masses.append(share[heavy] / share[heavy].sum())
    found = Atoms(shells, tuple(positions), tuple(masses))
    return merged(found, 2 * grid.spacing)


def _rough(grid: Grid, kernel: Kernel) -> Grid:
    """The coarsest grid of the kind that resolves a kernel with some points: where integrals of the floor are taken."""
    coarser = grid.coarser()
    while coarser is not None and coarser.size >= _LEAST_NODES and coarser.resolves(kernel):
        grid, coarser = coarser, coarser.coarser()
    return grid


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
    return bool(points_covered(grid, density, floor).min() < _FEW[is_line(grid)])


def is_line(grid: Grid) -> bool:
    """Whether a grid's points are those of one angle."""
    shells = grid.shells()
    return grid.dim == 1 or (shells is not None and shells.directions == 1 < shells.dimension)


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
        is_batch = any(isinstance(term, FiniteBatch) for term in energy.added)
        return Settled(None, Status.PINNED if is_batch and found.is_converged else found.status, reason)
    if not problem.polish:
        return Settled(None, Status.PINNED)
    atoms = atoms_of(energy, density, floor)
    if max(len(masses) for masses in atoms.masses) > _MOST_ATOMS:
        return Settled(None, found.status, f"one of the densities is more than {_MOST_ATOMS} atoms")
    try:
        polished = atoms_energy(problem, energy, levels, floor).polish(atoms, problem.nats)
    except InputError as error:
        return Settled(None, found.status, str(error))
    return Settled(polished, Status.CONVERGED if polished.stationarity <= problem.nats else Status.PINNED)
