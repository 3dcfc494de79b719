"""Where a descent begins: named starts, seeded noise, given densities, or the minimisers of the dual."""

from math import hypot

import numpy as np

from fieldsolve.equilibrium import densities
from fieldsolve.equilibrium.densities import LogDensity
from fieldsolve.equilibrium.dual import Dual, minimisers
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.equilibrium.local_problem import FIRST, MATCHED, SECOND
from fieldsolve.grids import Grid
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError

NAMES = ("uniform", "gibbs", "tilted", "random:SEED")

_TILT = 0.1
_TIED = 1e-6  # pairs whose values differ by so little of the mass between them cost the same
_NOISE = 0.5


def of_dual(energy: Energy, floor: float, found: Dual) -> LogDensity:
    """The pairs that minimise the dual of two coupled densities, with ties shared so that masses fit.

    With equal potentials every separated pair costs the same as its mirror image: the first modality gets one side of the
    sphere and the second the other, cut across a generic direction. What mass is missing then, as far as it can be, is
    made up by exchanging pairs that cost the same, those next to the cut first.
    """
    values, pairs = minimisers(energy.potentials, energy.tau, floor, energy.strength or 0.0, found)
    size = len(values)
    choice = np.argmin(values, axis=1)
    apart = np.abs(pairs[:, FIRST] - pairs[:, SECOND]).sum(axis=1)
    mirrored = (choice != MATCHED) & (np.abs(values[:, FIRST] - values[:, SECOND]) <= _TIED * apart)
    height = tilts(energy.grid, 1, 1.0)[0]
    across = np.flatnonzero(mirrored)[np.argsort(-height[mirrored], kind="stable")]
    gained = np.cumsum(pairs[across, FIRST] - pairs[across, SECOND], axis=0)
    choice[across] = SECOND
    missing = size - pairs[np.arange(size), choice].sum(axis=0)
    cut = 0.0
    if len(across):
        last = int(np.argmin(((missing - gained) ** 2).sum(axis=1)))
        choice[across[: last + 1]] = FIRST
        cut = height[across[last]]
    chosen = pairs[np.arange(size), choice]
    _exchange(chosen, values, pairs, np.argsort(np.abs(height - cut), kind="stable"))
    return densities.from_density(chosen.T, floor)


def _exchange(chosen: Array, values: Array, pairs: Array, order: Indices) -> None:
    """Exchange chosen pairs, (N, 2), for others that cost the same, point by point in the order given.

    Done where at least half of the mass that it moves makes up for mass that is missing or in excess.
    """
    moves = pairs - chosen[:, None]
    sizes = np.hypot(moves[..., 0], moves[..., 1])
    is_tied = (sizes > 0) & (values - values.min(axis=1, keepdims=True) <= _TIED * sizes)
    missing_1, missing_2 = (len(chosen) - chosen.sum(axis=0)).tolist()
    for point in order[is_tied.any(axis=1)[order]].tolist():
        for sheet in np.flatnonzero(is_tied[point]).tolist():
            (move_1, move_2), size = moves[point, sheet].tolist(), float(sizes[point, sheet])
            if hypot(missing_1, missing_2) - hypot(missing_1 - move_1, missing_2 - move_2) >= size / 2:
                missing_1, missing_2 = missing_1 - move_1, missing_2 - move_2
                chosen[point] = pairs[point, sheet]
                break


def tilts(grid: Grid, modalities: int, size: float) -> Array:
    """t_a z.e along a generic direction e, t from `size` for the first modality to -size for the last, shape (A, N)."""
    direction = np.arange(1.0, grid.components + 1)
    height = grid.evaluate(lambda points: points @ (direction / np.linalg.norm(direction)))
    slopes = np.linspace(size, -size, modalities) if modalities > 1 else np.array([size])
    return np.asarray(slopes[:, None] * height)


def start(name: str | Array, energy: Energy, floor: float) -> LogDensity:
    """The start of a descent.

    uniform: every density 1. gibbs: each modality's own (floored) Gibbs density. tilted: the uniform density tilted
    by exp(t z.e) along a generic direction e, t from 0.1 for the first modality to -0.1 for the last, which breaks
    the symmetry between them. random:SEED: exp(noise / 2) with seeded standard normal noise at every point.
    An array (A, N) of densities is taken as it is, projected on the floored simplex.
    Raises InputError for any other name and for arrays that are no densities.
    """
    shape = energy.potentials.shape
    if isinstance(name, np.ndarray):
        given = np.atleast_2d(name)
        if given.shape != shape:
            raise InputError(
                f"the start has {given.shape[0]} densities of {given.shape[1]} points and the problem {shape[0]} of "
                f"{shape[1]}; solve on the same grid, with as many modalities"
            )
        return densities.from_density(given, floor)
    if name == "uniform":
        return densities.normalise(np.zeros(shape), floor)
    if name == "gibbs":
        return gibbs(energy.potentials, energy.tau, floor)
    if name == "tilted":
        return densities.normalise(tilts(energy.grid, shape[0], _TILT), floor)
    kind, _, seed = name.partition(":")
    if kind == "random" and seed.isdecimal():
        noise = np.random.default_rng(int(seed)).standard_normal(shape)
        return densities.normalise(_NOISE * noise, floor)
    raise InputError(f"unknown start {name!r}: it is {', '.join(NAMES)}, or (on the command line) a folder with earlier results")
