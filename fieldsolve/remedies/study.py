"""A remedy studied: stability in any dimension, its states, free encoders, the code; and all of them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.grids import Kernel
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.remedies.effect import Effect, effect, published_sentences
from fieldsolve.remedies.free import LEAST_FREE
from fieldsolve.remedies.published import Published, remedy_of
from fieldsolve.remedies.remedy import Code, Remedy
from fieldsolve.remedies.states import States, default_weights, states_of
from fieldsolve.remedies.table import REMEDIES

#: What both answers mean, in words.
MEANING = (
    "free encoders: partners move with the densities, as in training; its weights are of a law of pairs (--law)",
    "partners held still: a stress test of the loss, in which densities react to potentials that stay; its weights are above",
)

SCHEMA, SCHEMA_OF_ALL = "fieldsolve/remedy/1", "fieldsolve/remedies/1"


@dataclass(frozen=True, eq=False)
class Free:
    """What is known of a remedy with free encoders: a sentence, and the critical weight of a law of pairs, if there is one."""

    sentence: str
    law: str | None
    weight: float | None

    @property
    def words(self) -> str:
        """For a report."""
        if self.law is None:
            return self.sentence
        if self.weight is None:
            return f"{self.sentence}; for {self.law} it is not known here"
        if not np.isfinite(self.weight):
            return f"{self.sentence}; for {self.law} no weight closes the gap"
        at_most = ", or a smaller one" if self.weight <= LEAST_FREE else ""
        return f"{self.sentence}; for {self.law} the gap is closed from weight {self.weight:.4g}{at_most} on"


@dataclass(frozen=True, eq=False)
class Study:
    """A remedy at a weight: its effect on uniform densities, its states (None in other dimensions), free encoders."""

    effect: Effect
    states: States | None
    free: Free
    published: Published | None = None

    def summary(self) -> dict[str, Any]:
        """Every value under the name that JSON gives it, with report and table."""
        found, remedy, code = self.effect, self.effect.remedy, self.code
        values: dict[str, Any] = {
            "schema": SCHEMA,
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
            "bands_weight": found.bands_weight,
            "unstable_degrees": found.unstable_degrees,
            "modes": {
                "degree": list(range(1, len(found.factors) + 1)), "spectrum": found.factors.tolist(),
                "critical_weight": [_finite(one) for one in found.critical.tolist()], "curvature": found.curvature.tolist(),
            },
            "free_encoders": {
                "sentence": self.free.sentence, "law": self.free.law, "weight": _finite(self.free.weight),
                "is_known": self.free.weight is not None,
            },
            "code": {"open_clip": code.open_clip, "sentence_transformers": code.sentence_transformers, "only": code.only},
            "published": None if self.published is None else vars(self.published),
            "report": self._report(),
        }  # fmt: skip
        table = values["modes"] if self.states is None else self.states.columns()
        return values | {"columns": list(table)} | table

    @property
    def code(self) -> Code:
        """The line of code at its weight."""
        return self.effect.remedy.code_at(self.effect.weight, self.effect.kernel, self.effect.dimension)

    def _report(self) -> list[str]:
        remedy, code, lines = self.effect.remedy, self.code, []
        if self.published is not None:
            one = self.published
            left_out = f"; {one.left_out}" if one.left_out else ""
            lines.append(f"{one.title} ({one.source}): {remedy} at weight {one.weight:g}{left_out}")
        lines += [
            f"{remedy}: {remedy.title}",
            f"energy: {remedy.formula}; weight: {remedy.unit}",
            f"free encoders, as in training: {self.free.words}",
            *(f"partners held still: {sentence}" for sentence in self.effect.sentences),
        ]
        if self.states is not None:
            lines.append(f"lowest states found: {closing_sentence(self.states)}")
        lines += [f"open_clip, at weight {self.effect.weight:.4g}: {code.open_clip}"] if code.open_clip else []
        if code.sentence_transformers:
            lines.append(f"{code.only or 'sentence-transformers'}: {code.sentence_transformers}")
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
            "bands_weight": [one.effect.bands_weight for one in self.studies],
        }
        if any(one.free.weight is not None for one in self.studies):
            table["free_weight"] = [_finite(one.free.weight) for one in self.studies]
        if any(one.states is not None for one in self.studies):
            closed = [None if one.states is None else closing(one.states) for one in self.studies]
            table["apart_up_to"] = [None if one is None else one[0] for one in closed]
            table["together_from"] = [None if one is None else one[1] for one in closed]
            table["alignment_cost"] = [None if one is None else one[2] for one in closed]
        return {
            "schema": SCHEMA_OF_ALL,
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
    kernel: Kernel,
    dimension: int,
    problem: Problem | None = None,
    weights: Sequence[float] | None = None,
    weight: float | None = None,
    law: JointLaw | None = None,
    watch: Watch | None = None,
) -> Study:
    """Study a remedy at `weight` (the one from which on centroids stay together, if none is given) under a kernel on S^{d-1}.

    problem: CLIP's, whose states are found at `weights`; law: of pairs, for which free encoders' weight is found. Raises
    InputError for weights out of range, and for problems and laws that do not fit.
    """
    if weight is None:
        critical = effect(remedy, 0.0, kernel, dimension).centroid_weight
        weight = critical if np.isfinite(critical) else min(1.0, remedy.most)
    found = effect(remedy, weight, kernel, dimension)
    states = None
    if problem is not None:
        states = states_of(remedy, problem, default_weights(found) if weights is None else weights, watch)
    free = None if law is None else remedy.free_weight(EncoderProblem(law, kernel.tau))
    return Study(found, states, Free(remedy.free_sentence, None if law is None else law.label, free))


def study_published(loss: Published, kernel: Kernel, dimension: int, **more: Any) -> Study:
    """Study a published loss at its weight; more: as of `study`."""
    weight = more.pop("weight", None)
    found = study(remedy_of(loss.remedy)[0], kernel, dimension, weight=loss.weight if weight is None else weight, **more)
    return replace(found, published=loss)


def compare_all(
    kernel: Kernel, dimension: int, problem: Problem | None = None, law: JointLaw | None = None, watch: Watch | None = None
) -> Comparison:
    """Study every remedy at its own weights."""
    found = []
    for index, made in enumerate(REMEDIES.values()):
        found.append(study(made(), kernel, dimension, problem, law=law))
        if watch is not None:
            watch(Progress(index + 1, len(REMEDIES), "remedies"))
    return Comparison(tuple(found))


def closing(states: States) -> tuple[float, float, float] | None:
    """The weights between which the lowest states found come together, and the binding given up then (nats); or None."""
    words = states.columns()["state"]
    for index in range(1, len(words)):
        if all(word == "together" for word in words[index:]) and words[index - 1] != "together":
            return states.weights[index - 1], states.weights[index], float(states.cost[index])
    return None


def closing_sentence(states: States) -> str:
    """Between which weights the lowest states found come together, and what alignment pays, in words."""
    found, words = closing(states), states.columns()["state"]
    if found is not None:
        below, weight, cost = found
        return f"apart up to weight {below:.4g}, together from {weight:.4g} on, at {cost:.3g} nats of binding more than without"
    if words[-1] == "centroids together":
        kl = states.solutions[-1].symmetric_kl
        return f"centroids together at weight {states.weights[-1]:.4g}, densities {kl:.3g} nats apart all the same"
    return f"{words[-1]} at weight {states.weights[-1]:.4g}"


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _without_table(summary: dict[str, Any]) -> dict[str, Any]:
    table = {name: summary[name] for name in summary["columns"]}
    return {name: value for name, value in summary.items() if name not in ("columns", "schema", *table)} | {"table": table}
