"""The paper's experiments D.1 to D.3 at their settings, beside what fields and population limits give without samples.

Each experiment is a room with its model, its study (tasks, table, sentences) and its pictures.
"""

from fieldsolve.reproduce.plan import EXPERIMENTS, Plan, is_plan, make_plan, open_study, run_plan
from fieldsolve.reproduce.study import Study

__all__ = ["EXPERIMENTS", "Plan", "Study", "is_plan", "make_plan", "open_study", "run_plan"]
