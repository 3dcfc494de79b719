"""The weights that remedies need with free encoders: from which on the optimum of a law of pairs has no centroid gap."""

import numpy as np

from fieldsolve.encoders import fronts, losses, penalties
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.solve import solve_encoders

#: The least weight that free encoders are tried at: a critical one of so much is one of at most so much.
LEAST_FREE = 1e-3

_CLOSED = 2e-3  # a centroid gap of free encoders that counts as none


def weight_of_negatives(problem: EncoderProblem) -> float:
    """The critical weight of in-modal negatives: at once for P = P^T, if half of it leaves a gap; else by bisection."""
    table = problem.law.table
    if _is_closed(problem.at(loss=losses.InModalNegatives(LEAST_FREE))):
        return LEAST_FREE
    if table.shape[0] == table.shape[1] and np.allclose(table, table.T, rtol=0, atol=1e-15):
        found = fronts.critical_weight_of_symmetric(problem.law, problem.tau, "in-modal-negatives")
        if found < np.inf and not _is_closed(problem.at(loss=losses.InModalNegatives(found / 2))):
            return found
    return fronts.critical_weight(problem, "in-modal-negatives")


def weight_of_penalty(problem: EncoderProblem, penalty: type[penalties.GapPenalty] | type[penalties.UniformityPenalty]) -> float:
    """The critical weight of a penalty on encoders, by bisection of certified optima."""
    if _is_closed(problem.at(penalties=(penalty(LEAST_FREE),))):
        return LEAST_FREE
    return fronts.critical_weight(problem, penalty)


def _is_closed(problem: EncoderProblem) -> bool:
    return solve_encoders(problem, 1e-10).centroid_gap <= _CLOSED
