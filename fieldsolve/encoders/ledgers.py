"""A folder whose ledger holds a study of encoders: it can be left and taken up at any time."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch
from fieldsolve.output.summary import SUMMARY
from fieldsolve.runs import Outcome, Perform, Run, Task, Work, fill_folder


def fill_study(
    folder: Path, spec: dict[str, Any], tasks: Sequence[Task], perform: Perform, run: Run, force: bool, watch: Watch | None
) -> list[Outcome]:
    """The outcomes of tasks, in their order: those that a folder's ledger does not hold are computed, failed ones again.

    spec: what the tasks are of; its `study` names the kind. force: use a folder of another spec of that kind, and keep what both
    share. Raises InputError as `fill_folder`, and for folders that hold something else.
    """
    text = json.dumps(spec, sort_keys=True)

    def is_same(known: str) -> bool:
        if json.loads(known).get("study") != spec["study"]:
            raise InputError(f"{folder}: holds something else than a study of {spec['study']}; choose another folder")
        if known == text or force:
            (folder / SUMMARY).unlink(missing_ok=True)  # without it nothing in the folder counts as results
        return known == text

    outcomes = fill_folder(folder, Work(text, is_same, tasks, perform), run, True, force, watch)
    return [outcomes[task.key] for task in tasks]
