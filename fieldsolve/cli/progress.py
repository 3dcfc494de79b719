"""Progress: one line on a terminal for everything that takes longer than a second, now and then a line in a log."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from fieldsolve.cli.say import say
from fieldsolve.numerics.progress import Progress, Watch

_PATIENCE = 1.0  # seconds before progress is shown on a terminal
_LONG = 60.0  # seconds: who waits longer is told before
_FIRST, _FACTOR = 15.0, 2.0  # seconds before a line is written to a log, and how much longer it takes to each next one


@contextmanager
def progress(quiet: bool) -> Iterator[Watch | None]:
    """A bar on stderr with what is being done, the rate and the time left; lines at growing intervals where that is no terminal.

    What is expected to take more than a minute is announced at once, with about how long. None where there is nobody to look.
    Both come from a thread of their own: a single step may take minutes.
    """
    if quiet:
        yield None
        return
    shown = _Bar() if sys.stderr.isatty() else _Lines()
    try:
        yield shown.update
    finally:
        shown.stop()


class _Shown:
    """What is shown once the work turns out to be long, whether or not it says how far it is."""

    def __init__(self, patience: float) -> None:
        self._began, self._last = perf_counter(), Progress(0, 0, "")
        self._since, self._from, self._is_announced = self._began, 0, False
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._wait, args=(patience,), daemon=True)
        self._thread.start()

    def update(self, now: Progress) -> None:
        """Take note of how far the work is."""
        with self._lock:
            if now.done <= self._last.done:
                self._since, self._from = perf_counter(), now.done
            self._last = now
            if now.expected is not None and now.expected > _LONG and not self._is_announced:
                self._is_announced = True
                self.announce(": ".join(filter(None, (f"this will take about {duration(now.expected)}", now.what))))
            self.changed()

    def stop(self) -> None:
        """Show nothing any more."""
        self._ended.set()
        self._thread.join()

    def announce(self, text: str) -> None:
        """Show a line that stays."""
        say(text, err=True)

    def changed(self) -> None:
        """Show what is new, at once."""

    def wait(self, patience: float) -> None:
        """Show something after so many seconds, unless the work has ended by then."""
        raise NotImplementedError

    def _wait(self, patience: float) -> None:
        if not self._ended.wait(patience):
            self.wait(patience)


class _Lines(_Shown):
    """Lines that say that the work goes on."""

    def __init__(self) -> None:
        super().__init__(_FIRST)

    def wait(self, patience: float) -> None:
        while True:
            with self._lock:
                now, more, taken = self._last, self._last.done - self._from, perf_counter() - self._since
            count = f"{now.done} of {now.total}" if now.total else f"{now.done}" if now.done else ""
            rate = [f"{more / taken:.2g}/s"] if more and taken > 0 else []
            if more and now.total:
                rate.append(f"about {duration(taken / more * (now.total - now.done))} left")
            text = " ".join(filter(None, (count, now.what, f"({', '.join(rate)})" if rate else "")))
            say(f"still at work after {perf_counter() - self._began:.0f} s{': ' if text else ''}{text}", err=True)
            patience *= _FACTOR
            if self._ended.wait(patience / _FACTOR):
                return


class _Bar(_Shown):
    """A line of rich's."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        super().__init__(_PATIENCE)

    def wait(self, patience: float) -> None:
        with self._lock:
            self._bar = _bar()
            self._task = self._bar.add_task("", total=self._last.total or None)
            self.changed()
            self._bar.start()
        self._ended.wait()
        self._bar.stop()

    def announce(self, text: str) -> None:
        if self._bar is None:
            super().announce(text)
        else:
            self._bar.console.print(text)

    def changed(self) -> None:
        if self._bar is not None:
            now = self._last
            failed = f"{now.failed} failed" if now.failed else ""
            words = " ".join(filter(None, (now.what, failed)))
            self._bar.update(self._task, completed=now.done, total=now.total or None, description=words)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed or 0:.1f}/s")

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    return Bar(*columns, console=Console(stderr=True), transient=True)


def duration(seconds: float) -> str:
    """A time in words, to about two digits."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.0f} s"
