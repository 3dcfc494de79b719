"""A remedy studied: stability in any dimension, the states that it leads to, free encoders, the code; and all of them "
"side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.remedies.effect import Effect, effect, published_sentences
from fieldsolve.remedies.remedy import Remedy
from fieldsolve.remedies.states import States, default_weights, states_of
from fieldsolve.remedies.table import REMEDIES

#: What both answers mean, in words.
MEANING = (
    "partners held still: potentials stay as they are while densities react, and uniform densities stay together from "
    "the weight on; "
    "free encoders: partners move too, and the loss alone decides",
)

SCHEMAS = ("fieldsolve/remedy/1", "fieldsolve/remedies/1")


@dataclass(frozen=True, eq=False)
class Free:
    """What is known of a remedy with free encoders: a sentence, and the critical weight of a law of pairs, if there is one."""

    sentence: str
    law: str | None
    weight: float | None

    @property
    def words(self) -> str:
        """For a report."""
        if self.law is None or self.weight is None:
            return self.sentence
        needed = (
            "no weight closes the gap" if not np.isfinite(self.weight) else f"the gap is closed from weight {self.weight:.4g} on"
        )
        return f"{self.sentence}; for {self.law} {needed}"


@dataclass(frozen=True, eq=False)
class Study:
    """A remedy at a weight: its effect on uniform densities, its states over weights (None in other dimensions), free "
    "encoders."""

    effect: Effect
    states: States | None
    free: Free

    def summary(self) -> dict[str, Any]:
        """Every value under the name that JSON gives it, with report and table."""
        found, remedy = self.effect, self.effect.remedy
        values: dict[str, Any] = {
            "schema": SCHEMAS[0],
            "remedy": str(remedy),
            "title": remedy.title,
            "formula": remedy.formula,
            "weight_is": remedy.unit,
            "weight_at": found.weight,
            "tau": found.kernel.tau,
            "critic": str(found.kernel.critic),
            "dimension": found.dimension,
            "coupling": found.coupling,
            "critical_formula": remedy.critical,
            "centroid_weight": _finite(found.centroid_weight),
            "whole_weight": _finite(found.whole_weight),
            "unstable_degrees": found.unstable_degrees,
            "modes": {
                "degree": list(range(1, len(found.factors) + 1)), "spectrum": found.factors.tolist(),
                "critical_weight": [_finite(one) for one in found.critical.tolist()], "growth": found.growth.tolist(),
            },
            "free_encoders": {"sentence": self.free.sentence, "law": self.free.law, "weight": _finite(self.free.weight)},
            "code": {"open_clip": remedy.code.open_clip, "sentence_transformers": remedy.code.sentence_transformers},
            "report": self._report(),
        }  # fmt: skip
        table = values["modes"] if self.states is None else self.states.columns()
        return values | {"columns": list(table)} | table

    def _report(self) -> list[str]:
        remedy = self.effect.remedy
        lines = [
            f"{remedy}: {remedy.title}",
            f"energy: {remedy.formula}; weight: {remedy.unit}",
            *(f"partners held still: {sentence}" for sentence in self.effect.sentences),
            f"free encoders: {self.free.words}",
        ]
        if self.states is not None:
            lines.append(f"lowest states found: {closing_sentence(self.states)}")
        lines += [f"open_clip: {remedy.code.open_clip}"] if remedy.code.open_clip else []
        lines += [f"sentence-transformers: {remedy.code.sentence_transformers}"] if remedy.code.sentence_transformers else []
        return lines


@dataclass(frozen=True, eq=False)
class Comparison:
    """All remedies under one kernel."""

    studies: tuple[Study, ...]

    def summary(self) -> dict[str, Any]:
        """Every value under the name that JSON gives it, with report and table."""
        kernel, dimension = self.studies[0].effect.kernel, self.studies[0].effect.dimension
        table: dict[str, list[Any]] = {
            "remedy": [str(one.effect.remedy) for one in self.studies],
            "weight_is": [one.effect.remedy.unit for one in self.studies],
            "centroid_weight": [_finite(one.effect.centroid_weight) for one in self.studies],
            "whole_weight": [_finite(one.effect.whole_weight) for one in self.studies],
            "free_weight": [_finite(one.free.weight) for one in self.studies],
        }
        if any(one.states is not None for one in self.studies):
            closed = [None if one.states is None else closing(one.states) for one in self.studies]
            table["closed_at"] = [None if one is None else one[0] for one in closed]
            table["alignment_cost"] = [None if one is None else one[1] for one in closed]
        return {
            "schema": SCHEMAS[1],
            "tau": kernel.tau,
            "critic": str(kernel.critic),
            "dimension": dimension,
            "report": [*published_sentences(kernel, dimension), *MEANING],
            "remedies": [_without_table(one.summary()) for one in self.studies],
            "columns": list(table),
            **table,
        }


def study(
    remedy: Remedy,
    problem: Problem | None,
    kernel_and_dimension: tuple[Any, int],
    weights: Sequence[float] | None = None,
    weight: float | None = None,
    law: JointLaw | None = None,
    watch: Watch | None = None,
) -> Study:
    """Study a remedy: at `weight` (the one from which on centroids stay together, if none is given) under a kernel on S^{d-1}.

    problem: CLIP's, whose states are found at `weights`, or None for none; law: of pairs, for which free encoders' weight is
    found. Raises InputError for weights out of range, and for problems and laws that do not fit.
    """
    kernel, dimension = kernel_and_dimension
    known = effect(remedy, 0.0, kernel, dimension)
    at = (
        weight if weight is not None else (known.centroid_weight if np.isfinite(known.centroid_weight) else min(1.0, remedy.most))
    )
    found = effect(remedy, at, kernel, dimension)
    states = None
    if problem is not None:
        states = states_of(remedy, problem, default_weights(found) if weights is None else weights, watch)
    free = None if law is None else remedy.free_weight(EncoderProblem(law, kernel.tau))
    return Study(found, states, Free(remedy.free_sentence, None if law is None else law.label, free))


def compare_all(
    problem: Problem | None, kernel_and_dimension: tuple[Any, int], law: JointLaw | None = None, watch: Watch | None = None
) -> Comparison:
    """Study every remedy at its own weights."""
    found = []
    for index, made in enumerate(REMEDIES.values()):
        found.append(study(made(), problem, kernel_and_dimension, law=law))
        if watch is not None:
            watch(Progress(index + 1, len(REMEDIES), "remedies"))
    return Comparison(tuple(found))


def closing(states: States) -> tuple[float | None, float | None]:
    """The least weight looked at from which on the lowest states found are together, and the binding given up there (nats)."""
    words = states.columns()["state"]
    for index, weight in enumerate(states.weights):
        if all(word == "together" for word in words[index:]):
            return weight, float(states.cost[index])
    return None, None


def closing_sentence(states: States) -> str:
    """From which weight on the lowest states found are together, and what alignment pays, in words."""
    weight, cost = closing(states)
    if weight is not None:
        return f"together from weight {weight:.4g} on, at {cost:.3g} nats of binding more than without"
    words = states.columns()["state"]
    if "centroids together" in words:
        first = states.weights[words.index("centroids together")]
        kl = states.solutions[words.index("centroids together")].symmetric_kl
        return f"centroids together from weight {first:.4g} on, densities {kl:.3g} nats apart all the same"
    return f"apart at every weight up to {states.weights[-1]:.4g}"


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _without_table(summary: dict[str, Any]) -> dict[str, Any]:
    table = {name: summary[name] for name in summary["columns"]}
    return {name: value for name, value in summary.items() if name not in ("columns", "schema", *table)} | {"table": table}
