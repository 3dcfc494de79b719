"""Free encoders over temperatures, resumably: critical temperatures, optima and windows are tasks in the ledger of a folder."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.encoders.laws import JointLaw, law_named
from fieldsolve.encoders.ledgers import fill_study
from fieldsolve.encoders.losses import LOSSES, Every
from fieldsolve.encoders.penalties import PENALTIES
from fieldsolve.encoders.problem import LEAST_TAU, EncoderProblem
from fieldsolve.encoders.solve import solve_encoders
from fieldsolve.encoders.study import EncoderStudy, critical_temperatures, window_of
from fieldsolve.encoders.temperatures import Critical
from fieldsolve.encoders.windows import Window
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of, text_of
from fieldsolve.numerics.progress import Watch
from fieldsolve.runs import Outcome, Run, Task, in_this_process, outcome_of

_COUNT = 17  # temperatures of a sweep
_RANGE = 0.2, 3.0  # of tau*, or of tau where there is none

#: Columns of the table, from the values of a study.
COLUMNS = (
    "tau", "loss", "bound", "gap", "excess", "centroid_gap", "window_low", "window_high", "symmetric_kl", "recall", "dimension",
)  # fmt: skip

#: Computes tasks and returns their outcomes, in order.
Fill = Callable[[Sequence[Task]], list[Outcome]]


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


def sweep(
    asked: Asked, problem: EncoderProblem, taus: Sequence[float], has_critical: bool, fill: Fill, watch: Watch | None = None
) -> Sweep:
    """Solve a problem, and the same at other temperatures: those given, or 17 around the critical one.

    problem: what `asked` means. has_critical: whether critical temperatures and windows are asked for. Raises InputError for
    temperatures below 0.003, and what goes wrong with critical temperatures.
    """
    if any(not tau >= LEAST_TAU for tau in taus):
        raise InputError(f"temperatures are at least {LEAST_TAU}, not {min(taus):g}")
    law = {"law": asked.law, "labels": asked.labels, "contents": _checksum(problem.law)}
    critical = _critical(fill([Task.of("critical", law)])[0]) if has_critical else None
    solution = solve_encoders(problem, asked.tol, asked.max_steps, watch)
    window = None if critical is None else window_of(problem, critical, watch)
    star, zero = critical or (None, None)
    study = EncoderStudy(solution, star, zero, window)
    others = [tau for tau in taus or _around(study) if tau != problem.tau]
    shared: dict[str, Any] = vars(asked) | {"penalties": list(asked.penalties)} | law
    optima = fill([Task.of("optimum", shared | {"tau": tau}) for tau in others])
    words = {"law": asked.law, "labels": asked.labels, "objective": asked.objective} | law
    has_window = [critical is not None and (tau <= critical[0].value or asked.objective.startswith("sigmoid")) for tau in others]
    asked_windows = iter(
        fill([Task.of("window", words | {"tau": tau}) for tau, one in zip(others, has_window, strict=True) if one])
    )
    windows = [next(asked_windows) if one else None for one in has_window]
    rows = [study.values | {"tau": problem.tau}] if not taus or problem.tau in taus else []
    failed = []
    for tau, one, other in zip(others, optima, windows, strict=True):
        if one.values is None or (other is not None and other.values is None):
            failed.append(f"tau {tau:g}: {one.reason or (other and other.reason)}")
            continue
        ends = None if other is None or other.values is None else other.values["window"]
        if ends is not None and critical is not None and tau <= critical[1].value and not asked.objective.startswith("sigmoid"):
            ends = [0.0, ends[1]]
        is_free = one.values["is_undetermined"] and critical is not None
        rows.append(one.values | {"tau": tau, "window": ends, "centroid_gap": None if is_free else one.values["centroid_gap"]})
    rows = sorted((_flat(row) for row in rows), key=lambda row: row["tau"])
    return Sweep(study, {name: [row[name] for row in rows] for name in COLUMNS}, tuple(failed))


def in_folder(
    asked: Asked, law: JointLaw, taus: Sequence[float], folder: Path, run: Run, force: bool, watch: Watch | None
) -> Fill:
    """Tasks that a folder's ledger holds are not computed again; the others are recorded there."""
    spec = {"study": "encoders", "contents": _checksum(law), "taus": list(taus), **vars(asked)}
    return lambda tasks: fill_study(folder, spec, tasks, perform, run, force, watch)


def in_memory(tasks: Sequence[Task]) -> list[Outcome]:
    """All tasks are computed in this process, and nothing is recorded."""
    return [outcome for _, outcome in in_this_process(tasks, perform)]


def perform(kind: str, config: dict[str, Any]) -> Outcome:
    """Compute one task on one thread."""
    return outcome_of({"critical": _critical_of, "optimum": _optimum_of, "window": _window_of}[kind], config)


def _around(study: EncoderStudy) -> list[float]:
    """Temperatures around the critical one, or the study's where there is none, evenly spaced in logarithms, and the study's."""
    star = study.star.value if study.star is not None and np.isfinite(study.star.value) else 0.0
    middle = star or study.solution.problem.tau
    spaced = np.geomspace(max(_RANGE[0] * middle, LEAST_TAU), max(_RANGE[1] * middle, 2 * LEAST_TAU), _COUNT)
    return sorted({*(float(f"{one:.6g}") for one in spaced), study.solution.problem.tau})


def _critical(outcome: Outcome) -> tuple[Critical, Critical]:
    if outcome.values is None:
        raise InputError(f"critical temperatures: {outcome.reason}")
    star, zero = outcome.values["star"], outcome.values["zero"]
    return _of_ends(star), _of_ends(zero)


def _of_ends(ends: list[Any]) -> Critical:
    """What `_critical_of` makes plain; JSON has no infinity."""
    value, low, high = (np.inf if one is None else float(one) for one in ends[:3])
    return Critical(value, low, high, ends[3])


def _critical_of(config: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [one.value, one.low, one.high, one.route]
        for name, one in zip(("star", "zero"), critical_temperatures(_law_of(config)), strict=True)
    }


def _optimum_of(config: dict[str, Any]) -> dict[str, Any]:
    words = {name: value for name, value in config.items() if name != "contents"}
    asked = Asked(**words | {"penalties": tuple(words["penalties"])})
    _law_of(config)
    study = EncoderStudy(solve_encoders(asked.problem(), asked.tol, asked.max_steps), None, None, None)
    return study.values | {"is_undetermined": study.is_undetermined}


def _window_of(config: dict[str, Any]) -> dict[str, Any]:
    law = _law_of(config)
    problem = EncoderProblem(law, config["tau"], made_of(config["objective"], LOSSES, "objective"))
    found: Window | None = window_of(problem, None, None)
    return {"window": None if found is None else [found.low, found.high]}


def _law_of(config: dict[str, Any]) -> JointLaw:
    law = law_named(config["law"], config["labels"])
    if _checksum(law) != config["contents"]:
        raise InputError(f"{config['law']}: has changed since the sweep began; start it in another folder")
    return law


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    low, high = values["window"] or (None, None)
    return values | {"window_low": low, "window_high": high}


def _checksum(law: JointLaw) -> int:
    return zlib.crc32(np.ascontiguousarray(law.table).tobytes())


def described(problem: EncoderProblem) -> str:
    """The law and the objective, for titles."""
    return f"{problem.law.label}, {text_of(problem.loss)}"
