"""Where a descent begins: named starts, seeded noise, or given densities."""

import numpy as np

from fieldsolve.equilibrium import densities
from fieldsolve.equilibrium.atoms import Atoms
from fieldsolve.equilibrium.bands import band_state
from fieldsolve.equilibrium.densities import LogDensity
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.grids import Grid
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

NAMES = ("uniform", "gibbs", "tilted", "bands", "random:SEED")

_TILT = 0.1
_NOISE = 0.5


def tilts(grid: Grid, modalities: int, size: float) -> Array:
    """t_a z.e along a generic direction e, t from `size` for the first modality to -size for the last, shape (A, N)."""
    direction = grid.direction
    height = grid.evaluate(lambda points: points @ direction)
    slopes = np.linspace(size, -size, modalities) if modalities > 1 else np.array([size])
    return np.asarray(slopes[:, None] * height)


def start(name: str | Array, energy: Energy, floor: float) -> LogDensity:
    """The start of a descent.

    uniform: every density 1. gibbs: each modality's own (floored) Gibbs density. tilted: the uniform density tilted
    by exp(t z.e) along a generic direction e, t from 0.1 for the first modality to -0.1 for the last, which breaks
    the symmetry between them. bands: of two smoothed densities on a zonal grid, what solves the problem with flat potentials
    (`bands.band_state`). random:SEED: exp(noise / 2) with seeded standard normal noise at every point.
    An array (A, N) of densities is taken as it is, projected on the floored simplex.
    Raises InputError for any other name and for arrays that are no densities.
    """
    shape, weights = energy.potentials.shape, energy.grid.log_weights
    if isinstance(name, np.ndarray):
        given = np.atleast_2d(name)
        if given.shape != shape:
            raise InputError(
                f"the start has {given.shape[0]} densities of {given.shape[1]} points and the problem {shape[0]} of "
                f"{shape[1]}; solve on the same grid, with as many modalities"
            )
        return densities.from_density(given, floor, weights)
    if name == "uniform":
        return densities.normalise(np.zeros(shape), floor, weights)
    if name == "gibbs":
        scales = energy.tau / np.reshape(energy.binding.tau, (-1, 1))
        return gibbs(energy.potentials * scales, energy.tau, floor, weights)
    if name == "tilted":
        return densities.normalise(tilts(energy.grid, shape[0], _TILT), floor, weights)
    if name == "bands":
        return _bands(energy, floor)
    kind, _, seed = name.partition(":")
    if kind == "random" and seed.isdecimal():
        noise = np.random.default_rng(int(seed)).standard_normal(shape)
        return densities.normalise(_NOISE * noise, floor, weights)
    raise InputError(f"unknown start {name!r}: it is {', '.join(NAMES)}, or (on the command line) a folder with earlier results")


def has_bands(energy: Energy) -> bool:
    """Whether two bands are a start: of two smoothed densities of one angle, where flat potentials have them."""
    shells, kernel = energy.grid.shells(), energy.kernel
    if shells is None or kernel is None or energy.modalities != 2 or energy.strength is None or energy.added:
        return False
    is_zonal = shells.directions == 1 < shells.dimension
    return is_zonal and band_state(kernel, shells.dimension, energy.strength) is not None


def _bands(energy: Energy, floor: float) -> LogDensity:
    shells = energy.grid.shells()
    if not has_bands(energy) or shells is None or energy.kernel is None or energy.strength is None:
        raise InputError("bands are a start for two smoothed densities on a zonal grid, from the coupling on at which they exist")
    band = band_state(energy.kernel, shells.dimension, energy.strength)
    assert band is not None
    vectors = np.array([[sign * band.height, np.sqrt(1 - band.height**2)] for sign in (1, -1)])
    atoms = Atoms(shells, (vectors[:1], vectors[1:]), (np.ones(1), np.ones(1)))
    return densities.from_density(atoms.on(energy.grid, floor), floor, energy.grid.log_weights)
