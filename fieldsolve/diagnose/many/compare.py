"""A comparison of runs in a folder that can be left and taken up at any time."""

import json
from collections.abc import Sequence
from pathlib import Path

from fieldsolve.diagnose.many.runs import RunSpec
from fieldsolve.diagnose.many.series import Series
from fieldsolve.diagnose.many.tasks import Common, perform, spec, tasks
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch
from fieldsolve.runs import Outcome, Run, Work, fill_folder

Failures = list[tuple[RunSpec, Outcome]]


def compare_runs(
    runs: Sequence[RunSpec], common: Common, folder: Path, run: Run, replace: bool = False, watch: Watch | None = None
) -> tuple[list[tuple[RunSpec, Outcome]], Failures]:
    """Diagnose the runs that a folder's ledger does not hold yet: those that are done, and those that failed.

    Failed runs are tried again by the next call. replace: use a folder with a comparison of other runs, whose common ones are
    kept. Raises InputError as `fill_folder`.
    """
    every = tasks(runs, common)
    unique = list({task.key: task for task in every}.values())

    def is_same(known: str) -> bool:
        if "compare" not in json.loads(known):
            raise InputError(f"{folder}: holds something else than a comparison; choose another folder")
        return known == spec(runs, common)

    work = Work(spec(runs, common), is_same, unique, perform)
    outcomes = fill_folder(folder, work, run, True, replace, watch)
    found = [(one, outcomes[task.key]) for one, task in zip(runs, every, strict=True)]
    return [pair for pair in found if pair[1].values is not None], [pair for pair in found if pair[1].values is None]


def series_of(done: Sequence[tuple[RunSpec, Outcome]], against: str | None, paired: bool) -> Series:
    """The runs side by side. Raises InputError for fewer than two."""
    if len(done) < 2:
        raise InputError(f"{len(done)} of the runs could be diagnosed; two are needed for a comparison")
    return Series.of([one for one, _ in done], [outcome.values or {} for _, outcome in done], against, paired)
