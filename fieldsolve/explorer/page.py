"""The explorer's page: its data and its scripts in one HTML file."""

from base64 import b64encode
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

import fieldsolve
from fieldsolve.equilibrium.starts import tilts
from fieldsolve.explorer.explorer import Explorer
from fieldsolve.explorer.tasks import FIGURES
from fieldsolve.numerics.arrays import finite
from fieldsolve.numerics.names import printable
from fieldsolve.output.interactive import embedded, plotly_script
from fieldsolve.output.style import COOL, MODALITIES, WARM
from fieldsolve.runs import Outcome

_SCRIPTS = ("minimiser.js", "table.js", "spheres.js", "curves.js", "encoders.js", "explorer.js")
_LEVELS = 65535  # of a stored logarithm


def html(found: Explorer) -> str:
    """The page of an explorer. Raises InputError where plotly is not installed."""
    assets = files("fieldsolve.explorer") / "assets"
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        style=(assets / "style.css").read_text(encoding="utf-8"),
        plotly=plotly_script(),
        data=embedded(finite(payload(found))),
        script="\n".join((assets / name).read_text(encoding="utf-8") for name in _SCRIPTS),
        potentials=escape(" and ".join(dict.fromkeys(_labels(found)))),
        version=fieldsolve.__version__,
    )


def payload(found: Explorer) -> dict[str, Any]:
    """What the scripts read: plain values, and arrays as base64 of their bytes, little-endian."""
    problem, grid = found.problem, found.problem.grid
    across = np.argsort(-tilts(grid, 1, 1.0)[0], kind="stable")
    opening = {"tau": problem.tau, "coupling": problem.coupling, "floor": problem.floor, "misalign": problem.misalign}
    return {
        "nside": grid.nside,
        "corners": packed(_corners(grid.nside), "<f4"),
        "centres": packed(grid.points(0, grid.size), "<f8"),
        "across": packed(across, "<u4"),
        "stops": {name: list(values) for name, values in vars(found.stops).items()},
        "opening": opening,
        "labels": _labels(found),
        "potentials": packed(found.potentials, "<f8"),
        "levels": found.levels.tolist(),
        "figures": list(FIGURES),
        "table": packed(found.table, "<f8"),
        "transitions": packed(found.transitions, "<f8"),
        "sweeps": {
            "couplings": list(found.stops.swept), "tau": problem.tau, "floor": problem.floor, "misalign": problem.misalign,
            "up": _sweep(found.sweeps[0], False), "down": _sweep(found.sweeps[1], True),
        },
        "encoders": found.encoders.payload,
        "certified": found.certified_gap,
        "colours": {"modalities": list(MODALITIES[:2]), "cool": COOL, "warm": WARM, "ink": "#1b1b1b"},
    }  # fmt: skip


def _labels(found: Explorer) -> list[str]:
    return [printable(one.label) for one in found.problem.resolved]


def packed(values: Any, kind: str) -> dict[str, Any]:
    """An array for the page: its numpy type and its bytes."""
    array = np.ascontiguousarray(values, dtype=kind)
    return {"type": kind, "bytes": b64encode(array.tobytes()).decode()}


def _sweep(outcome: Outcome, falling: bool) -> dict[str, Any]:
    """A stored sweep by rising coupling; logarithms of densities in steps of 1/65535 of their range."""
    if outcome.values is None:
        return {"reason": outcome.reason}
    values = {name: list(reversed(one)) if falling else one for name, one in outcome.values.items()}
    logs = np.array(values.pop("log_density"))
    low, high = float(logs.min()), float(logs.max())
    steps = np.round((logs - low) / max(high - low, 1e-300) * _LEVELS)
    return values | {"low": low, "high": high, "steps": packed(steps, "<u2"), "reason": None}


def _corners(nside: int) -> Any:
    """The four corners of every pixel, (N, 4, 3)."""
    import healpy  # slow to import: 0.8 s

    return np.swapaxes(healpy.boundaries(nside, np.arange(12 * nside**2)), 1, 2)
