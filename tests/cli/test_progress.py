"""Progress: lines in a log where there is no terminal, a bar where there is one."""

import io
import sys
import time

import pytest

from fieldsolve.cli import progress as showing
from fieldsolve.numerics.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_long_work_says_so_in_a_log_and_ever_less_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "_FIRST", 0.1)
    with showing.progress(quiet=False) as watch:
        assert watch is not None
        watch(Progress(3, 10, "draws"))
        time.sleep(1.0)  # at 0.1, 0.2, 0.4 and 0.8 seconds
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 4
    assert all(" s: 3 of 10 draws (" in line and line.endswith(" left)") for line in lines)
    assert lines[0].startswith("still at work after 0 s")


def test_the_rate_is_that_of_what_is_being_done_now(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "_FIRST", 0.5)
    with showing.progress(quiet=False) as watch:
        assert watch is not None
        watch(Progress(1000, None, "evaluations of the bound"))
        time.sleep(0.2)
        watch(Progress(1, None, "steps"))
        time.sleep(0.2)
        watch(Progress(2, None, "steps"))
        time.sleep(0.3)
    (line,) = capsys.readouterr().err.splitlines()
    text, rate = line.removesuffix("/s)").split(" (")
    assert text.endswith(": 2 steps")
    assert 1 < float(rate) < 5  # one more in the 0.3 seconds since the first one


def test_what_takes_more_than_a_minute_is_announced_once(capsys: pytest.CaptureFixture[str]) -> None:
    with showing.progress(quiet=False) as watch:
        assert watch is not None
        watch(Progress(0, None, "a short one", expected=30.0))
        watch(Progress(0, None, "a long one", expected=5000.0))
        watch(Progress(0, None, "another", expected=5000.0))
    assert capsys.readouterr().err == "this will take about 83 min: a long one\n"


def test_short_work_and_quiet_work_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with showing.progress(quiet=False) as watch:
        assert watch is not None
        watch(Progress(1, 1, "x"))
    with showing.progress(quiet=True) as watch:
        assert watch is None
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar_even_while_nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(showing, "_PATIENCE", 0.05)
    with showing.progress(quiet=False) as watch:
        assert watch is not None
        time.sleep(0.5)
        watch(Progress(4, 8, "pairs", 1))
        time.sleep(0.3)
    assert "4/8" in shown.getvalue()
    assert "1 failed" in shown.getvalue()
