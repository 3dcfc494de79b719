"""Gibbs densities, with and without a floor: the minimisers of intrinsic energies without coupling, in closed form."""

from math import inf

import numpy as np

from fieldsolve.equilibrium.densities import LogDensity, normalise
from fieldsolve.grids.grid import EQUAL
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError


def log_partition(potential: Array, tau: float, log_weights: Array = EQUAL) -> float:
    """log Z = log int exp(-U/tau) dmu; the minimum of the intrinsic functional without a floor is -log Z [Prop 3.2]."""
    return float(normalise(-potential[None] / tau, 0.0, log_weights).shift[0])


def gibbs(potentials: Array, tau: float, floor: float = 0.0, log_weights: Array = EQUAL) -> LogDensity:
    """The Gibbs densities max(floor, exp(-U_a/tau)/c_a), each the minimiser of its intrinsic functional.

    Without a floor the equilibrium of [Prop 3.2]; with one, its entropic projection on the floored simplex.
    potentials: (A, N); log_weights: the grid's. Raises InputError for a floor outside [0, 1), or a tau that is not a positive
    number.
    """
    if not 0 < tau < inf:
        raise InputError(f"the temperature of a Gibbs density must be a positive number, not {tau}")
    return normalise(-potentials / tau, floor, log_weights)


def gibbs_bound(potential: Array, tau: float, floor: float = 0.0, log_weights: Array = EQUAL) -> float:
    """A lower bound of the intrinsic functional over floored densities, equal to its minimum to rounding.

    max over nu of nu + int min_{a >= floor} [U a/tau + a log a - nu a] dmu, at the nu of the floored Gibbs density;
    weak duality makes it a bound for any nu. potential: (N,).
    """
    state = gibbs(potential[None], tau, floor, log_weights)
    multiplier = 1 - state.shift[0]

    def local(at: slice) -> float:
        log_density = state.log_density_at(at)[0]
        cost = potential[at] / tau
        cost += log_density
        cost -= multiplier
        if log_weights.size > 1:
            log_density += log_weights[at]
        return float(np.sum(np.multiply(np.exp(log_density, out=log_density), cost, out=cost)))

    return float(multiplier + np.sum(threads.over_chunks(local, potential.size)) / potential.size)
