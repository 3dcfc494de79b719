"""A law's free encoders at one temperature, with what is critical for them: what the command prints, a row of its sweep."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fieldsolve.encoders import measures
from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.losses import FewNegatives, OneEncoder, OneSided, Sigmoid, Symmetric
from fieldsolve.encoders.penalties import FormPenalty
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.solve import EncoderSolution, solve_encoders
from fieldsolve.encoders.temperatures import MOST_IN_PROGRAM, Critical, tau_star, tau_zero
from fieldsolve.encoders.windows import Window, window, window_by_program
from fieldsolve.numerics.names import text_of
from fieldsolve.numerics.progress import Watch

SCHEMA = "fieldsolve/encoders/1"

_SAME_GAP = 1e-6  # ends of a window that differ by less are one gap


@dataclass(frozen=True, eq=False)
class EncoderStudy:
    """A solution with the law's critical temperatures and the window of its gaps; None where not asked for, or where none is."""

    solution: EncoderSolution
    star: Critical | None
    zero: Critical | None
    window: Window | None

    @property
    def law(self) -> JointLaw:
        """The law of the symbols."""
        return self.solution.problem.law

    @property
    def is_gap_free(self) -> bool:
        """Whether the objective leaves the centroid gap undetermined."""
        problem = self.solution.problem
        is_plain = problem.dimension is None and not problem.penalties
        return is_plain and self.window is not None and self.window.high - self.window.low > _SAME_GAP

    @cached_property
    def values(self) -> dict[str, Any]:
        """Every figure under the name the command line's JSON gives it."""
        solution, problem, law = self.solution, self.solution.problem, self.law
        return {
            "tau": solution.tau,
            "loss": solution.loss,
            "value": solution.value,
            "bound": solution.bound,
            "gap": solution.gap,
            "mutual_information": law.mutual_information,
            "excess": solution.excess if np.isfinite(solution.excess) else None,
            "tau_star": None if self.star is None else self.star.value,
            "tau_zero": None if self.zero is None else self.zero.value,
            "window": None if self.window is None else [self.window.low, self.window.high],
            "centroid_gap": None if self.is_gap_free else solution.centroid_gap,
            "dimension": solution.dimension,
            "price_of_dimension": None if problem.dimension is None else solution.gap,
            "symmetric_kl": measures.smoothed_symmetric_kl(law, solution.first, solution.second, solution.tau),
            "recall": measures.recall(law, solution.similarity),
            "best_recall": measures.best_recall(law),
            "bias": solution.bias if isinstance(problem.loss, Sigmoid) else None,
            "status": solution.status.value,
        }

    def summary(self) -> dict[str, Any]:
        """All of it as JSON, with what was asked for."""
        problem, law = self.solution.problem, self.law
        return {
            "schema": SCHEMA,
            "law": law.label,
            "symbols": list(law.table.shape),
            "lautum_information": law.lautum,
            "objective": text_of(problem.loss),
            "penalties": [one.name if isinstance(one, FormPenalty) else text_of(one) for one in problem.penalties],
            "learn_tau": problem.learn_tau,
            "tau_star_bracket": None if self.star is None else [self.star.low, self.star.high],
            "tau_zero_bracket": None if self.zero is None else [self.zero.low, self.zero.high],
            "route": None if self.star is None else self.star.route,
            "steps": self.solution.steps,
            "ends": list(self.solution.ends),
            "notes": list(law.notes),
            "report": self.report,
            **self.values,
        }

    @property
    def report(self) -> list[str]:
        """What was found, in sentences."""
        values, problem = self.values, self.solution.problem
        bounded = f"no encoders in any dimension have less than {values['bound']:.8g}"
        said = [f"{text_of(problem.loss)} loss {values['loss']:.8g} nats at tau {values['tau']:.6g}; {bounded}"]
        if problem.penalties:
            said[0] = f"loss {values['loss']:.8g} and with penalties {values['value']:.8g} nats; {bounded}"
        if isinstance(problem.loss, Symmetric | OneSided | OneEncoder):
            said.append(
                f"the mutual information is {values['mutual_information']:.8g} nats: {values['excess']:.3g} of it are missing"
            )
        if problem.dimension is not None:
            worst = self.solution.ends[-1] - self.solution.ends[0]
            said.append(
                f"{problem.dimension} dimensions cost {values['price_of_dimension']:.4g} nats at most; the worst of "
                f"{len(self.solution.ends)} descents ended {worst:.3g} higher"
            )
        if self.star is not None:
            said.append(self._of_temperatures())
        said.append(self._of_gap())
        said.append(f"partners are found first with probability {values['recall']:.4f}, {values['best_recall']:.4f} at best")
        return said

    def _of_temperatures(self) -> str:
        assert self.star is not None
        if self.star.value == 0:
            return f"{self.star.route}: minus the mutual information is not reached at any temperature (tau* = 0)"
        zero = self.zero.value if self.zero is not None else 0.0
        without = f"without a centroid gap up to tau_0 = {zero:.8g}" if zero > 0 else "never without a centroid gap (tau_0 = 0)"
        return f"minus the mutual information is reached up to tau* = {self.star.value:.8g} ({self.star.route}), {without}"

    def _of_gap(self) -> str:
        values = self.values
        if self.is_gap_free:
            assert self.window is not None
            span = f"from {self.window.low:.6g} to {self.window.high:.6g}"
            return f"every centroid gap {span} has this loss, whatever the number of negatives"
        kl = f"; symmetric KL of the smoothed densities {values['symmetric_kl']:.4g} nats"
        return f"centroid gap {values['centroid_gap']:.6f}{kl}"


def study_encoders(
    problem: EncoderProblem,
    critical: tuple[Critical, Critical] | None = None,
    with_critical: bool = True,
    tol: float = 1e-8,
    max_steps: int = 20_000,
    watch: Watch | None = None,
) -> EncoderStudy:
    """Solve a problem, and find the critical temperatures and the window that belong to it.

    critical: tau* and tau_0 where they are known; with_critical: whether to compute them, which may take minutes for large laws.
    """
    solution = solve_encoders(problem, tol, max_steps, watch)
    if critical is None and not with_critical:
        return EncoderStudy(solution, None, None, None)
    if critical is None:
        star = tau_star(problem.law, watch)
        critical = star, tau_zero(problem.law, star, watch)
    return EncoderStudy(solution, *critical, _window(problem, solution, critical, watch))


def _window(
    problem: EncoderProblem, solution: EncoderSolution, critical: tuple[Critical, Critical], watch: Watch | None
) -> Window | None:
    """The window of the loss alone, at the temperature of the solution; None for losses whose minimum is not at PMI + c."""
    loss, law = problem.loss, problem.law
    if isinstance(loss, Sigmoid) and loss.fixed_bias is not None:
        if not law.is_positive or sum(law.table.shape) > MOST_IN_PROGRAM:
            return None
        return window_by_program(law, solution.tau, -float(np.log(loss.negatives)) - loss.fixed_bias)
    if not isinstance(loss, Symmetric | FewNegatives | Sigmoid):
        return None
    return window(law, solution.tau, *critical, watch)
