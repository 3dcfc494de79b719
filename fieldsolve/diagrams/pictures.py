"""Pictures of phase diagrams: lines along one axis, maps over two, small multiples over three."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from fieldsolve.diagrams.diagram import Diagram
from fieldsolve.diagrams.tasks import APART_FROM_TRANSITIONS
from fieldsolve.equilibrium.parameters import PARAMETERS
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.output.folders import write_whole
from fieldsolve.output.pictures import folder_pictures, render_all, verbatim
from fieldsolve.output.style import AMBER, COOL, FAINT, GREY, INK, LEAST_NATS, PALE, PINK, WARM
from fieldsolve.output.tables import short
from fieldsolve.runs import value_of

_NAMES = {"symmetric_kl": "symmetric KL (nats)", "centroid_gap": "centroid gap"}

#: In a title, if fixed.
_SHOWN = (
    "tau", "floor", "coupling", "misalign", "nside", "circle", "dimension", "grid", "critic", "energy", "terms",
)  # fmt: skip
_BORDERS = {"binodal": (AMBER, "-"), "spinodal": (WARM, "--")}
_BRANCHES = (("followed upwards", COOL, ">"), ("followed downwards", PINK, "<"))
_STABILITY = {"binodal": ("stable",), "spinodal": ("stable", "metastable")}  # of the matched state below each border

_CURVED = 3.0  # numbers whose last step is so many times their first are drawn logarithmically
_FEW = 6  # so many values have their ticks where they are
_MOST_PANELS = 36
_ROOM = 0.05  # how deep a region is, as a share of the diagram, to be named


def draw(diagram: Diagram) -> Figure:
    """The figure of a diagram. Raises InputError for small multiples of too many panels."""
    return (_lines, _map, _multiples)[len(diagram.spec.axes) - 1](diagram)


def write_pictures(diagram: Diagram, folder: Path) -> list[str]:
    """Write diagram.png and diagram.svg, and diagram.html where pages are wanted; returns what the user should know."""
    try:
        drawn = draw(diagram)
    except InputError as error:
        return [f"no picture: {error}"]
    for name, picture in (
        folder_pictures(lambda: {"diagram": drawn}) | render_all(lambda: {"diagram": drawn}, kind="svg")
    ).items():
        write_whole(folder / name, picture)
    return []


@dataclass(frozen=True, eq=False)
class _Axis:
    """One axis as it is drawn: rising positions of the values, and which value each one is; whole numbers and words in a row."""

    name: str
    values: list[Any]

    @property
    def is_number(self) -> bool:
        return "." in self.name or PARAMETERS[self.name].kind is float

    @property
    def order(self) -> Any:
        return np.arange(len(self.values)) if isinstance(self.values[0], str) else np.argsort(self.values)

    @property
    def positions(self) -> Array:
        return np.asarray(self.values, dtype=float)[self.order] if self.is_number else np.arange(len(self.values), dtype=float)

    @property
    def is_logarithmic(self) -> bool:
        at = self.positions
        return bool(self.is_number and len(at) > 2 and at[0] > 0 and at[-1] - at[-2] > _CURVED * (at[1] - at[0]))

    @property
    def edges(self) -> Array:
        """Where one value's cell ends and the next one's begins."""
        at = np.log(self.positions) if self.is_logarithmic else self.positions
        between = (at[1:] + at[:-1]) / 2
        first, last = (between[0], between[-1]) if len(at) > 1 else (at[0] + 0.5, at[0] - 0.5)
        edges = np.concatenate([[2 * at[0] - first], between, [2 * at[-1] - last]])
        return np.exp(edges) if self.is_logarithmic else edges

    def label(self, ax: Axes, direction: str) -> None:
        ax.set(**{f"{direction}label": _named(self.name)})
        if self.is_logarithmic:
            ax.set(**{f"{direction}scale": "log"})
        if not self.is_number:
            ax.set(**{f"{direction}ticks": self.positions, f"{direction}ticklabels": [str(self.values[k]) for k in self.order]})
        elif len(self.values) <= _FEW:
            axis = getattr(ax, f"{direction}axis")
            axis.set_ticks(self.positions, [f"{value:g}" for value in self.positions])
            axis.set_ticks([], minor=True)


def _axes(diagram: Diagram) -> list[_Axis]:
    return [_Axis(name, values) for name, values in diagram.spec.axes.items()]


def _lines(diagram: Diagram) -> Figure:
    """Energy, order parameter and gap along one axis, with both branches and the transitions."""
    (axis,) = _axes(diagram)
    drawn = Figure(figsize=(8, 9.5), layout="constrained")
    panels = drawn.subplots(3, sharex=True)
    doubtful = _doubtful(diagram)[axis.order]
    for ax, name in zip(panels, ("energy", diagram.spec.colour, "gap"), strict=True):
        least = LEAST_NATS if name == "gap" else -np.inf
        along = np.maximum(diagram.field(name)[axis.order], least)
        ax.plot(axis.positions, along, "o-", ms=4, lw=1.4, color=INK, label="lowest state", zorder=3)
        for (task, outcome), (label, colour, marker) in zip(diagram.branches, _BRANCHES, strict=False):
            heights = [np.nan if state[name] is None else max(state[name], least) for state in value_of(outcome, "states") or []]
            ax.plot(task.config["values"][: len(heights)], heights, marker + "--", ms=5, lw=1, color=colour, label=label)
        for place, border in _crossings(diagram, axis):
            colour, style = _BORDERS[border]
            ax.axvline(place, color=colour, ls=style, lw=1.4, label=f"{border} at {place:.4g}")
        for left, right in zip(axis.edges[:-1][doubtful], axis.edges[1:][doubtful], strict=True):
            ax.axvspan(left, right, facecolor="none", edgecolor=FAINT, hatch="////", lw=0, zorder=0)
    panels[0].set(ylabel="energy (nats)")
    panels[1].set(ylabel=_named(diagram.spec.colour))
    panels[2].set(ylabel="gap to the bound (nats)", yscale="log")
    if not np.isfinite(diagram.field("gap")).any():
        panels[2].set_ylim(diagram.spec.certified_gap / 10, diagram.spec.certified_gap * 10)
    panels[2].axhline(diagram.spec.certified_gap, color="grey", lw=0.8, label="certified below")
    panels[2].legend(handles=panels[2].get_legend_handles_labels()[0][-1:], fontsize=8, frameon=False)
    axis.label(panels[2], "x")
    hatched = [_uncertified(diagram, FAINT)] if doubtful.any() else []
    panels[0].legend(handles=[*panels[0].get_legend_handles_labels()[0], *hatched], fontsize=8, frameon=False)
    drawn.suptitle(_title(diagram), fontsize=11)
    return drawn


def _crossings(diagram: Diagram, axis: _Axis) -> list[tuple[float, str]]:
    """Where the transitions are along one axis: exactly along the coupling, else where the matched state's stability changes."""
    if axis.name == "coupling":
        return [
            (value, border)
            for _, outcome in diagram.curves
            for border in _BORDERS
            if (value := value_of(outcome, border)) is not None
        ]
    if not axis.is_number:
        return []
    words = diagram.words("matched_stability")[axis.order]
    found = []
    for border, below in _STABILITY.items():
        inside = np.isin(words, below)
        found += [(float(axis.edges[k + 1]), border) for k in np.flatnonzero(inside[1:] != inside[:-1])]
    return found


def _map(diagram: Diagram) -> Figure:
    drawn = Figure(figsize=(8.4, 6.8), layout="constrained")
    ax = drawn.subplots()
    mesh = _panel(ax, diagram, _norm(diagram))
    drawn.colorbar(mesh, ax=ax, label=_named(diagram.spec.colour))
    _legend(drawn, diagram)
    return drawn


def _multiples(diagram: Diagram) -> Figure:
    """One map for every value of the third axis."""
    axis = _axes(diagram)[-1]
    count = len(axis.values)
    if count > _MOST_PANELS:
        raise InputError(
            f"a picture has at most {_MOST_PANELS} panels and {axis.name} has {count} values; cells.csv has them all"
        )
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    drawn = Figure(figsize=(4.6 * columns + 1.2, 3.9 * rows + 1.1), layout="constrained")
    panels = drawn.subplots(rows, columns, squeeze=False).ravel().tolist()
    norm = _norm(diagram)
    for k, ax in enumerate(panels[:count]):
        mesh = _panel(ax, _slice(diagram, axis, k), norm)
        ax.set_title(f"{_named(axis.name)} = {short(axis.values[k])}", fontsize=10)
    for ax in panels[count:]:
        ax.set_visible(False)
    drawn.colorbar(mesh, ax=panels, label=_named(diagram.spec.colour))
    _legend(drawn, diagram)
    return drawn


def _slice(diagram: Diagram, axis: _Axis, k: int) -> Diagram:
    """The diagram at one value of its last axis."""
    value = axis.values[k]
    axes = {name: values for name, values in diagram.spec.axes.items() if name != axis.name}
    spec = replace(diagram.spec, axes=axes, fixed={**diagram.spec.fixed, axis.name: value})
    curves = [(task, outcome) for task, outcome in diagram.curves if task.config.get(axis.name, value) == value]
    curves = [] if spec.fixed.get("energy") == "smoothed" else curves
    return Diagram(spec, diagram.cells[k :: len(axis.values)], curves, [])


def _panel(ax: Axes, diagram: Diagram, norm: Normalize) -> Any:
    """The order parameter over two axes, uncertified cells hatched, the phases' borders on top."""
    x, y = _axes(diagram)

    def oriented(field: Any) -> Any:
        return field[np.ix_(x.order, y.order)].T

    ax.set_facecolor(PALE)  # where a cell has failed
    values = np.ma.masked_invalid(oriented(diagram.field(diagram.spec.colour)))
    mesh = ax.pcolormesh(x.edges, y.edges, values, norm=norm, cmap="viridis", rasterized=True)
    cells = [
        Rectangle((x.edges[i], y.edges[j]), x.edges[i + 1] - x.edges[i], y.edges[j + 1] - y.edges[j])
        for j, i in np.argwhere(oriented(_doubtful(diagram))).tolist()
    ]
    ax.add_collection(PatchCollection(cells, facecolor="none", edgecolor="white", hatch="////", linewidth=0))
    collapsed = oriented(diagram.words("phase") == "collapsed")
    _contour(ax, x, y, collapsed, "white", ":", "collapsed")
    for border, (colour, style) in _BORDERS.items():
        if "coupling" in (x.name, y.name):
            _curve(ax, diagram, border, x, y)
        else:
            _contour(ax, x, y, oriented(np.isin(diagram.words("matched_stability"), _STABILITY[border])), colour, style, border)
    ax.set(xlim=x.edges[[0, -1]], ylim=y.edges[[0, -1]])
    x.label(ax, "x")
    y.label(ax, "y")
    _name_regions(ax, x, y, oriented(_regions(diagram)))
    return mesh


def _regions(diagram: Diagram) -> Any:
    """What each cell is, in words: its phase, and the matched state's stability where that is another one."""
    phases, stabilities = diagram.words("phase").astype(object), diagram.words("matched_stability").astype(object)
    is_beside = (phases != "") & (phases != "matched") & (stabilities == "metastable")
    return np.where(is_beside, phases + "\n(matched: metastable)", phases)


def _name_regions(ax: Axes, x: _Axis, y: _Axis, regions: Any) -> None:
    """Write each region's name where it is widest, if it has room for it."""
    from scipy.ndimage import distance_transform_edt  # slow to import

    for name in sorted(set(regions.ravel()) - {""}):
        depth = distance_transform_edt(np.pad(regions == name, 1))[1:-1, 1:-1]
        if depth.max() < _ROOM * max(regions.shape) or depth.max() < 2:
            continue
        j, i = np.unravel_index(np.argmax(depth), depth.shape)
        text = ax.text(
            _middle(x, int(i)), _middle(y, int(j)), name, ha="center", va="center", fontsize=10, color="white", fontweight="bold"
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground=INK)])


def _middle(axis: _Axis, k: int) -> float:
    low, high = float(axis.edges[k]), float(axis.edges[k + 1])
    return float(np.sqrt(low * high)) if axis.is_logarithmic else (low + high) / 2


def _curve(ax: Axes, diagram: Diagram, border: str, x: _Axis, y: _Axis) -> None:
    """A transition in the coupling, against the other axis."""
    coupling, other = (x, y) if x.name == "coupling" else (y, x)
    known = [(task.config.get(other.name), value_of(outcome, border)) for task, outcome in diagram.curves]
    points: list[tuple[Any, Any]] = [(at, value) for at, value in known if value is not None]
    if other.name in APART_FROM_TRANSITIONS:  # one value, for every critic, or for the intrinsic energy
        first, last = (k := other.values.index("intrinsic"), k + 1) if other.name == "energy" else (0, -1)
        points = [(edge, value) for _, value in points for edge in other.edges[[first, last]]]
    elif not other.is_number:  # steps, as wide as the cells
        where = [other.values[k] for k in other.order]
        points = [(edge, value) for at, value in points for edge in other.edges[where.index(at) : where.index(at) + 2]]
    if not points:
        return
    colour, style = _BORDERS[border]
    along, values = np.array(sorted(points, key=lambda point: float(point[0])), dtype=float).T
    ax.plot(*((values, along) if coupling is x else (along, values)), color=colour, ls=style, lw=2, label=border)


def _contour(ax: Axes, x: _Axis, y: _Axis, inside: Any, colour: str, style: str, label: str) -> None:
    """The border of a set of cells, along their edges."""
    for j, i in np.argwhere(inside[:, 1:] != inside[:, :-1]).tolist():
        ax.plot(x.edges[[i + 1, i + 1]], y.edges[[j, j + 1]], color=colour, ls=style, lw=1.6, label=label)
    for j, i in np.argwhere(inside[1:] != inside[:-1]).tolist():
        ax.plot(x.edges[[i, i + 1]], y.edges[[j + 1, j + 1]], color=colour, ls=style, lw=1.6, label=label)


def _doubtful(diagram: Diagram) -> Any:
    """Cells that were solved and are not certified."""
    return ~diagram.certified() & np.isfinite(diagram.field("energy"))


def _norm(diagram: Diagram) -> Normalize:
    values = diagram.field(diagram.spec.colour)
    return Normalize(0, max(float(np.nanmax(values, initial=0)), 1e-3))


def _legend(drawn: Figure, diagram: Diagram) -> None:
    meanings = {
        "binodal": "beyond it separated states are lower",
        "spinodal": "beyond it the matched state is no minimum, not even on the grid",
    }
    handles: list[Any] = [
        Line2D([], [], color=colour, ls=style, lw=2, label=f"{border}: {meanings[border]}")
        for border, (colour, style) in _BORDERS.items()
        if any(line.get_label() == border for ax in drawn.axes for line in ax.lines)
    ]
    if (diagram.words("phase") == "collapsed").any():
        handles.append(Line2D([], [], color="#AAAAAA", ls=":", label="collapsed"))
    if _doubtful(diagram).any():
        handles.append(_uncertified(diagram, GREY))
    if diagram.failures:
        handles.append(Patch(facecolor=PALE, edgecolor=INK, lw=0.5, label="failed"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    drawn.suptitle(_title(diagram), fontsize=11)


def _uncertified(diagram: Diagram, colour: str) -> Patch:
    label = f"gap unknown or above {diagram.spec.certified_gap:g} nats"
    return Patch(facecolor="none", edgecolor=colour, hatch="////", lw=0, label=label)


def _title(diagram: Diagram) -> str:
    shown = {name: value for name, value in diagram.spec.fixed.items() if name in _SHOWN}
    parts = [f"{name} {_worded(value)}" for name, value in shown.items() if value and (name, value) != ("critic", "cosine")]
    potential = " | ".join(name.rsplit("/", 1)[-1] for name in diagram.spec.fixed["potential"])
    return verbatim(f"{diagram.spec.title or _claim(diagram)}\n{potential}; {', '.join(parts)}")


def _claim(diagram: Diagram) -> str:
    """What the diagram shows, for specs without a title."""
    phases = diagram.words("phase")
    known = [value for _, outcome in diagram.curves if (value := value_of(outcome, "binodal")) is not None]
    if known and "coupling" in diagram.spec.axes:
        beyond = f"{min(known):.2g}" if max(known) - min(known) < 0.005 else f"{min(known):.2g} to {max(known):.2g}"
        return f"Beyond a coupling of {beyond} the modalities divide the space"
    parted = int((np.isin(phases, ("separated", "collapsed"))).sum())
    if parted or (phases == "matched").any():
        return f"The modalities part in {parted} of {phases.size} cells"
    largest = np.nanmax(diagram.field(diagram.spec.colour), initial=0)
    return f"{_named(diagram.spec.colour)} up to {largest:.3g}".capitalize()


def _worded(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else short(value)


def _named(name: str) -> str:
    if "." in name:
        return "{1} of {0}".format(*name.split("."))
    return _NAMES.get(name) or PARAMETERS[name].symbol.removeprefix("the ")
