"""Where what matplotlib has drawn is in plotly's axes, and its words and colours there."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from fieldsolve.numerics.arrays import Array

PIXELS = 4 / 3  # a point

_SYMBOLS = {r"\times": "x", r"\cdot": ".", r"\ ": " "}


def plain(text: str) -> str:
    """A text of matplotlib's as plotly shows it: to the letter, lines broken, and in formulas powers raised."""
    parts = re.split(r"(?<!\\)\$", text)
    if len(parts) % 2 == 0:  # a dollar sign of its own
        parts = [text]
    words = (escape(part, quote=False).replace(r"\$", "$") for part in parts)
    return "".join(_formula(part) if k % 2 else part for k, part in enumerate(words)).replace("\n", "<br>")


def _formula(text: str) -> str:
    for name, symbol in _SYMBOLS.items():
        text = text.replace(name, symbol)
    text = re.sub(r"\\mathdefault\{((?:[^{}]|\{[^{}]*\})*)\}", r"\1", text)
    return re.sub(r"\^\{([^{}]*)\}|\^(\d)", lambda found: f"<sup>{found[1] or found[2]}</sup>", text)


def colour(of: Any, alpha: float | None = None) -> str:
    """A colour of matplotlib's as CSS has it."""
    r, g, b, a = to_rgba(of)
    return f"rgba({round(255 * r)},{round(255 * g)},{round(255 * b)},{a if alpha is None else a * alpha:.3g})"


@dataclass(frozen=True, eq=False)
class Place:
    """Axes, and the way from what is drawn on them to the coordinates of plotly's axes.

    across, upward: of values to coordinates; None where both are the same.
    """

    axes: Axes
    across: Callable[[Array], Array] | None = None
    upward: Callable[[Array], Array] | None = None

    @property
    def is_polar(self) -> bool:
        return self.axes.name == "polar"

    @property
    def is_sphere(self) -> bool:
        return self.axes.name == "mollweide"

    def values(self, points: Any, transform: Any) -> Array:
        """The values (n, 2) of points that a transform carries to the screen."""
        if transform == self.axes.transData:
            return np.asarray(points, dtype=float)
        with np.errstate(all="ignore"):
            return np.asarray(self.axes.transData.inverted().transform(transform.transform(np.asarray(points, dtype=float))))

    def coordinates(self, values: Array) -> dict[str, list[float | None]]:
        """x and y of values (n, 2), or x, y and z on the sphere."""
        first, second = values.T
        if self.is_sphere:
            return listed(x=np.cos(second) * np.cos(first), y=np.cos(second) * np.sin(first), z=np.sin(second))
        if self.is_polar:
            radius = second - float(self.axes.get_ylim()[0])
            return listed(x=radius * np.cos(first), y=radius * np.sin(first))
        return listed(
            x=first if self.across is None else self.across(first), y=second if self.upward is None else self.upward(second)
        )


def listed(**arrays: Array) -> dict[str, list[float | None]]:
    """Arrays as JSON has them, with seven digits."""
    return {
        name: [float(f"{value:.7g}") if np.isfinite(value) else None for value in values.tolist()]
        for name, values in arrays.items()
    }
