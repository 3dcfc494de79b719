"""Diagrams over one to three parameters: what to solve, and what was found; `fieldsolve.runs` has who solves it."""

from fieldsolve.runs import Progress, in_processes, in_this_process, on_cluster, on_local_cluster
from fieldsolve.sweeps.diagram import Diagram, fill, open_diagram
from fieldsolve.sweeps.spec import Spec, checked, read_spec

__all__ = [
    "Diagram", "Progress", "Spec", "checked", "fill", "in_processes", "in_this_process", "on_cluster", "on_local_cluster",
    "open_diagram", "read_spec",
]  # fmt: skip
