"""Progress on a terminal: one line for everything that takes longer than a second."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from fieldsolve.numerics.progress import Progress, Watch

_PATIENCE = 1.0  # seconds before progress is shown


@contextmanager
def progress(quiet: bool) -> Iterator[Watch | None]:
    """A bar on stderr with what is being done, the rate and the time left; None where there is no terminal, or nobody to look."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    line = _Line()
    try:
        yield line.update
    finally:
        line.stop()


class _Line:
    """A line of rich's that appears when the work turns out to be long."""

    def __init__(self) -> None:
        self._began, self._bar, self._task = perf_counter(), None, None

    _bar: Any
    _task: Any

    def update(self, now: Progress) -> None:
        """Show how far the work is."""
        if perf_counter() - self._began < _PATIENCE:
            return
        if self._bar is None:
            self._bar = _bar()
            self._task = self._bar.add_task("", total=now.total)
            self._bar.start()
        failed = f"{now.failed} failed" if now.failed else ""
        self._bar.update(self._task, completed=now.done, total=now.total, description=" ".join(filter(None, (now.what, failed))))

    def stop(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed or 0:.1f}/s")

    columns = (BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn(), TextColumn("{task.description}"))
    return Bar(*columns, console=Console(stderr=True), transient=True)
