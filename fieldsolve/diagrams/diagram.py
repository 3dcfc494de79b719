"""A phase diagram: what was found of a spec, the run that fills its folder, and the way back."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.diagrams.spec import Spec
from fieldsolve.diagrams.tasks import branches, cells, curves, perform, tasks
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch
from fieldsolve.output.page import card
from fieldsolve.runs import LEDGER, Ledger, Outcome, Run, Task, Work, configuration, fill_folder, value_of


@dataclass(frozen=True, eq=False)
class Diagram:
    """The outcomes of a spec's tasks: cells in the order of its axes, the last one fastest; curves; branches (up, down)."""

    spec: Spec
    cells: list[tuple[Task, Outcome | None]]
    curves: list[tuple[Task, Outcome | None]]
    branches: list[tuple[Task, Outcome | None]]

    def _repr_html_(self) -> str:
        from fieldsolve.diagrams.pictures import draw

        gaps = self.certified()
        rows = {
            "axes": " x ".join(f"{name} ({size})" for name, size in zip(self.spec.axes, self.spec.shape, strict=True)),
            "cells": gaps.size,
            "certified": int(gaps.sum()),
            "failed": len(self.failures) or None,
            "not computed yet": self.missing or None,
        }
        return card(self.spec.title or "phase diagram", rows, lambda: draw(self))

    @property
    def failures(self) -> list[tuple[Task, Outcome]]:
        """Tasks that were tried and gave no values."""
        every = self.cells + self.curves + self.branches
        return [(task, outcome) for task, outcome in every if outcome is not None and outcome.values is None]

    @property
    def missing(self) -> int:
        """How many tasks have not been tried."""
        return sum(outcome is None for _, outcome in self.cells + self.curves + self.branches)

    def field(self, name: str) -> Array:
        """One figure of every cell in the shape of the axes; NaN where there is none."""
        values = [value_of(outcome, name) for _, outcome in self.cells]
        return np.array([np.nan if value is None else value for value in values], dtype=float).reshape(self.spec.shape)

    def words(self, name: str) -> np.ndarray[Any, Any]:
        """One figure in words of every cell in the shape of the axes; empty where there is none."""
        return np.array([value_of(outcome, name) or "" for _, outcome in self.cells]).reshape(self.spec.shape)

    def certified(self) -> np.ndarray[Any, Any]:
        """Whether each cell's gap is known and at most the spec's certified_gap, in the shape of the axes."""
        return self.field("gap") <= self.spec.certified_gap


def gather(spec: Spec, known: dict[str, Outcome], key: Callable[[Task], str]) -> Diagram:
    """The diagram of a spec as far as outcomes are known, under what a key makes of tasks."""
    groups = ([(task, known.get(key(task))) for task in kind(spec)] for kind in (cells, curves, branches))
    return Diagram(spec, *groups)


def open_diagram(folder: Path) -> Diagram:
    """Read a folder back, whichever version of the package has filled it. Raises InputError if it holds no diagram."""
    with Ledger(folder / LEDGER, write=False) as ledger:
        text = ledger.spec()
        if text is None or not is_diagram(text):
            raise InputError(f"{folder}: its ledger holds no diagram; run the command that began it again")
        return gather(Spec.from_json(text), ledger.by_configuration(), lambda task: configuration(task.kind, task.config))


def fill(
    spec: Spec,
    folder: Path,
    run: Run,
    retry: bool = False,
    replace: bool = False,
    watch: Watch | None = None,
) -> Diagram:
    """Compute what a folder's ledger does not hold yet, recording it as it comes; cells that failed again if retry is set.

    Stop it at any time and call it again: only what is missing is computed. replace: use a ledger of another spec, whose common
    cells are kept. Raises InputError for folders that hold something else, for a ledger that is in use, and if
    workers run another version.
    """

    def is_same(known: str) -> bool:
        if not is_diagram(known):
            raise InputError(f"{folder}: holds something else than a phase diagram; choose another folder")
        return Spec.from_json(known).identity == spec.identity

    outcomes = fill_folder(folder, Work(spec.to_json(), is_same, tasks(spec), perform), run, retry, replace, watch)
    return gather(spec, outcomes, lambda task: task.key)


def is_diagram(text: str) -> bool:
    """Whether the spec in a ledger is a diagram's."""
    return "axes" in json.loads(text)
