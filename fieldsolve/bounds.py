"""Certified lower bounds of the energies over floored densities."""

import numpy as np

from fieldsolve.arrays import Array
from fieldsolve.energies import Energy
from fieldsolve.equilibria import gibbs, vertex_minimum


def lower_bound(energy: Energy, floor: float) -> float | None:
    """A lower bound of an energy over floored densities: its exact minimum where a closed form is known, else None."""
    if energy.kernel is not None:
        return None
    if energy.modalities == 1 or energy.coupling == 0:
        return float(np.mean([gibbs_bound(one, energy.tau, floor) for one in energy.potentials]))
    if energy.is_vertex_problem:
        return vertex_minimum(energy.potentials, energy.tau, floor).value
    return None


def gibbs_bound(potential: Array, tau: float, floor: float = 0.0) -> float:
    """A lower bound of the intrinsic functional over floored densities, equal to its minimum to rounding.

    max over nu of nu + int min_{a >= floor} [U a/tau + a log a - nu a] dmu, at the nu of the floored Gibbs density;
    weak duality makes it a bound for any nu. potential: (N,).
    """
    state = gibbs(potential[None], tau, floor)
    multiplier = 1 - state.shift[0]
    log_density = state.log_density()[0]
    local = np.exp(log_density) * (potential / tau + log_density - multiplier)
    return float(multiplier + np.mean(local))
