"""A reproduction of one of the paper's experiments: what it computes, in a folder that can be left and taken up at any time."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch
from fieldsolve.output.summary import SUMMARY
from fieldsolve.reproduce.captions import study as captions
from fieldsolve.reproduce.gap import study as gap
from fieldsolve.reproduce.gibbs import study as gibbs
from fieldsolve.reproduce.gradient import study as gradient
from fieldsolve.reproduce.study import Study
from fieldsolve.runs import LEDGER, Ledger, Outcome, Run, Task, Work, configuration, fill_folder, outcome_of

_STUDIES: dict[str, tuple[Any, Any]] = {
    "gradient": (gradient, gradient.GradientStudy),
    "gibbs": (gibbs, gibbs.GibbsStudy),
    "gap": (gap, gap.GapStudy),
    "captions": (captions, captions.CaptionsStudy),
}
EXPERIMENTS = tuple(_STUDIES)

_COMPUTED = {kind: compute for module, _ in _STUDIES.values() for kind, compute in module.COMPUTED.items()}


@dataclass(frozen=True)
class Plan:
    """An experiment [D.1, D.2, D.3, MS-COCO], its number of seeds, whether it is the quick version, and what it is of if that is
    not given: files of embeddings and a temperature.
    """

    experiment: str
    seeds: int
    quick: bool
    inputs: dict[str, Any] | None = None

    @property
    def tasks(self) -> list[Task]:
        """All there is to compute."""
        given = () if self.inputs is None else (self.inputs,)
        every: list[Task] = _STUDIES[self.experiment][0].tasks(self.seeds, self.quick, *given)
        return every

    def to_json(self) -> str:
        """All of it, the same text for the same plan."""
        return json.dumps({name: value for name, value in vars(self).items() if name != "inputs" or value is not None})

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The plan that `to_json` wrote."""
        return cls(**json.loads(text))


def make_plan(experiment: str, quick: bool = False, seeds: int | None = None, inputs: dict[str, Any] | None = None) -> Plan:
    """The paper's settings, or those of the quick version. inputs: of the experiment on captions, from its `inputs_of`.

    Raises InputError for an unknown experiment, less than one seed, and embeddings that are missing or superfluous.
    """
    if experiment not in EXPERIMENTS:
        raise InputError(f"unknown experiment {experiment!r}; the experiments are {', '.join(EXPERIMENTS)}")
    if seeds is not None and seeds < 1:
        raise InputError(f"a reproduction needs at least one seed, not {seeds}")
    if (inputs is None) == (experiment == "captions"):
        raise InputError("captions is the experiment that needs embeddings: give their files, one or two; the others need none")
    return Plan(experiment, _STUDIES[experiment][0].default_seeds(quick) if seeds is None else seeds, quick, inputs)


def is_plan(text: str) -> bool:
    """Whether the spec in a ledger is that of a reproduction."""
    return "experiment" in json.loads(text)


def perform(kind: str, config: dict[str, Any]) -> Outcome:
    """Compute a task of a reproduction on one thread."""
    return outcome_of(_COMPUTED[kind], config)


def run_plan(
    plan: Plan, folder: Path, run: Run, replace: bool = False, watch: Watch | None = None
) -> Study | list[tuple[Task, Outcome]]:
    """Compute what a folder's ledger does not hold of a plan: the study, or the tasks that failed, to be tried again next time.

    replace: use a folder with another plan's results, and keep what both share. Raises InputError as `fill`.
    """

    def is_same(known: str) -> bool:
        if not is_plan(known) or Plan.from_json(known).experiment != plan.experiment:
            raise InputError(f"{folder}: holds something else than the experiment {plan.experiment}; choose another folder")
        same = known == plan.to_json()
        if same or replace:
            (folder / SUMMARY).unlink(missing_ok=True)  # without it nothing in the folder counts as results
        return same

    work = Work(plan.to_json(), is_same, plan.tasks, perform)
    outcomes = fill_folder(folder, work, run, True, replace, watch)
    return _study(plan, [(task, outcomes[task.key]) for task in plan.tasks])


def open_study(folder: Path) -> tuple[Plan, Study | list[tuple[Task, Outcome]]]:
    """The plan and the study of a folder, whichever version has filled it. Raises InputError if something is missing."""
    with Ledger(folder / LEDGER, write=False) as ledger:
        text = ledger.spec()
        if text is None or not is_plan(text):
            raise InputError(f"{folder}: its ledger holds no reproduction; run it again")
        plan, known = Plan.from_json(text), ledger.by_configuration()
    found = [(task, known.get(configuration(task.kind, task.config))) for task in plan.tasks]
    missing = sum(outcome is None for _, outcome in found)
    if missing:
        raise InputError(
            f"{folder}: {missing} of {len(found)} parts are not computed yet; run the same fieldsolve reproduce "
            f"{plan.experiment} again"
        )
    return plan, _study(plan, [(task, outcome) for task, outcome in found if outcome is not None])


def _study(plan: Plan, found: list[tuple[Task, Outcome]]) -> Study | list[tuple[Task, Outcome]]:
    failed = [(task, outcome) for task, outcome in found if outcome.values is None]
    if failed:
        return failed
    results = [(task, outcome.values) for task, outcome in found if outcome.values is not None]
    study: Study = _STUDIES[plan.experiment][1].of(results)
    return study
