"""The states that a remedy leads to at given potentials, as a function of its weight: what it closes, and what alignment pays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.solution import Solution
from fieldsolve.equilibrium.solve import solve
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.remedies.effect import Effect
from fieldsolve.remedies.remedy import Remedy

#: A centroid gap, and nats of symmetric KL, that count as none.
CLOSED, SAME = 0.05, 0.05

#: Weights that are looked at, in units of the one from which on centroids stay together.
_FACTORS = (0.0, 0.25, 0.5, 0.75, 0.95, 1.05, 1.5, 2.0, 4.0)
_PLAIN = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, eq=False)
class States:
    """Solutions of a problem under a remedy at rising weights, and how much binding each gives up against the problem itself."""

    remedy: Remedy
    weights: tuple[float, ...]
    solutions: tuple[Solution, ...]
    plain: Solution

    @property
    def cost(self) -> Array:
        """The mean over modalities of int U_a rho_a/tau, less that of the problem without the remedy, nats; (W,)."""
        return np.array([float(one.binding.mean() - self.plain.binding.mean()) for one in self.solutions])

    def columns(self) -> dict[str, list[Any]]:
        """One value a weight: the table."""
        return {
            "weight": list(self.weights),
            "energy": [one.energy for one in self.solutions],
            "bound": [one.bound for one in self.solutions],
            "centroid_gap": [one.centroid_gap for one in self.solutions],
            "symmetric_kl": [one.symmetric_kl for one in self.solutions],
            "alignment_cost": self.cost.tolist(),
            "state": [_word(one) for one in self.solutions],
            "converged": [one.converged for one in self.solutions],
        }


def _word(solution: Solution) -> str:
    """together: nothing is apart; centroids together: the densities still differ; apart: the centroids are, too."""
    if solution.symmetric_kl <= SAME and solution.centroid_gap <= CLOSED:
        return "together"
    return "centroids together" if solution.centroid_gap <= CLOSED else "apart"


def default_weights(effect: Effect) -> tuple[float, ...]:
    """Weights from 0 to beyond the one from which on the centroids stay together, and the effect's own, within what there is."""
    critical, remedy = effect.centroid_weight, effect.remedy
    if remedy.weights:
        return remedy.weights
    tried = [factor * critical for factor in _FACTORS] if np.isfinite(critical) else list(_PLAIN)
    return tuple(sorted({float(f"{min(one, remedy.most):.6g}") for one in [*tried, effect.weight]}))


def states_of(remedy: Remedy, problem: Problem, weights: Sequence[float], watch: Watch | None = None) -> States:
    """Solve a problem of two modalities under a remedy at each weight.

    problem: at full coupling, without terms: CLIP's. Raises InputError for others, and for weights that the remedy does not have.
    """
    if problem.modalities != 2 or problem.terms or np.ndim(problem.coupling) > 0 or problem.coupling != 1:
        raise InputError("a remedy is applied to CLIP's own problem: two modalities at coupling 1, without added terms")
    plain, found = solve(problem), []
    for index, weight in enumerate(weights):
        setting = remedy.setting(remedy.check(weight))
        changed = problem.at("coupling", setting.coupling).at("terms", setting.terms)
        found.append(plain if (setting.coupling, setting.terms) == (1.0, ()) else solve(changed))
        if watch is not None:
            watch(Progress(index + 1, len(weights), f"weights of {remedy}"))
    return States(remedy, tuple(float(one) for one in weights), tuple(found), plain)
