"""Many tasks, resumably: a ledger of what is computed, who computes the rest, and the loop that brings both together.

Knows no theory: what a task is of, and how it is computed, is handed over by the wing whose tasks they are.
"""

from fieldsolve.runs.executors import Run, in_processes, in_this_process, on_cluster, on_local_cluster
from fieldsolve.runs.folder import Work, check_ledger_folder, fill_folder
from fieldsolve.runs.ledger import LEDGER, Ledger
from fieldsolve.runs.tasks import Outcome, Perform, Task, configuration, outcome_of, value_of

__all__ = [
    "LEDGER",
    "Ledger",
    "Outcome",
    "Perform",
    "Run",
    "Task",
    "Work",
    "check_ledger_folder",
    "configuration",
    "fill_folder",
    "in_processes",
    "in_this_process",
    "on_cluster",
    "on_local_cluster",
    "outcome_of",
    "value_of",
]  # fmt: skip
