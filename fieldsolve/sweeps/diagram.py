"""A phase diagram on disk: the folder, the run that fills it, its table, and the way back."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import fieldsolve
from fieldsolve import runs
from fieldsolve.archive import write_whole
from fieldsolve.arrays import Array
from fieldsolve.errors import InputError
from fieldsolve.runs import LEDGER, Ledger, Outcome, Progress, Run, Task, configuration, figure
from fieldsolve.solution import Phase
from fieldsolve.sweeps.spec import Spec
from fieldsolve.sweeps.tasks import APART_FROM_TRANSITIONS, FIGURES, branches, cells, curves, perform, tasks

_STATE_FIGURES = tuple(name for name in FIGURES if name != "certified")


@dataclass(frozen=True, eq=False)
class Diagram:
    """The outcomes of a spec's tasks: cells in the order of its axes, the last one fastest; curves; branches (up, down)."""

    spec: Spec
    cells: list[tuple[Task, Outcome | None]]
    curves: list[tuple[Task, Outcome | None]]
    branches: list[tuple[Task, Outcome | None]]

    @property
    def failures(self) -> list[tuple[Task, Outcome]]:
        """Tasks that were tried and gave no figures."""
        every = self.cells + self.curves + self.branches
        return [(task, outcome) for task, outcome in every if outcome is not None and outcome.figures is None]

    @property
    def missing(self) -> int:
        """How many tasks have not been tried."""
        return sum(outcome is None for _, outcome in self.cells + self.curves + self.branches)

    def field(self, name: str) -> Array:
        """One figure of every cell in the shape of the axes; NaN where there is none."""
        values = [figure(outcome, name) for _, outcome in self.cells]
        return np.array([np.nan if value is None else value for value in values], dtype=float).reshape(self.spec.shape)

    def words(self, name: str) -> np.ndarray[Any, Any]:
        """One figure in words of every cell in the shape of the axes; empty where there is none."""
        return np.array([figure(outcome, name) or "" for _, outcome in self.cells]).reshape(self.spec.shape)

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
    watch: Callable[[Progress], None] | None = None,
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

    outcomes = runs.fill(folder, spec.to_json(), is_same, tasks(spec), perform, run, retry, replace, watch)
    return gather(spec, outcomes, lambda task: task.key)


def is_diagram(text: str) -> bool:
    """Whether the spec in a ledger is a diagram's."""
    return "axes" in json.loads(text)


def table(diagram: Diagram) -> str:
    """The cells as CSV: the axes, the figures, and the reason of those that failed."""
    axes = list(diagram.spec.axes)
    rows = []
    for (task, outcome), is_certified in zip(diagram.cells, diagram.certified().ravel().tolist(), strict=True):
        values = [is_certified if name == "certified" else figure(outcome, name) for name in FIGURES]
        rows.append([*(task.config[axis] for axis in axes), *values, _failure(outcome)])
    return _csv([*map(column, axes), *FIGURES, "failure"], rows)


def column(axis: str) -> str:
    """The name of an axis in tables, where `energy` is a number."""
    return "energy_kind" if axis == "energy" else axis


def transitions_table(diagram: Diagram) -> str:
    """Binodal and spinodal as CSV, over the axes besides the coupling."""
    axes = [name for name in diagram.spec.axes if name not in APART_FROM_TRANSITIONS]
    rows = [
        [*(task.config[name] for name in axes), figure(outcome, "binodal"), figure(outcome, "spinodal"), _failure(outcome)]
        for task, outcome in diagram.curves
    ]
    return _csv([*axes, "binodal", "spinodal", "failure"], rows)


def branches_table(diagram: Diagram) -> str:
    """The states of the branches as CSV, in the order in which they were followed."""
    rows: list[list[Any]] = []
    for direction, (task, outcome) in zip(("up", "down"), diagram.branches, strict=False):
        for value, state in zip(task.config["values"], figure(outcome, "states") or [], strict=False):
            rows.append([direction, value, *(state.get(name) for name in _STATE_FIGURES)])
    return _csv(["direction", *map(column, diagram.spec.axes), *_STATE_FIGURES], rows)


def _csv(header: list[str], rows: list[list[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([header, *([_text(value) for value in row] for row in rows)])
    return file.getvalue()


def _failure(outcome: Outcome | None) -> str:
    return "not computed" if outcome is None else outcome.reason or ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def dataset(diagram: Diagram) -> Any:
    """The cells as an xarray.Dataset over the axes. Needs the extra `sweep`."""
    import xarray  # an extra, and slow to import: 0.5 s

    axes = {column(name): np.array(values) for name, values in diagram.spec.axes.items()}
    names = list(axes)
    numbers = ("energy", "bound", "gap", "matched_energy", "symmetric_kl", "centroid_gap", "spike_mass", "stationarity", "steps")
    fields = {name: (names, diagram.field(name)) for name in numbers}
    fields |= {name: (names, diagram.words(name).astype(object)) for name in ("phase", "matched_stability")}
    fields["certified"] = (names, diagram.certified())
    return xarray.Dataset(fields, axes, {"title": diagram.spec.title, "fieldsolve": fieldsolve.__version__})


def summary(diagram: Diagram) -> dict[str, Any]:
    """What a diagram holds, in numbers."""
    gaps = diagram.field("gap")
    phases = diagram.words("phase")
    converged = [figure(outcome, "converged") for _, outcome in diagram.cells]
    return {
        "schema": "fieldsolve/phase-diagram/1",
        "axes": ", ".join(f"{name} ({len(values)})" for name, values in diagram.spec.axes.items()),
        "cells": len(diagram.cells),
        "certified": int(diagram.certified().sum()),
        "largest_gap": None if np.isnan(gaps).all() else float(np.nanmax(gaps)),
        **{phase.value: int((phases == phase.value).sum()) for phase in Phase},
        "not_converged": converged.count(False),
        "without_bound": int(np.isnan(gaps).sum())
        - sum(outcome is None or outcome.figures is None for _, outcome in diagram.cells),
        "failed": sum(task.kind == "cell" for task, _ in diagram.failures),
        "not_computed": diagram.missing,
    }


def write_tables(diagram: Diagram, folder: Path) -> list[str]:
    """Write the CSV files and, with the extra `sweep`, diagram.nc; returns what the user should know."""
    write_whole(folder / "cells.csv", table(diagram).encode())
    if diagram.curves:
        write_whole(folder / "transitions.csv", transitions_table(diagram).encode())
    if diagram.branches:
        write_whole(folder / "branches.csv", branches_table(diagram).encode())
    if find_spec("xarray") is None or find_spec("scipy") is None:
        return ["no diagram.nc: it needs the extra, pip install 'fieldsolve[sweep]'"]
    write_whole(folder / "diagram.nc", bytes(dataset(diagram).to_netcdf(engine="scipy")))
    return []
