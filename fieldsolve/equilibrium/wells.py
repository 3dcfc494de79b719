"""Smoothed densities of potentials with several wells in any dimension: atoms on shells of the directions that the wells span."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.atoms import AtomEnergy, Atoms, Polished
from fieldsolve.equilibrium.potentials import Potential
from fieldsolve.equilibrium.terms.cross_entropy import coupling_matrix
from fieldsolve.grids import Kernel
from fieldsolve.grids.shells import Shells
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_RANK = 1e-9  # of singular values, relative, of directions that count
_NODES, _SEED = 400, 20260119  # random shells from which variations' least values are looked for
_STARTS, _FEW = 3, 2  # random starts, and atoms of each
_SAME = 1e-9  # of a potential's values around the wells' span


@dataclass(frozen=True, eq=False)
class InWells:
    """The lowest state of atoms that was found, and the directions it is in.

    polished: atoms, energy and stationarity in nats; basis: orthonormal directions, (k, d): those of the wells, and one across.
    """

    polished: Polished
    basis: Array

    @property
    def centroids(self) -> Array:
        """int z rho_a dmu in the wells' directions, (A, k)."""
        atoms = self.polished.atoms
        count = len(self.basis)
        return np.stack([mass @ where[:, :count] for where, mass in zip(atoms.positions, atoms.masses, strict=True)])

    @property
    def centroid_gap(self) -> float:
        """Of the first and the last modality."""
        return float(np.linalg.norm(self.centroids[0] - self.centroids[-1]))


def lowest_atoms(
    potentials: Sequence[Potential],
    dimension: int,
    tau: float,
    coupling: float = 1.0,
    critic: str = "cosine",
    tolerance: float = 1e-6,
) -> InWells:
    """Lower a smoothed energy over atoms on S^{d-1}, for potentials that depend on the directions of their wells alone.

    log K = kappa y.y' + log A_{d-k}(kappa r r') - log A_d(kappa) of projections y on k directions (beyond the paper). Starts:
    each modality in its lowest well, in all wells, and seeded ones; the lowest end is returned, and a lower one may exist.
    Without floors. potentials: with wells (m, d), or flat; tolerance: of the stationarity, in nats. Raises InputError for
    potentials of another dimension, or that depend on other directions, and for critics that are not linear.
    """
    kernel = Kernel(critic, tau)
    basis, normal = _directions(potentials, dimension)
    shells = Shells(dimension, len(basis))

    def points(where: Array) -> Array:
        return np.asarray(where[:, : len(basis)] @ basis + where[:, len(basis) :] * normal)

    def cost(potential: Potential) -> Callable[[Array], Array]:
        return lambda where: potential.at(points(where)) / tau

    for potential in potentials:
        _check_directions(potential, basis, shells)
    costs = [cost(potential) for potential in potentials]
    rng = np.random.default_rng(_SEED)
    wells = [_in_shells(potential, basis, shells) for potential in potentials]
    nodes = np.concatenate([*wells, *(-one for one in wells), _random(shells, _NODES, rng)])
    energy = AtomEnergy(shells, kernel, coupling_matrix(coupling, len(potentials)), costs, nodes)
    found = [energy.polish(start, tolerance) for start in _starts(energy, wells, rng)]
    return InWells(min(found, key=lambda one: one.energy), basis)


def _directions(potentials: Sequence[Potential], dimension: int) -> tuple[Array, Array]:
    """Orthonormal directions of the wells and one across, and one across all of them."""
    for one in potentials:
        if one.dimension not in (None, dimension):
            raise InputError(f"the potential {one.label} lives in {one.dimension} dimensions, not in {dimension}")
    stacked = np.concatenate([np.zeros((1, dimension)), *(one.wells for one in potentials if one.wells is not None)])
    _, values, rows = np.linalg.svd(stacked, full_matrices=True)
    rank = int(np.sum(values > _RANK * max(float(values[0]), 1.0)))
    if rank + 2 > dimension:
        raise InputError(
            f"the wells span {rank} of {dimension} dimensions; atoms of shells are for at least two more dimensions than that"
        )
    return rows[: rank + 1], rows[rank + 1]


def _check_directions(potential: Potential, basis: Array, shells: Shells) -> None:
    """Raise InputError for a potential whose values change where projections on the wells' directions do not."""
    rng = np.random.default_rng(_SEED)
    where = _random(shells, 16, rng)
    values, others = (
        potential.at(where[:, : len(basis)] @ basis + where[:, len(basis) :] * across)
        for across in (_across(basis, len(where), rng), _across(basis, len(where), rng))
    )
    if np.abs(values - others).max() > _SAME * (1 + np.abs(values).max()):
        raise InputError(f"the potential {potential.label} depends on more than the directions of its wells")


def _across(basis: Array, count: int, rng: np.random.Generator) -> Array:
    """Random unit vectors orthogonal to directions, (count, d)."""
    vectors = rng.standard_normal((count, basis.shape[1]))
    vectors -= vectors @ basis.T @ basis
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _in_shells(potential: Potential, basis: Array, shells: Shells) -> Array:
    """A potential's wells as shells, none for a flat one."""
    wells = np.zeros((0, basis.shape[1])) if potential.wells is None else potential.wells
    vectors = np.zeros((len(wells), shells.components))
    vectors[:, : len(basis)] = wells @ basis.T
    return vectors


def _random(shells: Shells, count: int, rng: np.random.Generator) -> Array:
    vectors = rng.standard_normal((count, shells.components))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _starts(energy: AtomEnergy, wells: Sequence[Array], rng: np.random.Generator) -> list[Atoms]:
    shells, starts = energy.shells, list[Atoms]()
    own = [one if len(one) else _random(shells, 1, rng) for one in wells]
    lowest = [one[[int(np.argmin(cost(one)))]] for one, cost in zip(own, energy.costs, strict=True)]
    for positions in (lowest, own):
        starts.append(Atoms(shells, tuple(positions), tuple(np.full(len(one), 1 / len(one)) for one in positions)))
    for _ in range(_STARTS):
        positions = [_random(shells, _FEW, rng) for _ in wells]
        starts.append(Atoms(shells, tuple(positions), tuple(np.full(_FEW, 1 / _FEW) for _ in wells)))
    return starts
