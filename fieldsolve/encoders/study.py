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
from fieldsolve.equilibrium.descent import Status
from fieldsolve.numerics.names import text_of
from fieldsolve.numerics.progress import Watch

SCHEMA = "fieldsolve/encoders/1"

_REACHED = 1e-7  # nats above the least over all logits, below which it counts as reached


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

    @cached_property
    def is_undetermined(self) -> bool:
        """Whether the least loss leaves the centroid gap open: it is reached at PMI, in private dimensions and all."""
        problem, solution = self.solution.problem, self.solution
        is_open = isinstance(problem.loss, Symmetric | OneSided | FewNegatives | Sigmoid) and not problem.penalties
        is_least = problem.dimension is None and solution.status is Status.CERTIFIED and solution.bound == problem.least
        is_warm = isinstance(problem.loss, Symmetric) and self.star is not None and problem.tau > self.star.high > 0
        return bool(is_open and (solution.excess <= _REACHED or is_least) and not is_warm)

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
            "centroid_gap": None if self.is_undetermined else solution.centroid_gap,
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
        what = f"{self.law.label}, {' x '.join(map(str, self.law.table.shape))} symbols, tau {values['tau']:.6g}"
        with_penalties = f", {values['value']:.8g} with penalties" if problem.penalties else ""
        said = [
            f"{what}: {text_of(problem.loss)} loss {values['loss']:.8g} nats{with_penalties}; no encoders in any dimension have "
            f"less than {values['bound']:.8g}"
        ]
        if isinstance(problem.loss, Symmetric | OneSided | OneEncoder):
            is_reached = values["excess"] <= _REACHED and self.law.is_positive
            above = "the loss reaches" if is_reached else f"the loss is {values['excess']:.3g} above"
            said.append(f"the mutual information is {values['mutual_information']:.8g} nats: {above} minus that")
        if self.solution.status not in (Status.CONVERGED, Status.CERTIFIED):
            said.append(f"{values['status']}; what follows is of encoders that are no optimum")
        if problem.dimension is not None:
            worst = self.solution.ends[-1] - self.solution.ends[0]
            said.append(
                f"{problem.dimension} dimensions cost {max(values['price_of_dimension'], 0.0):.4g} nats at most; the worst of "
                f"{len(self.solution.ends)} descents ended {worst:.3g} higher"
            )
        if self.star is not None and isinstance(problem.loss, Symmetric | FewNegatives):
            said.append(self._of_temperatures())
        said.append(self._of_gap())
        said.append(f"partners are found first with probability {values['recall']:.4f}, {values['best_recall']:.4f} at best")
        return said

    def _of_temperatures(self) -> str:
        assert self.star is not None
        least = (
            "minus the mutual information"
            if isinstance(self.solution.problem.loss, Symmetric)
            else "the least loss of all logits"
        )
        if self.star.value == 0:
            return f"{self.star.route}: {least} is not reached at any temperature (tau* = 0)"
        if not np.isfinite(self.star.value):
            return f"modalities are independent: {least} is reached at any temperature (tau* is infinite)"
        zero = self.zero.value if self.zero is not None else 0.0
        without = f"without a centroid gap up to tau_0 = {zero:.8g}" if zero > 0 else "never without a centroid gap (tau_0 = 0)"
        return f"{least} is reached up to tau* = {self.star.value:.8g} ({self.star.route}), {without}"

    def _of_gap(self) -> str:
        values, problem = self.values, self.solution.problem
        if self.is_undetermined and self.window is not None:
            span = f"from {self.window.low:.6g} to {self.window.high:.6g}"
            any_number = ", whatever the number of negatives" if isinstance(problem.loss, Symmetric | FewNegatives) else ""
            at = f" at tau {problem.tau:g}" if problem.learn_tau else ""
            few = " (encoders in more dimensions may be needed)" if problem.dimension is not None else ""
            return f"every centroid gap {span}{at} has this loss{any_number}{few}"
        kl = f"symmetric KL of the smoothed densities {values['symmetric_kl']:.4g} nats"
        if self.is_undetermined:
            have = f"these encoders have {self.solution.centroid_gap:.6f}, {kl}"
            near = max(self.solution.excess, 1e-12)
            return f"within {near:.0e} nats of its least the loss does not determine the centroid gap; {have}"
        return f"centroid gap {values['centroid_gap']:.6f}; {kl}"


def study_encoders(
    problem: EncoderProblem, has_critical: bool = True, tol: float = 1e-8, max_steps: int = 20_000, watch: Watch | None = None
) -> EncoderStudy:
    """Solve a problem, and find the critical temperatures and the window that belong to it.

    has_critical: whether to compute critical temperatures and windows, which may take minutes for hundreds of symbols.
    """
    solution = solve_encoders(problem, tol, max_steps, watch)
    if not has_critical:
        return EncoderStudy(solution, None, None, None)
    critical = critical_temperatures(problem.law, watch)
    return EncoderStudy(solution, *critical, window_of(problem, critical, watch))


def critical_temperatures(law: JointLaw, watch: Watch | None = None) -> tuple[Critical, Critical]:
    """tau* and tau_0 of a law."""
    star = tau_star(law, watch)
    return star, tau_zero(law, star, watch)


def window_of(problem: EncoderProblem, critical: tuple[Critical, Critical] | None, watch: Watch | None) -> Window | None:
    """The window of a problem's loss at its (least) temperature; None for losses whose minimum is not at PMI + c."""
    loss, law = problem.loss, problem.law
    if isinstance(loss, Sigmoid) and loss.fixed_bias is not None:
        if not law.is_positive or sum(law.table.shape) > MOST_IN_PROGRAM:
            return None
        return window_by_program(law, problem.tau, -float(np.log(loss.negatives)) - loss.fixed_bias)
    if not isinstance(loss, Symmetric | FewNegatives | Sigmoid):
        return None
    return window(law, problem.tau, critical, watch)
