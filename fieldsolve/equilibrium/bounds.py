"""Certified lower bounds of energies over floored densities on a grid: which an energy allows, and why another has none."""

from dataclasses import replace
from math import inf, isfinite

import numpy as np

from fieldsolve.equilibrium.densities import require_floor
from fieldsolve.equilibrium.dual import dual
from fieldsolve.equilibrium.dual_many import dual_of_many
from fieldsolve.equilibrium.energy import Energy, Evaluation
from fieldsolve.equilibrium.gibbs import gibbs_bound
from fieldsolve.equilibrium.halving import half_smoothed_bound, why_unhalved
from fieldsolve.equilibrium.terms import Contrast, Convexity, Term
from fieldsolve.equilibrium.vertices import has_overlap_vertices, overlap_minimum, vertex_minimum
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.progress import Watch


def lower_bound(energy: Energy, floor: float, at: Evaluation | None = None, watch: Watch | None = None) -> float | None:
    """A lower bound of an energy over floored densities on its grid, by what it allows; None where nothing is known.

    Intrinsic, without added terms: the exact minimum for one modality, without coupling, and at coupling 1; the maximum of the
    dual at couplings in between. Smoothed: that of half-smoothed densities, which is nowhere above (see `halving`). With added
    terms, the best of what holds:

    - jointly convex energies: the value at a state less its stationarity [Frank and Wolfe 1956];
    - overlaps of two densities, concave in each: the lowest pair of vertices, exact;
    - a penalty is nowhere below its least value, and a convex one nowhere below its tangent at a state, which shifts the
      potentials;
    - contrasts, and mixing matrices that are no coupling's: the bound of a coupling that is nowhere above them.

    at: the state, of the same floor.
    """
    if energy.needs_floor:
        require_floor(floor)
    known = at if at is not None and isfinite(at.value) and at.state.floor == floor else None
    found: list[float | None] = []
    if energy.added and known is not None and energy.convexity is Convexity.JOINTLY:
        found.append(known.value - known.stationarity - known.rounding)
    if energy.penalties:
        found.append(_of_penalised(energy, floor, known, watch))
    elif has_overlap_vertices(energy, floor):
        found.append(overlap_minimum(energy, floor).value)
    else:
        coupled = energy if _is_coupled(energy) else coupled_below(energy)
        found.append(None if coupled is None else _of_coupled(coupled, floor, watch))
    return max((one for one in found if one is not None and isfinite(one)), default=None)


def _is_coupled(energy: Energy) -> bool:
    """Whether an energy without penalties is that of one coupling."""
    return energy.strength is not None and not isinstance(energy.contrast, Contrast)


def _of_coupled(energy: Energy, floor: float, watch: Watch | None) -> float | None:
    """The bound of cross-entropies of one coupling."""
    if energy.has_gibbs_form:
        return float(np.mean([gibbs_bound(one, energy.tau, floor, energy.grid.log_weights) for one in energy.potentials]))
    if energy.kernel is not None:
        return half_smoothed_bound(energy, floor, watch)
    if energy.has_vertices:
        return vertex_minimum(energy.potentials, energy.tau, floor, energy.grid.log_weights).value
    strength = energy.strength or 0.0
    if energy.modalities == 2:
        return dual(energy.potentials, energy.tau, floor, strength, watch=watch, weights=energy.grid.weights).bound
    return dual_of_many(energy.potentials, energy.tau, floor, strength, watch=watch, weights=energy.grid.weights).bound


def coupled_below(energy: Energy) -> Energy | None:
    """An energy with cross-entropies of one coupling that is nowhere above one without penalties; None where none is proved.

    Not for energies that are of the kind themselves. Of matrices M: F_M = mean_a F_a - (1/A) sum_ab M_ab KL(rho_a||rho_b) falls
    as M_ab, a != b, rise; the coupling is (A - 1) max M_ab.
    """
    coupling: float | None
    if isinstance(energy.contrast, Contrast):
        coupling = energy.contrast.coupling_below(energy.modalities)
    elif energy.strength is None and energy.kernel is None:
        coupling = float((energy.modalities - 1) * (energy.mixing - np.diag(np.diag(energy.mixing))).max())
    else:
        return None
    if coupling is None or coupling > 1:
        return None
    scales = energy.tau / np.reshape(energy.binding.tau, (-1, 1))
    return Energy(energy.grid, energy.potentials * scales, energy.tau, coupling, energy.kernel)


def why_unbounded(energy: Energy, floor: float) -> str | None:
    """Why `lower_bound` has none for an energy, None for one that it is known of; why it may have none on weighted points."""
    for term in energy.penalties:
        if term.least(energy.grid) == -inf:
            return f"none is known of the term {term}"
    plain = without_penalties(energy)
    if energy.convexity is Convexity.JOINTLY or has_overlap_vertices(plain, floor):
        return None
    below = coupled_below(plain)
    if below is None and isinstance(energy.contrast, Contrast):
        return f"none is known of the term {energy.contrast} here"
    coupled = plain if below is None else below
    if coupled.strength is None:
        return "none is known of this mixing matrix, which is not that of one coupling"
    if coupled.kernel is not None:
        return why_unhalved(coupled, floor)
    if energy.grid.log_weights.size > 1 and coupled.has_dual:
        return "next to the axis a density beyond all numbers might be lower; a smaller coupling, or a larger tau, has one"
    return None


def without_penalties(energy: Energy) -> Energy:
    """The energy with its contrast alone."""
    return replace(energy, added=tuple(term for term in energy.added if isinstance(term, Contrast)))


def _of_penalised(energy: Energy, floor: float, at: Evaluation | None, watch: Watch | None) -> float | None:
    """The better one of two bounds: with all penalties at their least values, and with the tangents of the convex ones."""
    tangent = [term for term in energy.penalties if term.convexity is Convexity.JOINTLY]
    bent = sum(term.least(energy.grid) for term in energy.penalties if term not in tangent)
    if bent == -inf:
        return None
    plain = without_penalties(energy)
    below = lower_bound(plain, floor, None, watch)
    if below is None:
        return None
    found = below + bent + sum(term.least(energy.grid) for term in tangent)
    if at is None or not isfinite(at.value) or not tangent:
        return found
    height, slope = _tangent(tangent, energy, at)
    tau = np.reshape(energy.binding.tau, (-1, 1))
    shifted = replace(plain, potentials=energy.potentials + energy.modalities * tau * slope)
    below = lower_bound(shifted, floor, None, watch)
    return found if below is None else max(found, below + bent + height)


def _tangent(terms: list[Term], energy: Energy, at: Evaluation) -> tuple[float, Array]:
    """The height at densities 0 and the slope of what touches convex terms at a state."""
    density = at.state.density()
    height, slope = 0.0, np.zeros_like(density)
    for term in terms:
        value, variation = term.evaluate(energy.grid, density)
        height += value - float(np.sum(np.mean(variation * density, axis=1)))
        slope += variation
    return height, slope
