"""A matplotlib figure as plotly's: its axes where they are, to zoom, to hover over, and with maps of the sphere to turn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import AutoMinorLocator, Formatter, LogFormatter, ScalarFormatter
from matplotlib.transforms import Bbox

from fieldsolve.output.artists import traces
from fieldsolve.output.coordinates import Place, colour, plain
from fieldsolve.output.fields import scale_of

_PIXELS = 4 / 3  # a point
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
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # settles places, limits and ticks
    panels = [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != _COLOURBAR]
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"annotations": [*_texts(figure)], "shapes": []}
    left_out: list[str] = []
    for index, ax in enumerate(panels, start=1):
        number = "" if index == 1 else str(index)
        place = Place(ax, _own_scale(ax.xaxis), _own_scale(ax.yaxis))
        found, missing = traces(place)
        left_out += missing + ["second axis"] * len(ax.child_axes)
        where = {"scene": f"scene{number}"} if place.is_sphere else {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        legend = _legend(ax, number)
        in_legend = {} if place.is_sphere or not legend else {"legend": f"legend{number}"}
        data += [
            _once(one, found[:k]) | where | in_legend | ({} if legend else {"showlegend": False}) for k, one in enumerate(found)
        ]
        data += _colourbars(ax, where)
        layout |= _scene(ax, number) if place.is_sphere else _axes(place, number, panels[: index - 1])
        layout |= {f"legend{number}": legend} if legend and not place.is_sphere else {}
        layout["annotations"] += [*_title(ax), *_notes(ax), *(_angles(ax) if place.is_polar else [])]
    width, height = figure.get_size_inches() * 96
    layout |= {
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "font": {"family": "sans-serif", "size": 12, "color": "#1b1b1b"},
        "barmode": "overlay",
    }
    return Interactive({"data": data, "layout": layout}, (float(width), float(height)), tuple(sorted(set(left_out))))


def _once(trace: dict[str, Any], before: list[dict[str, Any]]) -> dict[str, Any]:
    """The trace, out of the legend if another of its name is in it."""
    is_again = any(one.get("name") == trace.get("name") and one.get("showlegend") for one in before)
    return trace | {"showlegend": False} if is_again else trace


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
    twin = next(
        (k for k, one in enumerate(others, start=1) if np.abs(np.subtract(_box(one).extents, box.extents)).max() < _NEAR), None
    )
    if twin is not None:
        first = "" if twin == 1 else str(twin)
        y |= {"overlaying": f"y{first}", "side": "right", "showgrid": False}
        x |= {"overlaying": f"x{first}", "matches": f"x{first}", "showticklabels": False, "title": {"text": ""}}
    return {f"xaxis{number}": x, f"yaxis{number}": y}


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


def _legend(ax: Axes, number: str) -> dict[str, Any]:
    """Where the legend of axes is, empty if they have none."""
    legend = ax.get_legend()
    if legend is None:
        return {}
    box = legend.get_window_extent().transformed(ax.figure.transSubfigure.inverted())
    return {
        "x": box.x0,
        "y": box.y1,
        "xanchor": "left",
        "yanchor": "top",
        "xref": "paper",
        "yref": "paper",
        "bgcolor": "rgba(255,255,255,0.6)",
        "font": {"size": 10},
        "tracegroupgap": 0,
        "itemwidth": 30,
    }


def _words(text: Any, x: float, y: float, **more: Any) -> dict[str, Any]:
    weight = "bold" if str(text.get_fontweight()) in ("bold", "700") else "normal"
    font = {"size": _PIXELS * text.get_fontsize(), "color": colour(text.get_color()), "weight": weight}
    shown = {"text": plain(text.get_text()), "x": x, "y": y, "xref": "paper", "yref": "paper", "showarrow": False, "font": font}
    return shown | {"textangle": -text.get_rotation()} | more


def _placed(text: Any, ax: Axes | Figure) -> dict[str, Any]:
    """Words whose middle is where matplotlib has it."""
    figure = ax if isinstance(ax, Figure) else ax.figure
    box = text.get_window_extent().transformed(figure.transSubfigure.inverted())
    return _words(text, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, xanchor="center", yanchor="middle")


def _texts(figure: Figure) -> list[dict[str, Any]]:
    """Headlines and footnotes."""
    return [_placed(text, figure) for text in figure.texts if text.get_text()]


def _title(ax: Axes) -> list[dict[str, Any]]:
    return [_placed(ax.title, ax)] if ax.get_title() else []


def _angles(ax: Axes) -> list[dict[str, Any]]:
    """What is written around polar axes."""
    return [_placed(label, ax) for label in ax.get_xticklabels() if label.get_text()]


def _notes(ax: Axes) -> list[dict[str, Any]]:
    return [_placed(text, ax) for text in ax.texts if text.get_visible() and text.get_text()]
