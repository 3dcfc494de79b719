"""A folder with a ledger, filled task by task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import fieldsolve
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.runs.executors import Run
from fieldsolve.runs.ledger import LEDGER, Ledger
from fieldsolve.runs.tasks import Outcome, Perform, Task

_RECORD_EVERY = 0.2  # seconds: what a killed run loses at most, besides what was under way
_TELLING = 4, 2.0  # tasks and seconds after which it is said how long all of them will take


@dataclass(frozen=True)
class Work:
    """What a folder is filled with. spec: what the tasks are of, in JSON; is_same: whether a spec that is there is that."""

    spec: str
    is_same: Callable[[str], bool]
    tasks: Sequence[Task]
    perform: Perform


def check_ledger_folder(folder: Path) -> None:
    """Raise InputError for a folder that holds something else than a ledger: before a long computation rather than after it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; results need a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / LEDGER).exists():
        raise InputError(f"{folder}: is not empty and holds no ledger of an earlier run; choose another folder")


def fill_folder(
    folder: Path, work: Work, run: Run, retry: bool = False, replace: bool = False, watch: Watch | None = None
) -> dict[str, Outcome]:
    """Compute the tasks that a folder's ledger does not hold yet, recording them as they come; failed ones again with retry.

    Stop it at any time and call it again. replace: use the ledger of another spec all the same, whose common tasks are kept.
    Returns the outcomes by their tasks' keys. Raises InputError for folders that hold something else, for a ledger that is in
    use, and if workers run another version.
    """
    check_ledger_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}; choose a folder that you can write to") from error
    with Ledger(folder / LEDGER) as ledger:
        known = ledger.spec()
        if known is not None and not work.is_same(known) and not replace:
            raise InputError(
                f"{folder}: holds results of another spec; choose another folder, or keep what they share with --force"
            )
        ledger.set_spec(work.spec)
        _fill(work, ledger, run, retry, watch)
        return ledger.outcomes()


def _fill(work: Work, ledger: Ledger, run: Run, retry: bool, watch: Watch | None) -> None:
    every = work.tasks
    known = ledger.outcomes()
    done = {task.key for task in every if task.key in known and not (retry and known[task.key].values is None)}
    failed = sum(known[key].values is None for key in done)
    began = monotonic()
    count, fresh, last = len(done), [], began
    try:
        for task, outcome in run([task for task in every if task.key not in done], work.perform):
            if outcome.version != fieldsolve.__version__:
                raise InputError(
                    f"a worker runs fieldsolve {outcome.version} and this is {fieldsolve.__version__}; install the same"
                )
            fresh.append((task, outcome))
            count, failed = count + 1, failed + (outcome.values is None)
            if monotonic() - last > _RECORD_EVERY:
                ledger.record(fresh)
                fresh, last = [], monotonic()
            if watch is not None:
                watch(Progress(count, len(every), "", failed, _expected(count - len(done), len(every) - len(done), began)))
    finally:
        ledger.record(fresh)


def _expected(count: int, total: int, began: float) -> float | None:
    """About how many seconds so many tasks take in all, once some of them show it."""
    taken = monotonic() - began
    return taken / count * total if count >= _TELLING[0] and taken > _TELLING[1] else None
