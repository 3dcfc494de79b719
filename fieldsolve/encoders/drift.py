"""What training does to a gap that the loss does not see: gradient flow keeps where it began, batch noise moves it slowly."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.encoders.laws import JointLaw, law_named
from fieldsolve.encoders.ledgers import fill_study
from fieldsolve.encoders.losses import Logits, Symmetric
from fieldsolve.encoders.temperatures import MOST_IN_PROGRAM, tau_star
from fieldsolve.encoders.training import train
from fieldsolve.encoders.windows import window_by_program
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch
from fieldsolve.runs import Outcome, Run, Task, outcome_of

SCHEMA = "fieldsolve/drift/1"

_KIND = "drift"
#: Of a flow, in units of tau^2/(largest marginal), from where on steps are unstable; what a flow keeps, changes with the step.
_STEP = 0.25
_FLOW_STEPS = 40_000
_OFFSETS = (0.5, 1.0, 1.5, 2.0)  # of the modalities' random starts, each along a direction of its own
_FLOWS = 4  # starts for each offset
_FROM = 1.0  # the offset of the flow at whose end noise is switched on
#: Of starts: any, or an orbit of the law's group where there is one, whose symbols differ by symmetries only.
_KINDS = ("random", "orbit")
_PARTS = 8  # of a run: the first is left out, the second and the last are compared

#: Where noise is switched on: halfway up the window, at the end of a gradient flow from a random start, or at the window's upper
#: end, where all of a modality's symbols are as far along the gap: of laws with a group two opposite cones.
STARTS = ("middle of the window", "end of a flow", "upper end of the window")


@dataclass(frozen=True)
class DriftPlan:
    """What is computed: of a law at a temperature, in so many steps of a rate, batches, and seeds of each."""

    law: str
    tau: float
    labels: bool = False
    batches: tuple[int, ...] = (16, 64, 256)
    rate: float | None = None
    steps: int = 8000
    seeds: int = 24

    def tasks(self, law: JointLaw) -> list[Task]:
        """All there is to compute."""
        kinds = _KINDS if law.group is not None else _KINDS[:1]
        shared = {"law": self.law, "labels": self.labels, "tau": self.tau}
        flows = [
            Task.of("flow", shared | {"kind": kind, "offset": offset, "seed": seed})
            for kind in kinds for offset in _OFFSETS for seed in range(_FLOWS)
        ]  # fmt: skip
        noise = [
            Task.of("noise", shared | {"start": start, "batch": batch, "rate": self.step(law), "steps": self.steps, "seed": seed})
            for start in STARTS for batch in self.batches for seed in range(self.seeds)
        ]  # fmt: skip
        return flows + noise

    def step(self, law: JointLaw) -> float:
        """The rate of batch noise: as given, or a quarter of where steps are unstable."""
        return _step(law, self.tau) if self.rate is None else self.rate

    def check(self) -> JointLaw:
        """The law. Raises InputError for temperatures where the gap is no flat direction, and for too many symbols."""
        law = law_named(self.law, self.labels)
        if sum(law.table.shape) > MOST_IN_PROGRAM:
            raise InputError(f"{law.label}: has {sum(law.table.shape)} symbols; drift is followed for at most {MOST_IN_PROGRAM}")
        star = tau_star(law).value
        if star == 0:
            raise InputError(
                f"{law.label}: some pairs of symbols never occur, so that no temperature leaves the gap free (tau* = 0)"
            )
        if not self.tau < star:
            raise InputError(
                f"at tau = {self.tau:g} the loss determines the gap; choose one below tau* = {star:.6g} of {law.label}"
            )
        return law


@dataclass(frozen=True, eq=False)
class Drift:
    """A plan with what came of it. flows: gap and centroids before and after, by column; noise: of each start and batch, too."""

    plan: DriftPlan
    label: str
    rate: float
    flows: dict[str, list[Any]]
    noise: dict[str, list[Any]]

    @property
    def report(self) -> list[str]:
        """What was found, in sentences."""
        flows = {name: np.array(column) for name, column in self.flows.items()}
        said = []
        for kind in dict.fromkeys(self.flows["kind"]):
            rows = flows["kind"] == kind
            before, after = flows["centroid_gap_before"][rows], flows["centroid_gap_after"][rows]
            turned = np.degrees(np.abs(flows["angle_after"] - flows["angle_before"])[rows])
            stretched = np.abs(flows["ratio_after"] / flows["ratio_before"] - 1)[rows]
            said += [
                f"gradient flow from {kind} starts with gaps from {before.min():.4f} to {before.max():.4f} ends with gaps from "
                f"{after.min():.4f} to {after.max():.4f}, correlation {np.corrcoef(before, after)[0, 1]:.3f}, all at an excess "
                f"of {flows['excess'][rows].max():.1e} nats or less",
                f"there the centroids keep their angle to {turned.max():.2g} degrees and the ratio of their lengths to "
                f"{stretched.max():.1e}",
            ]
        for start in STARTS:
            rows = [k for k, one in enumerate(self.noise["start"]) if one == start]
            drifts = ", ".join(
                f"{self.noise['drift'][k]:.2e} +- {self.noise['error'][k]:.1e} at B = {self.noise['batch'][k]}" for k in rows
            )
            said.append(
                f"from the {start}, gap {self.noise['centroid_gap'][rows[0]]:.4f}, the squared gap drifts by {drifts} a step"
            )
        return said

    def summary(self) -> dict[str, Any]:
        """Every figure under the name the command line's JSON gives it."""
        return {
            "schema": SCHEMA, "law": self.label, "tau": self.plan.tau, "rate": self.rate, "steps": self.plan.steps,
            "seeds": self.plan.seeds, "report": self.report, "columns": list(self.noise), **self.noise, "flows": self.flows,
        }  # fmt: skip


def run_drift(
    plan: DriftPlan, folder: Path, run: Run, force: bool = False, watch: Watch | None = None
) -> Drift | list[tuple[Task, Outcome]]:
    """Compute what a folder's ledger does not hold of a plan: the study, or the tasks that failed.

    Raises InputError as `DriftPlan.check` does, and for folders that hold something else.
    """
    law = plan.check()
    tasks = plan.tasks(law)
    outcomes = fill_study(folder, {"study": _KIND, **vars(plan)}, tasks, perform, run, force, watch)
    found = list(zip(tasks, outcomes, strict=True))
    failed = [(task, outcome) for task, outcome in found if outcome.values is None]
    if failed:
        return failed
    rows = [(task, outcome.values) for task, outcome in found if outcome.values is not None]
    flows = [values for task, values in rows if task.kind == "flow"]
    noise = [(task.config, values) for task, values in rows if task.kind == "noise"]
    table = [_row(plan, law, noise, start, batch) for start in STARTS for batch in plan.batches]
    return Drift(plan, law.label, plan.step(law), _columns(flows), _columns(table))


def perform(kind: str, config: dict[str, Any]) -> Outcome:
    """Compute one training on one thread."""
    return outcome_of(_flow if kind == "flow" else _noise, config)


def _row(
    plan: DriftPlan, law: JointLaw, noise: list[tuple[dict[str, Any], dict[str, Any]]], start: str, batch: int
) -> dict[str, Any]:
    found = [values for config, values in noise if config["start"] == start and config["batch"] == batch]
    drifts = np.array([values["drift"] for values in found])
    error = float(drifts.std(ddof=1) / np.sqrt(len(drifts))) if len(drifts) > 1 else float("nan")
    return {
        "start": start, "batch": batch, "centroid_gap": found[0]["centroid_gap"], "drift": float(drifts.mean()), "error": error,
        "scaled": float(drifts.mean()) * batch / plan.step(law) ** 2, "scaled_error": error * batch / plan.step(law) ** 2,
    }  # fmt: skip


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _flow(config: dict[str, Any]) -> dict[str, Any]:
    law = law_named(config["law"], config["labels"])
    if config["kind"] == "random":
        start = _random(law, config["offset"], config["seed"])
    else:
        start = _orbit(law, config["offset"], config["seed"])
    found = train(law, start, config["tau"], _step(law, config["tau"]), _FLOW_STEPS)
    before, after = _centroids(law, *start), _centroids(law, found.first, found.second)
    similarity = found.first @ found.second.T / config["tau"]
    return {
        "kind": config["kind"], "centroid_gap_before": before["gap"], "centroid_gap_after": after["gap"],
        "angle_before": before["angle"], "angle_after": after["angle"],
        "length_before": before["length"], "length_after": after["length"],
        "ratio_before": before["ratio"], "ratio_after": after["ratio"], "excess": _excess(law, similarity),
    }  # fmt: skip


def _noise(config: dict[str, Any]) -> dict[str, Any]:
    law, tau = law_named(config["law"], config["labels"]), config["tau"]
    start = _start(config["law"], config["labels"], tau, config["start"])
    found = train(law, start, tau, config["rate"], config["steps"], config["batch"], config["seed"])
    part = config["steps"] // _PARTS
    # Fluctuations across the flat direction settle in the first part.
    early, late = found.squared_gaps[part : 2 * part].mean(), found.squared_gaps[-part:].mean()
    apart = config["steps"] - 2 * part  # between the middles of the two
    return {"drift": float(late - early) / apart, "centroid_gap": _centroids(law, *start)["gap"]}


@lru_cache(maxsize=len(STARTS))
def _start(text: str, labels: bool, tau: float, name: str) -> tuple[Array, Array]:
    """Where noise is switched on: computed once for its many runs."""
    law = law_named(text, labels)
    if name == STARTS[1]:
        ended = train(law, _random(law, _FROM, 0), tau, _step(law, tau), _FLOW_STEPS)
        return ended.first, ended.second
    window = window_by_program(law, tau)
    if window is None:
        raise InputError(f"{law.label}: has no window at tau = {tau:g}")
    share = 0.5 if name == STARTS[0] else 1.0
    return window.encoders(window.low + share * (window.high - window.low), len(law.first))


def _step(law: JointLaw, tau: float) -> float:
    return _STEP * tau**2 / max(float(law.first.max()), float(law.second.max()))


def _random(law: JointLaw, offset: float, seed: int) -> tuple[Array, Array]:
    """Unit rows of a seeded Gaussian, each modality around an offset along a direction of its own."""
    rng = np.random.default_rng(seed)
    width = sum(law.table.shape)
    made = []
    for count in law.table.shape:
        rows = rng.standard_normal((count, width)) / np.sqrt(width) + offset * _direction(rng, width)
        made.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return made[0], made[1]


def _orbit(law: JointLaw, offset: float, seed: int) -> tuple[Array, Array]:
    """Unit rows that the law's group takes to each other: shifts of one vector for each modality, and the same offset for all."""
    assert law.group is not None
    rng = np.random.default_rng(seed)
    size, made = len(law.first), []
    for _ in (0, 1):
        vector = rng.standard_normal(law.group) / np.sqrt(size)
        shifts = [np.roll(vector, divmod(k, law.group[1]), (0, 1)).ravel() for k in range(size)]
        rows = np.hstack([np.stack(shifts), np.tile(offset * _direction(rng, 3), (size, 1))])
        made.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return made[0], made[1]


def _direction(rng: np.random.Generator, width: int) -> Array:
    vector = rng.standard_normal(width)
    return np.asarray(vector / np.linalg.norm(vector))


def _centroids(law: JointLaw, first: Array, second: Array) -> dict[str, float]:
    """Gap, angle, the shorter one's length and the ratio of both centroids."""
    one, other = law.first @ first, law.second @ second
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    cosine = float(one @ other) / max(lengths[0] * lengths[1], 1e-300)
    return {
        "gap": float(np.linalg.norm(one - other)), "angle": float(np.arccos(np.clip(cosine, -1, 1))), "length": min(lengths),
        "ratio": lengths[0] / max(lengths[1], 1e-300),
    }  # fmt: skip


def _excess(law: JointLaw, logits: Array) -> float:
    found = Symmetric().evaluate(law, Logits(logits.copy, logits.copy, logits.copy, float(logits.max()) + 1e-12))
    return found.value + law.mutual_information
