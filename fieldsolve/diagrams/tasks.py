"""What a diagram consists of: cells, transitions and branches, each a pure function of its configuration."""

from itertools import product
from pathlib import Path
from typing import Any

from fieldsolve.diagrams.spec import Spec
from fieldsolve.equilibrium.continuation import follow, is_continuous
from fieldsolve.equilibrium.parameters import PARAMETERS
from fieldsolve.equilibrium.potentials import digest, is_map_file
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.solution import Solution
from fieldsolve.numerics.errors import InputError
from fieldsolve.runs import Outcome, Task, outcome_of

#: The values of a cell, in the order of the table.
VALUES = (
    "energy", "bound", "gap", "certified", "phase", "matched_stability", "matched_energy", "symmetric_kl", "centroid_gap",
    "spike_mass", "stationarity", "steps", "converged",
)  # fmt: skip


_TRANSITIONS = 5  # cells that take as long

#: Parameters that binodal and spinodal do not depend on.
APART_FROM_TRANSITIONS = ("terms", *(name for name, one in PARAMETERS.items() if not one.shapes_phases))


def shapes_transitions(axis: str) -> bool:
    """Whether binodal and spinodal depend on an axis."""
    return axis not in APART_FROM_TRANSITIONS and "." not in axis


def cells(spec: Spec) -> list[Task]:
    """One task a cell, the last axis fastest."""
    names = list(spec.axes)
    return [_task("cell", {**spec.fixed, **dict(zip(names, values, strict=True))}) for values in product(*spec.axes.values())]


def curves(spec: Spec) -> list[Task]:
    """Binodal and spinodal wherever the coupling is an axis: one task for every setting of the other ones."""
    if "coupling" not in spec.axes or _of(spec, "energy") == ["smoothed"] or not _has_phases(spec):
        return []
    others = {name: values for name, values in spec.axes.items() if shapes_transitions(name)}
    fixed = {name: value for name, value in spec.fixed.items() if name not in APART_FROM_TRANSITIONS}
    settings = [dict(zip(others, values, strict=True)) for values in product(*others.values())]
    return [_task("transitions", {**fixed, **setting}) for setting in settings if {**fixed, **setting}["floor"] > 0]


def _has_phases(spec: Spec) -> bool:
    """Whether binodal and spinodal are known: for two potentials, or more that are all the same."""
    names = spec.fixed["potential"]
    are_equal = len(set(names)) == 1 and "misalign" not in spec.axes and not spec.fixed.get("misalign")
    return not spec.fixed["terms"] and (len(names) <= 2 or are_equal)


def branches(spec: Spec) -> list[Task]:
    """The two branches, upwards and downwards, of a diagram over one number."""
    (name, *others) = spec.axes
    if others or not is_continuous(name) or not spec.hysteresis or len(spec.axes[name]) < 2:
        return []
    rising = sorted(spec.axes[name])
    return [_task("branch", {**spec.fixed, "along": name, "values": values}) for values in (rising, rising[::-1])]


def tasks(spec: Spec) -> list[Task]:
    """Everything that a diagram needs, each thing once; the long ones first."""
    every = branches(spec) + curves(spec) + cells(spec)
    return list({task.key: task for task in every}.values())


def estimated_seconds(every: list[Task]) -> float:
    """About how long tasks take on one thread, from solving cells of each kernel and energy here on their smallest grid."""
    cost: dict[Any, float] = {}
    for task in sorted((task for task in every if task.kind == "cell"), key=_size):
        kind = _cost_kind(task)
        if kind not in cost:
            alike = [one for one in every if one.kind == "cell" and _cost_kind(one) == kind and _size(one) == _size(task)]
            probe = alike[len(alike) // 2]
            perform(probe.kind, probe.config)  # compiles, or loads what is compiled
            cost[kind] = perform(probe.kind, probe.config).seconds / _size(task)
    mean = sum(cost.values()) / len(cost)
    states = {"cell": 1, "transitions": _TRANSITIONS}
    counts = [states.get(task.kind, len(task.config.get("values", ()))) * _size(task) for task in every]
    return float(sum(count * cost.get(_cost_kind(task), mean) for count, task in zip(counts, every, strict=True)))


def _size(task: Task) -> int:
    """The points of a task's grid."""
    along = task.config.get("along")
    grids: dict[str, Any] = {name: task.config.get(name) for name in ("grid", "nside", "circle", "dimension") if name != along}
    return int(Problem(**grids).grid.size)


def _cost_kind(task: Task) -> tuple[Any, Any]:
    """What the time of a cell depends on most, besides its grid."""
    smoothed = task.config.get("energy") == "smoothed"
    return smoothed, task.config.get("critic") if smoothed else None


def perform(kind: str, config: dict[str, Any]) -> Outcome:
    """Compute a task of a diagram on one thread."""
    return outcome_of(_COMPUTED[kind], config)


def _cell(config: dict[str, Any]) -> dict[str, Any]:
    return _values(_problem(config).solve())


def _transitions(config: dict[str, Any]) -> dict[str, Any]:
    return vars(_problem(config).transitions())


def _branch(config: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in config.items() if name not in ("along", "values")}
    along, values = config["along"], config["values"]
    # One grid for all of the branch: a dimension's is finest where tau is lowest.
    problem = _problem({**plain, along: min(values)})
    return {"states": [_values(solution) for solution in follow(problem, along, values)]}


_COMPUTED = {"cell": _cell, "transitions": _transitions, "branch": _branch}


def _problem(config: dict[str, Any]) -> Problem:
    plain = dict(config)
    if plain.pop("contents", None) != _contents(config["potential"]):
        raise InputError("a map file has changed since the diagram was planned, or is another one here; run it again")
    names = plain.pop("potential")
    of_terms = {name: plain.pop(name) for name in list(plain) if "." in name}
    problem = Problem(potentials=names * 2 if len(names) == 1 else names, **plain)
    for name, value in of_terms.items():
        problem = problem.at(name, value)
    return problem


def _values(solution: Solution) -> dict[str, Any]:
    summary = solution.summary()
    summary["spike_mass"] = min(summary["spike_mass"])
    return {name: summary[name] for name in VALUES if name in summary}


def _of(spec: Spec, name: str) -> list[Any]:
    return spec.axes[name] if name in spec.axes else [spec.fixed[name]]


def _task(kind: str, config: dict[str, Any]) -> Task:
    contents = _contents(config["potential"])
    return Task.of(kind, {**config, "contents": contents} if contents else config)


def _contents(names: list[str]) -> list[str] | None:
    """Digests of the map files among the potentials."""
    paths = [Path(name) for name in names if is_map_file(name) and Path(name).is_file()]
    return [digest(path) for path in paths] or None
