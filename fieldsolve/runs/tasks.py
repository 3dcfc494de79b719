"""What is computed: tasks, each a pure function of its configuration, and what came of them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import fieldsolve
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import finite


@dataclass(frozen=True)
class Task:
    """One thing to compute. kind: of its function; config: JSON values that it depends on; key: their hash."""

    kind: str
    config: dict[str, Any]
    key: str

    @classmethod
    def of(cls, kind: str, config: dict[str, Any]) -> "Task":
        """The task of a kind and a configuration, with its key."""
        identity = json.dumps([kind, config, fieldsolve.__version__], sort_keys=True)
        return cls(kind, config, hashlib.sha256(identity.encode()).hexdigest())


@dataclass(frozen=True)
class Outcome:
    """What came of a task: values, or the reason why there are none. version: of the package that computed it."""

    values: dict[str, Any] | None
    reason: str | None
    seconds: float
    version: str = fieldsolve.__version__


#: Computes the task of a kind and a configuration; a function of a module, so that other processes find it.
Perform = Callable[[str, dict[str, Any]], Outcome]


def configuration(kind: str, config: dict[str, Any]) -> str:
    """What a task is of, whatever the versions of the package and of map files."""
    return json.dumps([kind, {name: value for name, value in config.items() if name != "contents"}], sort_keys=True)


def outcome_of(compute: Callable[[dict[str, Any]], dict[str, Any]], config: dict[str, Any]) -> Outcome:
    """Call a task's function on one thread. What goes wrong becomes the reason; interruptions pass."""
    began = perf_counter()
    values, reason = None, None
    try:
        with threads.limit(1), threads.one_blas_thread():
            values = finite(compute(config))
    except Exception as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return Outcome(values, reason, perf_counter() - began)


def ready() -> str:
    """The version of the package: what a worker answers when it has started."""
    return fieldsolve.__version__


def value_of(outcome: Outcome | None, name: str) -> Any:
    """One value of an outcome, None without one."""
    return None if outcome is None or outcome.values is None else outcome.values.get(name)
