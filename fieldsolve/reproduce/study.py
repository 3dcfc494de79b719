"""What every reproduced experiment comes to: a table, its runs one by one, and sentences."""

from typing import Any, Protocol

import numpy as np

from fieldsolve.numerics.arrays import Array

Columns = dict[str, list[Any]]


class Study(Protocol):
    """An experiment of the paper with all that was computed of it."""

    @property
    def table(self) -> Columns:
        """The experiment's table: what is in a row of it, by column."""

    @property
    def runs(self) -> Columns:
        """Every seed's result, by column."""

    @property
    def report(self) -> list[str]:
        """What agrees, what does not, and why: sentences with numbers."""


def column_of(rows: list[dict[str, Any]], name: str) -> Array:
    """One figure of every row, NaN where it has none."""
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)


def standard_error(values: Array) -> float:
    """Of the mean; NaN of fewer than two."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def with_noun(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'s' * (number != 1)}"
