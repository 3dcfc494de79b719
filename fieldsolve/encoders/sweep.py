"""Free encoders over temperatures, resumably: one task a temperature, in the ledger of a folder."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.encoders.laws import JointLaw, law_named
from fieldsolve.encoders.losses import LOSSES, Every
from fieldsolve.encoders.penalties import PENALTIES
from fieldsolve.encoders.problem import LEAST_TAU, EncoderProblem
from fieldsolve.encoders.study import EncoderStudy, study_encoders
from fieldsolve.encoders.temperatures import Critical
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of, text_of
from fieldsolve.numerics.progress import Watch
from fieldsolve.output.summary import SUMMARY
from fieldsolve.runs import Outcome, Run, Task, Work, fill_folder, outcome_of

_KIND = "encoders"
_COUNT = 17  # temperatures of a sweep
_RANGE = 0.2, 3.0  # of tau*, or of tau where there is none

#: Columns of the table, from the values of a study.
COLUMNS = (
    "tau", "loss", "bound", "gap", "excess", "centroid_gap", "window_low", "window_high", "symmetric_kl", "recall", "dimension",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is asked for in words, so that other processes can ask it too; the fields are the command line's."""

    law: str
    tau: float
    labels: bool = False
    objective: str = "symmetric"
    penalties: tuple[str, ...] = ()
    dimension: int | None = None
    learn_tau: bool = False
    tol: float = 1e-8
    max_steps: int = 20_000

    def problem(self) -> EncoderProblem:
        """The problem that the words mean. Raises InputError."""
        loss: Every = made_of(self.objective, LOSSES, "objective")
        penalties = tuple(made_of(one, PENALTIES, "penalty") for one in self.penalties)
        return EncoderProblem(law_named(self.law, self.labels), self.tau, loss, self.dimension, penalties, self.learn_tau)


@dataclass(frozen=True, eq=False)
class Sweep:
    """A study at one temperature and the figures of others around it, by column; failed: their reasons."""

    study: EncoderStudy
    table: dict[str, list[Any]]
    failed: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The study's figures, and of each temperature a row of `sweep`."""
        return self.study.summary() | {"columns": list(self.table), "sweep": self.table, "failed": list(self.failed)}


def temperatures(study: EncoderStudy) -> list[float]:
    """Temperatures around the critical one, or the study's where there is none, evenly spaced in logarithms, and the study's."""
    star = study.star.value if study.star is not None and np.isfinite(study.star.value) else 0.0
    middle = star or study.solution.problem.tau
    spaced = np.geomspace(max(_RANGE[0] * middle, LEAST_TAU), max(_RANGE[1] * middle, 2 * LEAST_TAU), _COUNT)
    return sorted({*(float(f"{one:.6g}") for one in spaced), study.solution.problem.tau})


def sweep(
    asked: Asked,
    study: EncoderStudy,
    taus: Sequence[float],
    folder: Path,
    run: Run,
    force: bool = False,
    watch: Watch | None = None,
) -> Sweep:
    """Solve the same at other temperatures, recording each in a folder's ledger; what is there is not computed again.

    Raises InputError for folders that hold something else.
    """
    if any(not tau >= LEAST_TAU for tau in taus):
        raise InputError(f"temperatures are at least {LEAST_TAU}, not {min(taus):g}")
    work = _work(asked, study, taus)

    def is_same(known: str) -> bool:
        if json.loads(known).get("study") != _KIND:
            raise InputError(f"{folder}: holds something else than free encoders; choose another folder")
        if known == work.spec or force:
            (folder / SUMMARY).unlink(missing_ok=True)  # without it nothing in the folder counts as results
        return known == work.spec

    outcomes = fill_folder(folder, Work(work.spec, is_same, work.tasks, perform), run, True, force, watch)
    return _gathered(study, [outcomes[task.key] for task in work.tasks])


def sweep_here(asked: Asked, study: EncoderStudy, taus: Sequence[float]) -> Sweep:
    """The same in this process, with nothing recorded."""
    return _gathered(study, [perform(task.kind, task.config) for task in _work(asked, study, taus).tasks])


def perform(kind: str, config: dict[str, Any]) -> Outcome:
    """Compute one temperature on one thread."""
    return outcome_of(_row, config)


def _work(asked: Asked, study: EncoderStudy, taus: Sequence[float]) -> Work:
    config: dict[str, Any] = vars(asked) | {"penalties": list(asked.penalties), "contents": _checksum(study.law)}
    config["critical"] = None if study.star is None or study.zero is None else [vars(study.star), vars(study.zero)]
    tasks = [Task.of(_KIND, config | {"tau": tau}) for tau in taus]
    spec = json.dumps({"study": _KIND, **config, "taus": list(taus)}, sort_keys=True)
    return Work(spec, lambda known: known == spec, tasks, perform)


def _row(config: dict[str, Any]) -> dict[str, Any]:
    words = {name: value for name, value in config.items() if name not in ("contents", "critical")}
    asked = Asked(**words | {"penalties": tuple(words["penalties"])})
    problem = asked.problem()
    if _checksum(problem.law) != config["contents"]:
        raise InputError(f"{asked.law}: has changed since the sweep began; start it in another folder")
    known = config["critical"]
    critical = None if known is None else (Critical(**known[0]), Critical(**known[1]))
    study = study_encoders(problem, critical, critical is not None, asked.tol, asked.max_steps)
    return study.values


def _gathered(study: EncoderStudy, outcomes: Sequence[Outcome]) -> Sweep:
    rows = [_flat(one.values) for one in outcomes if one.values is not None]
    rows.sort(key=lambda row: row["tau"])
    failed = tuple(str(one.reason) for one in outcomes if one.values is None)
    return Sweep(study, {name: [row[name] for row in rows] for name in COLUMNS}, failed)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    low, high = values["window"] or (None, None)
    return values | {"window_low": low, "window_high": high}


def _checksum(law: JointLaw) -> int:
    return zlib.crc32(np.ascontiguousarray(law.table).tobytes())


def described(problem: EncoderProblem) -> str:
    """The law and the objective, for titles."""
    return f"{problem.law.label}, {text_of(problem.loss)}"
