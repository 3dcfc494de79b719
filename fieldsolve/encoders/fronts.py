"""What a penalty costs and from which weight on it closes the centroid gap."""

from collections.abc import Callable, Sequence
from math import inf

import numpy as np
from scipy.linalg import eigh, eigvalsh

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.losses import InModalNegatives, OneEncoder, Symmetric
from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.encoders.penalties import GapPenalty, Penalty
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.solve import EncoderSolution, solve_encoders
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch

_CLOSED = 1e-3  # a centroid gap below this is taken for 0 by bisection
_LARGEST = 200.0
_TOL = 1e-10  # nats

#: What a weight belongs to, as a change of a problem.
_REMEDIES: dict[str, Callable[[EncoderProblem, float], EncoderProblem]] = {
    "gap": lambda problem, weight: problem.at(penalties=(GapPenalty(weight),)),
    "in-modal-negatives": lambda problem, weight: problem.at(loss=InModalNegatives(weight)),
}


#: A named remedy, or what makes a penalty of a weight.
Remedy = str | Callable[[float], Penalty]


def front(
    problem: EncoderProblem, weights: Sequence[float], remedy: Remedy = "gap", watch: Watch | None = None
) -> list[EncoderSolution]:
    """Certified optima at rising weights of a remedy: the Pareto front of loss against gap.

    remedy: "gap", "in-modal-negatives", or a penalty by its weight, such as `UniformityPenalty`. Raises InputError for other
    remedies, and problems that have a penalty or another loss already.
    """
    found: list[EncoderSolution] = []
    for index, weight in enumerate(weights):
        start = np.concatenate([found[-1].first, found[-1].second]) if found else None
        found.append(solve_encoders(_remedied(problem, remedy, weight), _TOL, start=start))
        if watch is not None:
            watch(Progress(index + 1, len(weights), "weights"))
    return found


def critical_weight(problem: EncoderProblem, remedy: Remedy = "gap", relative: float = 1e-4) -> float:
    """The least weight with which the optimum has no centroid gap, by bisection of certified optima; inf from 200 on.

    For in-modal negatives relative to the cross-modal loss. A gap below 1e-3 counts as none. Raises InputError for other
    remedies.
    """
    low, high = 0.0, 1e-3
    while _gap(problem, remedy, high) > _CLOSED:
        low, high = high, 4 * high
        if high > _LARGEST:
            return inf
    while high - low > relative * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _gap(problem, remedy, middle) > _CLOSED else (low, middle)
    return high


def critical_weight_of_symmetric(law: JointLaw, tau: float, remedy: str = "gap") -> float:
    """The same for P = P^T, from the optimum A of one encoder, which z = w makes of two (beyond the paper).

    z = w = that encoder stays optimal while the objective's S is semidefinite on antisymmetric changes (x, -x). In-modal
    negatives: the largest generalised eigenvalue of (G - Lam, O + P/tau + Lam), O the gradient of sum_i p_i log sum_j p_j
    e^{A_ij/tau}, G = O - P/tau, Lam = -diag(G A). gap: the least gamma with (Lam - G)/2 + 2 gamma p p^T semidefinite, inf if
    there is none. Raises InputError for other laws and remedies.
    """
    if remedy not in _REMEDIES:
        raise InputError(f"weights are of {' or '.join(_REMEDIES)}, not of {remedy}")
    found = solve_encoders(EncoderProblem(law, tau, OneEncoder()), 1e-12)
    point = Point(found.first, 1 / tau)
    slope = Objective(found.problem).matrix(point) / tau
    multipliers = np.diag(-np.einsum("ij,ij->i", slope @ found.first, found.first))
    if remedy == "in-modal-negatives":
        values = eigh(slope - multipliers, slope + 2 * law.table / tau + multipliers, eigvals_only=True)
        return max(float(values[-1]), 0.0)
    return _least_multiple(0.5 * (multipliers - slope), law.first)


def _least_multiple(matrix: Array, vector: Array) -> float:
    """The least gamma >= 0 with matrix + 2 gamma vector vector^T positive semidefinite to rounding."""

    def lowest(gamma: float) -> float:
        return float(eigvalsh(matrix + 2 * gamma * np.multiply.outer(vector, vector))[0])

    slack = -1e-8 * float(np.abs(matrix).max())
    if lowest(0.0) >= slack:
        return 0.0
    low, high = 0.0, 1.0
    while lowest(high) < slack:
        low, high = high, 2 * high
        if high > 1e9:
            return inf
    while high - low > 1e-12 * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if lowest(middle) < slack else (low, middle)
    return high


def _gap(problem: EncoderProblem, remedy: Remedy, weight: float) -> float:
    return solve_encoders(_remedied(problem, remedy, weight), _TOL).centroid_gap


def _remedied(problem: EncoderProblem, remedy: Remedy, weight: float) -> EncoderProblem:
    if isinstance(remedy, str) and remedy not in _REMEDIES:
        raise InputError(f"weights are of {' or '.join(_REMEDIES)}, not of {remedy}")
    if problem.penalties or not isinstance(problem.loss, Symmetric):
        raise InputError(
            "a remedy is added to symmetric InfoNCE without penalties; its weight stands for the penalty's or the loss's"
        )
    return _REMEDIES[remedy](problem, weight) if isinstance(remedy, str) else problem.at(penalties=(remedy(weight),))
