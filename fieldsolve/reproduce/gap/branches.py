"""Experiment D.3's two phases: which one encoders are in, where their energies cross, and where one of them ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gap.population import encode, lowest_curvature, minimise, normalise_encoders, ratios
from fieldsolve.reproduce.gap.rank_one import separated_minimum

ALIGNED, SEPARATED = "aligned", "separated"

_ACROSS = (0.4, 0.7)  # the energies cross in between
_END = (1.0, 1.2)  # the aligned branch ends in between
_CROSSING_ERROR, _END_ERROR = 1e-8, 1e-4

_SINGULAR, _REGULAR = 0.005, 0.2  # ratios of singular values: aligned minima at the paper's scales have 0.26 and more
_NEAR = 0.15  # encoders of norm 1 and ratio 0.2 or more do not turn over within it
_TRIED_EVERY = 200
_FLOW_ANGLES = 4096  # that ratios down to 0.005 need
_FLOW_STEP, _MOST_FLOW_STEPS = 1e-3, 20_000  # of encoders of norm 1


@dataclass(frozen=True, eq=False)
class Branches:
    """Both phases over sigma, (n,) each; NaN where the aligned one is no more.

    aligned_curvature: the lowest eigenvalue of the Hessian; separated_slope: the smaller of dJ/d|r|; separated_curvature: the
    lowest eigenvalue of the rest. crossing: the scale at which the energies are equal, and their value there; end: of the
    aligned phase.
    """

    sigmas: Array
    aligned_energy: Array
    aligned_curvature: Array
    separated_energy: Array
    separated_slope: Array
    separated_curvature: Array
    crossing: float
    crossing_energy: float
    end: float


def aligned_minimum(law: Misaligned, starts: int, seed: int = 0) -> tuple[Array | None, list[float]]:
    """The lowest regular minimum from so many random starts, and the energies of all that end in one; others become singular."""
    rng = np.random.default_rng(seed)
    found = [minimise(law, rng.standard_normal((2, 2, 2))) for _ in range(starts)]
    ended = [(encode(law, one).energy, one) for one in found if one is not None]
    if not ended:
        return None, []
    return canonical(min(ended, key=lambda pair: pair[0])[1]), sorted(energy for energy, _ in ended)


def phase_of(law: Misaligned, encoders: Array) -> str:
    """The phase, ALIGNED or SEPARATED, of the minimum that steepest descent of the large-batch energy leads encoders to.

    Steps are short, so that they do not leave a basin; a minimum found otherwise counts if it is so near that no encoder can
    have turned over on the way. Raises RuntimeError after 20 000 steps.
    """
    fine, here = Misaligned(law.sigma, _FLOW_ANGLES), normalise_encoders(encoders)
    for step in range(_MOST_FLOW_STEPS):
        least = ratios(here).min()
        if least < _SINGULAR:
            return SEPARATED
        if least > _REGULAR and step % _TRIED_EVERY == 0:
            found = minimise(law, here)
            if found is not None and np.linalg.norm(found - here) < _NEAR:
                return ALIGNED
        gradient = encode(fine, here).gradient
        here = normalise_encoders(here - _FLOW_STEP * gradient / max(1.0, float(np.linalg.norm(gradient))))
    raise RuntimeError(f"steepest descent has not settled after {_MOST_FLOW_STEPS} steps")


def canonical(encoders: Array) -> Array:
    """The same state turned, and mirrored if need be: the first encoder keeps the angle 0 and the orientation of the circle."""
    if np.linalg.det(encoders[0]) < 0:
        encoders = np.array([1.0, -1.0])[:, None] * encoders
    x, y = encoders[0][:, 0] / np.linalg.norm(encoders[0][:, 0])
    return normalise_encoders(np.array([[x, y], [-y, x]]) @ encoders)


def follow_phases(sigmas: Sequence[float]) -> Branches:
    """Follow the aligned phase from the first of rising scales, and give the separated one, which is there at each, beside it."""
    from scipy.optimize import brentq  # slow to import: 0.4 s

    here, _ = aligned_minimum(Misaligned(sigmas[0]), 4)
    energy, curvature = np.full(len(sigmas), np.nan), np.full(len(sigmas), np.nan)
    rank_one = [separated_minimum(Misaligned(sigma)) for sigma in sigmas]
    near_crossing = near_end = here
    for k, sigma in enumerate(sigmas):
        law = Misaligned(sigma)
        here = None if here is None else minimise(law, here)
        if here is None:
            break
        energy[k], curvature[k] = encode(law, here).energy, lowest_curvature(law, here)
        near_crossing = here if sigma <= _ACROSS[0] else near_crossing
        near_end = here if sigma <= _END[0] else near_end
    assert near_crossing is not None

    def excess(sigma: float) -> float:
        law = Misaligned(sigma)
        state = minimise(law, near_crossing)
        assert state is not None
        return encode(law, state).energy - separated_minimum(law).energy

    crossing = float(brentq(excess, *_ACROSS, xtol=_CROSSING_ERROR))
    return Branches(
        sigmas=np.array(sigmas),
        aligned_energy=energy,
        aligned_curvature=curvature,
        separated_energy=np.array([state.energy for state in rank_one]),
        separated_slope=np.array([state.slopes.min() for state in rank_one]),
        separated_curvature=np.array([state.lowest_curvature for state in rank_one]),
        crossing=crossing,
        crossing_energy=separated_minimum(Misaligned(crossing)).energy,
        end=_end(near_end),
    )


def _end(start: Array | None) -> float:
    """The scale at which the aligned minimum is lost, by bisection from minima nearby."""
    (below, above), state = _END, start
    while above - below > _END_ERROR:
        middle = (below + above) / 2
        found = None if state is None else minimise(Misaligned(middle), state)
        below, above, state = (below, middle, state) if found is None else (middle, above, found)
    return below
