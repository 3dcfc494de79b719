"""A matplotlib figure as plotly's: its axes where they are, to zoom, to hover over, and with maps of the sphere to turn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Annotation
from matplotlib.ticker import AutoMinorLocator, Formatter, LogFormatter, ScalarFormatter
from matplotlib.transforms import Bbox

from fieldsolve.output.artists import entry, traces
from fieldsolve.output.coordinates import PIXELS, Place, colour, plain
from fieldsolve.output.fields import scale_of

_DPI = 96  # of a browser
_COLOURBAR = "<colorbar>"  # what matplotlib calls their axes
_NEAR = 1e-6
_DECADES = 1.5  # axes of so many have ticks at powers of ten alone


@dataclass(frozen=True, eq=False)
class Interactive:
    """A figure for plotly. spec: its data and layout; size: in pixels; left_out: kinds of what it cannot show."""

    spec: dict[str, Any]
    size: tuple[float, float]
    left_out: tuple[str, ...]


def converted(figure: Figure) -> Interactive:
    """The same picture for plotly: every panel in its place, with its scales, its colours and its words."""
    canvas = figure.canvas
    try:
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()  # settles places, limits and ticks
        return _converted(figure)
    finally:
        figure.set_canvas(canvas)


def _converted(figure: Figure) -> Interactive:
    panels = [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != _COLOURBAR]
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"annotations": [*_texts(figure)]}
    left_out: list[str] = []
    legends: list[tuple[Legend, dict[str, str]]] = []
    for index, ax in enumerate(panels, start=1):
        number = "" if index == 1 else str(index)
        place = Place(ax, _own_scale(ax.xaxis), _own_scale(ax.yaxis))
        found, missing = traces(place)
        left_out += missing + ["second axis"] * len(ax.child_axes)
        where = {"scene": f"scene{number}"} if place.is_sphere else {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        data += [one | where for one in found] + _colourbars(ax, where)
        layout |= _scene(ax, number) if place.is_sphere else _axes(place, number, panels[: index - 1])
        notes, without = _notes(ax)
        layout["annotations"] += [*_title(ax), *notes, *(_angles(ax) if place.is_polar else [])]
        left_out += without
        own = ax.get_legend()
        legends += [(one, where) for one in ([own] if own is not None else [])]
        if index == len(panels):
            legends += [(one, where) for one in figure.legends]
    for count, (legend, where) in enumerate(legends, start=1):
        name = "legend" if count == 1 else f"legend{count}"
        layout[name] = _legend(legend)
        data += _entries(legend, name, where)
    width, height = figure.get_size_inches() * _DPI
    layout |= {
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "font": {"family": "sans-serif", "size": 12, "color": "#1b1b1b"},
        "barmode": "overlay",
    }
    return Interactive({"data": data, "layout": layout}, (float(width), float(height)), tuple(sorted(set(left_out))))


def _entries(legend: Legend, name: str, where: dict[str, str]) -> list[dict[str, Any]]:
    """The entries of a legend."""
    is_scene = "scene" in where
    nowhere = {"type": "scatter3d" if is_scene else "scatter"} | {axis: [None] for axis in ("xyz" if is_scene else "xy")}
    pairs = zip(legend.legend_handles, legend.get_texts(), strict=True)
    return [entry(handle, text.get_text()) | nowhere | where | {"legend": name} for handle, text in pairs]


def _box(ax: Axes) -> Bbox:
    return ax.get_position()


def _own_scale(axis: Any) -> Any:
    """The way from values to coordinates on scales that plotly does not have, as one that is linear about 0."""
    return None if axis.get_scale() in ("linear", "log") else axis.get_transform().transform


def _axes(place: Place, number: str, others: list[Axes]) -> dict[str, Any]:
    ax, box = place.axes, _box(place.axes)
    if place.is_polar:
        reach = float(np.ptp(ax.get_ylim())) * 1.02
        plane: dict[str, Any] = {"visible": False, "range": [-reach, reach], "constrain": "domain"}
        return {
            f"xaxis{number}": plane | {"domain": [box.x0, box.x1], "anchor": f"y{number}"},
            f"yaxis{number}": plane | {"domain": [box.y0, box.y1], "anchor": f"x{number}", "scaleanchor": f"x{number}"},
        }
    x = _axis(ax.xaxis, ax.get_xlim(), place.across) | {"domain": [box.x0, box.x1], "anchor": f"y{number}"}
    y = _axis(ax.yaxis, ax.get_ylim(), place.upward) | {"domain": [box.y0, box.y1], "anchor": f"x{number}"}
    if ax.get_aspect() == 1.0:
        x, y = x | {"constrain": "domain"}, y | {"constrain": "domain", "scaleanchor": f"x{number}"}
    twin = next((k for k, one in enumerate(others, start=1) if _is_twin(one, ax)), None)
    if twin is not None:
        first = "" if twin == 1 else str(twin)
        y |= {"overlaying": f"y{first}", "side": "right", "showgrid": False}
        x |= {"overlaying": f"x{first}", "matches": f"x{first}", "showticklabels": False, "title": {"text": ""}}
    return {f"xaxis{number}": x, f"yaxis{number}": y}


def _is_twin(one: Axes, other: Axes) -> bool:
    """Whether axes share a panel and its horizontal scale."""
    is_same = np.abs(np.subtract(_box(one).extents, _box(other).extents)).max() < _NEAR
    return bool(is_same and one.get_shared_x_axes().joined(one, other))


def _axis(axis: Any, limits: tuple[float, float], own: Any) -> dict[str, Any]:
    kind = "log" if axis.get_scale() == "log" else "linear"
    ends = np.array(limits, dtype=float)
    ends = np.log10(np.maximum(ends, 1e-300)) if kind == "log" else ends if own is None else own(ends)
    found: dict[str, Any] = {
        "type": kind,
        "range": ends.tolist(),
        "title": {"text": plain(axis.get_label_text()), "font": {"size": 12}, "standoff": 4},
        "showline": True,
        "linecolor": "#444444",
        "mirror": True,
        "ticks": "outside",
        "ticklen": 4,
        "zeroline": False,
        "showgrid": False,
        "exponentformat": "power",
    }
    formatter = axis.get_major_formatter()
    if kind == "log" and abs(ends[1] - ends[0]) > _DECADES:
        found["dtick"] = 1
    if own is not None or _is_worded(formatter):
        places, words = _ticks(axis, formatter)
        found |= {"tickvals": (places if own is None else own(np.array(places))).tolist(), "ticktext": words}
    if not axis.get_visible() or (isinstance(axis.get_minor_locator(), AutoMinorLocator) and not axis.get_ticklabels()):
        found["visible"] = False
    return found


def _is_worded(formatter: Formatter) -> bool:
    """Whether ticks have words of their own, or none."""
    return not isinstance(formatter, ScalarFormatter | LogFormatter)


def _ticks(axis: Any, formatter: Formatter) -> tuple[Any, list[str]]:
    low, high = sorted(axis.get_view_interval())
    places = np.array([one for one in axis.get_majorticklocs() if low <= one <= high], dtype=float)
    return places, [plain(one) for one in formatter.format_ticks(places.tolist())]


def _scene(ax: Axes, number: str) -> dict[str, Any]:
    box = _box(ax)
    hidden = {"visible": False, "range": [-1.05, 1.05]}
    # Its middle is where the map's is: longitude 0 in front.
    eye = {"x": 1.25, "y": 0.0, "z": 0.35}
    domain = {"x": [box.x0, box.x1], "y": [box.y0, box.y1]}
    return {
        f"scene{number}": {
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "aspectmode": "cube",
            "domain": domain,
            "camera": {"eye": eye},
        }
    }


def _colourbars(ax: Axes, where: dict[str, str]) -> list[dict[str, Any]]:
    """Traces that show nothing but the colour bars of what is on axes."""
    found = []
    for mappable in [*ax.collections, *ax.images]:
        bar = mappable.colorbar
        if bar is None:
            continue
        box, is_flat = _box(bar.ax), bar.orientation == "horizontal"
        axis = bar.ax.xaxis if is_flat else bar.ax.yaxis
        places, words = _ticks(axis, axis.get_major_formatter())
        at = np.asarray(np.ma.filled(mappable.norm(places), np.nan), dtype=float)
        kept = [k for k, one in enumerate(at) if np.isfinite(one)]
        shown = {
            "orientation": "h" if is_flat else "v",
            "x": (box.x0 + box.x1) / 2,
            "y": (box.y0 + box.y1) / 2,
            "xanchor": "center",
            "yanchor": "middle",
            "len": box.width if is_flat else box.height,
            "thickness": 10,
            "tickvals": at[kept].tolist(),
            "ticktext": [words[k] for k in kept],
            "title": {"text": plain(axis.get_label_text()), "side": "bottom" if is_flat else "right"},
        }
        marker = {"color": [0], "cmin": 0, "cmax": 1, "colorscale": scale_of(mappable), "showscale": True, "colorbar": shown}
        kind = "scatter3d" if "scene" in where else "scatter"
        nowhere = {name: [None] for name in ("xyz" if "scene" in where else "xy")}
        found.append(
            {"type": kind, "mode": "markers", "showlegend": False, "hoverinfo": "skip", "marker": marker} | nowhere | where
        )
    return found


def _legend(legend: Legend) -> dict[str, Any]:
    """Where a legend is."""
    box = _shares(legend)
    return {
        "x": box.x0,
        "y": box.y1,
        "xanchor": "left",
        "yanchor": "top",
        "bgcolor": "rgba(255,255,255,0.6)",
        "font": {"size": 10},
        "tracegroupgap": 0,
        "itemwidth": 30,
    }


def _shares(artist: Any) -> Bbox:
    """The place of something on its figure, in shares of that."""
    figure = artist.get_figure(root=True)
    return Bbox(artist.get_window_extent().transformed(figure.transFigure.inverted()))


def _words(text: Any, x: float, y: float, **more: Any) -> dict[str, Any]:
    weight = "bold" if str(text.get_fontweight()) in ("bold", "700") else "normal"
    font = {"size": PIXELS * text.get_fontsize(), "color": colour(text.get_color()), "weight": weight}
    shown = {"text": plain(text.get_text()), "x": x, "y": y, "xref": "paper", "yref": "paper", "showarrow": False, "font": font}
    return shown | {"textangle": -text.get_rotation()} | more


def _placed(text: Any) -> dict[str, Any]:
    """Words whose middle is where matplotlib has it."""
    box = _shares(text)
    return _words(text, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, xanchor="center", yanchor="middle")


def _texts(figure: Figure) -> list[dict[str, Any]]:
    """Headlines and footnotes."""
    return [_placed(text) for text in figure.texts if text.get_text()]


def _title(ax: Axes) -> list[dict[str, Any]]:
    return [_placed(ax.title)] if ax.get_title() else []


def _angles(ax: Axes) -> list[dict[str, Any]]:
    """What is written around polar axes."""
    return [_placed(label) for label in ax.get_xticklabels() if label.get_text()]


def _notes(ax: Axes) -> tuple[list[dict[str, Any]], list[str]]:
    """What is written on axes, and arrows; and what of them plotly cannot show."""
    found, missing = [], []
    for text in ax.texts:
        if not text.get_visible():
            continue
        if text.get_text():
            found.append(_placed(text))
        if isinstance(text, Annotation) and text.arrow_patch is not None:
            if text.xycoords == "data":
                found.append(_arrow(text, ax))
            else:
                missing.append("arrow")
    return found, missing


def _arrow(text: Annotation, ax: Axes) -> dict[str, Any]:
    """The arrow of a note, from its words to what it points at."""
    tip = ax.transData.transform(text.xy)
    figure = ax.get_figure(root=True)
    assert figure is not None
    x, y = figure.transFigure.inverted().transform(tip)
    box = text.get_window_extent()
    tail = (
        text.get_transform().transform(text.get_position())
        if not text.get_text()
        else np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2
    )
    across, up = (tail - tip) * (_DPI / figure.dpi)
    ink = colour(text.arrow_patch.get_edgecolor()) if text.arrow_patch is not None else "black"
    head = 2 if ">" in str((text.arrowprops or {}).get("arrowstyle", "->")) else 0
    return {
        "text": "", "x": x, "y": y, "xref": "paper", "yref": "paper", "showarrow": True, "ax": across, "ay": -up,
        "arrowcolor": ink, "arrowhead": head, "arrowwidth": 1.5,
    }  # fmt: skip
