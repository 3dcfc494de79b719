"""Measuring side by side, and tables of what was measured."""

import time
from collections.abc import Callable, Sequence

import numpy as np


def best(*functions: Callable[[], object], repeat: int = 9) -> list[float]:
    """The shortest time of each function, in seconds; they take turns, so that a busy moment is shared."""
    for function in functions:
        function()
    times = [[] for _ in functions]
    for _ in range(repeat):
        for function, taken in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            taken.append(time.perf_counter() - began)
    return [min(taken) for taken in times]


def table(title: str, header: list[str], rows: list[list[object]]) -> str:
    lines = [f"## {title}", "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def growth(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The exponent of the power of the size that the time grows like, by least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
