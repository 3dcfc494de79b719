"""The tables of a phase diagram: cells, transitions and branches as CSV, cells for xarray, and a summary."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import fieldsolve
from fieldsolve.diagrams.diagram import Diagram
from fieldsolve.diagrams.tasks import VALUES, shapes_transitions
from fieldsolve.equilibrium.phases import Phase
from fieldsolve.output.folders import write_whole
from fieldsolve.output.tables import csv_text
from fieldsolve.runs import Outcome, value_of

_STATE_VALUES = tuple(name for name in VALUES if name != "certified")


def table(diagram: Diagram) -> str:
    """The cells as CSV: the axes, the values, and the reason of those that failed."""
    axes = list(diagram.spec.axes)
    rows = []
    for (task, outcome), is_certified in zip(diagram.cells, diagram.certified().ravel().tolist(), strict=True):
        values = [is_certified if name == "certified" else value_of(outcome, name) for name in VALUES]
        rows.append([*(task.config[axis] for axis in axes), *values, _failure(outcome)])
    return csv_text([*map(axis_column, axes), *VALUES, "failure"], rows)


def axis_column(axis: str) -> str:
    """The name of an axis in tables, where `energy` is a number."""
    return "energy_kind" if axis == "energy" else axis


def transitions_table(diagram: Diagram) -> str:
    """Binodal and spinodal as CSV, over the axes besides the coupling."""
    axes = [name for name in diagram.spec.axes if shapes_transitions(name)]
    rows = [
        [*(task.config[name] for name in axes), value_of(outcome, "binodal"), value_of(outcome, "spinodal"), _failure(outcome)]
        for task, outcome in diagram.curves
    ]
    return csv_text([*axes, "binodal", "spinodal", "failure"], rows)


def branches_table(diagram: Diagram) -> str:
    """The states of the branches as CSV, in the order in which they were followed."""
    rows: list[list[Any]] = []
    for direction, (task, outcome) in zip(("up", "down"), diagram.branches, strict=False):
        for value, state in zip(task.config["values"], value_of(outcome, "states") or [], strict=False):
            rows.append([direction, value, *(state.get(name) for name in _STATE_VALUES)])
    return csv_text(["direction", *map(axis_column, diagram.spec.axes), *_STATE_VALUES], rows)


def _failure(outcome: Outcome | None) -> str:
    return "not computed" if outcome is None else outcome.reason or ""


def dataset(diagram: Diagram) -> Any:
    """The cells as an xarray.Dataset over the axes. Needs the extra `sweep`."""
    import xarray  # an extra, and slow to import: 0.5 s

    axes = {axis_column(name): np.array(values) for name, values in diagram.spec.axes.items()}
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
    converged = [value_of(outcome, "converged") for _, outcome in diagram.cells]
    return {
        "schema": "fieldsolve/phase-diagram/1",
        "axes": ", ".join(f"{name} ({len(values)})" for name, values in diagram.spec.axes.items()),
        "cells": len(diagram.cells),
        "certified": int(diagram.certified().sum()),
        "largest_gap": None if np.isnan(gaps).all() else float(np.nanmax(gaps)),
        **{phase.value: int((phases == phase.value).sum()) for phase in Phase},
        "not_converged": converged.count(False),
        "without_bound": int(np.isnan(gaps).sum())
        - sum(outcome is None or outcome.values is None for _, outcome in diagram.cells),
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
