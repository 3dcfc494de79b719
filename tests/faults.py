"""Ends of a run at every moment at which it changes files: a full disk, an interruption, a kill."""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_CHANGES = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "chmod")


class _Killed(BaseException):
    """Nothing more happens: every further change raises it again, those of clean-up too."""


def _full() -> BaseException:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


_ENDS: dict[str, Callable[[], BaseException]] = {"full": _full, "interrupted": KeyboardInterrupt, "killed": _Killed}


class Faults:
    """Changes of files, the one of a given number of which fails."""

    def __init__(self, kind: str, place: int) -> None:
        self.kind, self.place, self.seen = kind, place, 0

    def meet(self) -> None:
        self.seen += 1
        if self.seen == self.place or (self.kind == "killed" and self.seen > self.place):
            raise _ENDS[self.kind]()

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in _CHANGES:
            monkeypatch.setattr(os, name, self._changing(getattr(os, name)))
        for module in (builtins, io):
            monkeypatch.setattr(module, "open", self._opening(io.open))

    def _changing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.meet()
            return original(*arguments, **named)

        return call

    def _opening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if set(mode) & set("wax+"):
                self.meet()
            return original(file, mode, *arguments, **named)

        return call


def ended_everywhere(
    home: Path, prepare: Callable[[Path], Any], act: Callable[[Path], Any], least: int
) -> Iterator[tuple[str, Path]]:
    """Let `act` end in each way at each change of a file, in a folder that `prepare` has made, and yield it after each end.

    least: so many changes there are to be, or the faults do not meet what they are meant to.
    """
    for kind in _ENDS:
        for place in count(1):
            folder = home / f"{kind}-{place}" / "run"
            folder.parent.mkdir()
            prepare(folder)
            faults = Faults(kind, place)
            with pytest.MonkeyPatch.context() as monkeypatch:
                faults.patch(monkeypatch)
                with suppress(Exception, KeyboardInterrupt, _Killed):  # the state of the folder is what counts
                    act(folder)
            if faults.seen < place:
                assert place > least
                break
            yield kind, folder
