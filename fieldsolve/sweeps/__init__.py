"""Diagrams over one to three parameters: what to solve, a ledger of what is solved, and who solves it."""

from fieldsolve.sweeps.diagram import Diagram, Progress, fill, open_diagram
from fieldsolve.sweeps.executors import in_processes, in_this_process, on_cluster, on_local_cluster
from fieldsolve.sweeps.spec import Spec, checked, read_spec

__all__ = [
    "Diagram", "Progress", "Spec", "checked", "fill", "in_processes", "in_this_process", "on_cluster", "on_local_cluster",
    "open_diagram", "read_spec",
]  # fmt: skip
