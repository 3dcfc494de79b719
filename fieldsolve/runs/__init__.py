"""Many tasks, resumably: a ledger of what is computed, who computes the rest, and the loop that brings both together.

Knows no theory: what a task is of, and how it is computed, is handed over by the wing whose tasks they are.
"""

from fieldsolve.runs.executors import Run, in_processes, in_this_process, on_cluster, on_local_cluster
from fieldsolve.runs.folder import Work, fill
from fieldsolve.runs.ledger import LEDGER, Ledger
from fieldsolve.runs.tasks import Outcome, Perform, Task, configuration, figure, performed

__all__ = [
    "LEDGER", "Ledger", "Outcome", "Perform", "Run", "Task", "Work", "configuration", "figure", "fill", "in_processes",
    "in_this_process", "on_cluster", "on_local_cluster", "performed",
]  # fmt: skip
