"""Many tasks, resumably: a ledger of what is computed, who computes the rest, and the loop that brings both together."""

from fieldsolve.runs.executors import Run, in_processes, in_this_process, on_cluster, on_local_cluster
from fieldsolve.runs.folder import Progress, fill
from fieldsolve.runs.ledger import LEDGER, Ledger
from fieldsolve.runs.tasks import Outcome, Perform, Task, configuration, figure, performed

__all__ = [
    "LEDGER", "Ledger", "Outcome", "Perform", "Progress", "Run", "Task", "configuration", "figure", "fill", "in_processes",
    "in_this_process", "on_cluster", "on_local_cluster", "performed",
]  # fmt: skip
