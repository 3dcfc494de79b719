"""What matplotlib has drawn on axes, as plotly's traces: lines, markers, areas, bars and fields."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.collections import Collection, LineCollection, PathCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fieldsolve.output.coordinates import PIXELS, Place, colour, listed, plain
from fieldsolve.output.fields import flat_mesh, globe, picture, polar_mesh

Trace = dict[str, Any]

_DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
_MARKERS = {
    "o": "circle", ".": "circle", ",": "circle", "s": "square", "D": "diamond", "d": "diamond", "^": "triangle-up",
    "v": "triangle-down", "<": "triangle-left", ">": "triangle-right", "*": "star", "x": "x-thin", "+": "cross-thin",
    "_": "line-ew", "|": "line-ns",
}  # fmt: skip
_OPEN = ("x", "+", "_", "|")  # markers that are lines


def traces(place: Place) -> tuple[list[Trace], list[str]]:
    """The traces of everything on axes, in the order in which it is drawn, and what of it plotly cannot show."""
    found: list[tuple[float, Trace]] = []
    left_out: list[str] = []
    bars = [one for one in place.axes.containers if isinstance(one, BarContainer)]
    in_bars = {id(patch) for one in bars for patch in one.patches}
    drawn = [*place.axes.collections, *place.axes.images, *place.axes.patches, *place.axes.lines]
    for artist in sorted(
        (one for one in drawn if one.get_visible() and id(one) not in in_bars), key=lambda one: one.get_zorder()
    ):
        converted = _converted(artist, place)
        if converted is None:
            left_out.append(type(artist).__name__)
        else:
            found += [(artist.get_zorder(), one) for one in converted]
    found += [(1.0, _bars(one)) for one in bars]
    return [one for _, one in sorted(found, key=lambda pair: pair[0])], left_out


def _converted(artist: Any, place: Place) -> list[Trace] | None:
    if isinstance(artist, Line2D):
        return list(_line(artist, place))
    if isinstance(artist, QuadMesh):
        return [globe(artist) if place.is_sphere else polar_mesh(artist, place) if place.is_polar else flat_mesh(artist, place)]
    if isinstance(artist, AxesImage):
        return [picture(artist)] if np.ndim(np.asarray(artist.get_array())) == 2 else None
    if isinstance(artist, LineCollection):
        return list(_segments(artist, place))
    if isinstance(artist, PathCollection):
        return list(_points(artist, place))
    if isinstance(artist, Collection):
        return list(_areas(artist, place))
    if isinstance(artist, Patch):
        return list(_patch(artist, place))
    return None


def _named(artist: Any) -> dict[str, Any]:
    """The name of an artist, out of legends: those have entries of their own, which switch all of their name."""
    label = str(artist.get_label())
    is_named = bool(label) and not label.startswith("_")
    return {"showlegend": False} | ({"name": plain(label), "legendgroup": plain(label)} if is_named else {})


def entry(handle: Any, label: str) -> Trace:
    """What a legend shows of an artist: a trace of no points."""
    shown: Trace = {"mode": "lines", "line": {"color": "#777777"}}
    if isinstance(handle, Line2D):
        shown = _look(handle)
    elif isinstance(handle, Patch):
        face = handle.get_facecolor() if handle.get_fill() and not handle.get_hatch() else handle.get_edgecolor()
        shown = {"mode": "markers", "marker": {"symbol": "square", "size": 11, "color": colour(face)}}
    elif isinstance(handle, PathCollection):
        faces, edges = np.atleast_2d(handle.get_facecolor()), np.atleast_2d(handle.get_edgecolor())
        ink, symbol = (faces[0], "circle") if len(faces) else (edges[0], "circle-open")
        shown = {"mode": "markers", "marker": {"symbol": symbol, "size": 9, "color": colour(ink)}}
    elif isinstance(handle, LineCollection) and len(handle.get_edgecolor()):
        shown = {"mode": "lines", "line": {"color": colour(handle.get_edgecolor()[0])}}
    return shown | {"name": plain(label), "legendgroup": plain(label), "showlegend": True, "hoverinfo": "skip"}


def _kind(place: Place) -> str:
    return "scatter3d" if place.is_sphere else "scatter"


def _line(line: Line2D, place: Place) -> Iterator[Trace]:
    values, look = place.values(line.get_xydata(), line.get_transform()), _look(line)
    if len(values) and look["mode"] != "none":
        yield {"type": _kind(place), **_named(line), **place.coordinates(values), **look}


def _look(line: Line2D) -> Trace:
    """Line and markers of a line."""
    has_line, marker = line.get_linestyle() not in ("None", " ", ""), line.get_marker()
    has_marker = marker not in ("None", None, " ", "")
    look: Trace = {"mode": "+".join(["lines"] * has_line + ["markers"] * has_marker) or "none"}
    if has_line:
        dash = _DASHES.get(str(line.get_linestyle()), "dash")
        width = PIXELS * line.get_linewidth()
        look["line"] = {"color": colour(line.get_color(), line.get_alpha()), "width": width, "dash": dash}
        steps = {"steps-post": "hv", "steps-pre": "vh", "steps-mid": "hvh", "steps": "vh"}.get(str(line.get_drawstyle()))
        look["line"] |= {} if steps is None else {"shape": steps}
    if has_marker:
        edge = {"color": colour(line.get_markeredgecolor()), "width": PIXELS * line.get_markeredgewidth()}
        look["marker"] = _marker(str(marker), line.get_markersize(), line.get_markerfacecolor(), edge)
    return look


def _marker(marker: str, size: float, face: Any, edge: dict[str, Any]) -> dict[str, Any]:
    is_open = marker in _OPEN or to_rgba(face)[3] == 0
    symbol = _MARKERS.get(marker, "circle") + ("-open" if is_open else "")
    return {"symbol": symbol, "size": PIXELS * size * (0.5 if marker == "." else 1), "line": edge} | (
        {"color": edge["color"]} if is_open else {"color": colour(face)}
    )


def _points(points: PathCollection, place: Place) -> Iterator[Trace]:
    values = place.values(np.ma.getdata(points.get_offsets()), points.get_offset_transform())
    if not len(values):
        return
    faces = np.atleast_2d(points.get_facecolor())
    edges, sizes = np.atleast_2d(points.get_edgecolor()), np.sqrt(np.atleast_1d(points.get_sizes()))
    inks = faces if len(faces) else edges
    some = [colour(one) for one in inks[: len(values)]]
    width = float(np.atleast_1d(points.get_linewidth())[0]) if len(edges) else 0.0
    yield {
        "type": _kind(place),
        "mode": "markers",
        **_named(points),
        **place.coordinates(values),
        "marker": {
            "symbol": "circle" if len(faces) else "circle-open",
            "color": some if len(some) > 1 else some[0],
            "size": (PIXELS * sizes).tolist() if len(sizes) > 1 else PIXELS * float(sizes[0]),
            "line": {"width": PIXELS * width, "color": colour(edges[0] if len(edges) else inks[0])},
        },
    }


def _segments(lines: LineCollection, place: Place) -> Iterator[Trace]:
    pieces = [place.values(one, lines.get_transform()) for one in lines.get_segments()]
    if not pieces:
        return
    broken = np.concatenate([part for one in pieces for part in (one, np.full((1, 2), np.nan))])
    ink = lines.get_edgecolor()
    yield {
        "type": _kind(place),
        "mode": "lines",
        **_named(lines),
        **place.coordinates(broken),
        "hoverinfo": "skip",
        "line": {
            "color": colour(ink[0] if len(ink) else "black"),
            "width": PIXELS * float(np.atleast_1d(lines.get_linewidth())[0]),
        },
    }


def _areas(areas: Collection, place: Place) -> Iterator[Trace]:
    faces, edges = np.atleast_2d(areas.get_facecolor()), np.atleast_2d(areas.get_edgecolor())
    for index, path in enumerate(areas.get_paths()):
        face = faces[index % len(faces)] if len(faces) else (0, 0, 0, 0)
        edge = edges[index % len(edges)] if len(edges) else (0, 0, 0, 0)
        width = float(np.atleast_1d(areas.get_linewidth())[0])
        yield from _outline(path, areas.get_transform(), place, face, edge, width, areas.get_hatch(), _named(areas))


def _patch(patch: Patch, place: Place) -> Iterator[Trace]:
    face = patch.get_facecolor() if patch.get_fill() else (0, 0, 0, 0)
    yield from _outline(
        patch.get_path(),
        patch.get_transform(),
        place,
        face,
        patch.get_edgecolor(),
        patch.get_linewidth(),
        patch.get_hatch(),
        _named(patch),
    )


def _outline(
    path: Any, transform: Any, place: Place, face: Any, edge: Any, width: float, hatch: str | None, named: Trace
) -> Iterator[Trace]:
    for polygon in transform.transform_path(path).to_polygons(closed_only=to_rgba(face)[3] > 0 or bool(hatch)):
        with np.errstate(all="ignore"):
            values = np.asarray(place.axes.transData.inverted().transform(polygon))
        trace: Trace = {
            "type": _kind(place),
            "mode": "lines",
            **named,
            **place.coordinates(values),
            "hoverinfo": "skip",
            "line": {"color": colour(edge), "width": PIXELS * width},
        }
        if to_rgba(face)[3] > 0 or hatch:
            trace |= {"fill": "toself", "fillcolor": colour(face)}
        if hatch:
            trace["fillpattern"] = {"shape": "/", "fgcolor": colour(edge), "fgopacity": 0.8, "size": 6}
        yield trace


def _bars(bars: BarContainer) -> Trace:
    boxes = [(one.get_x(), one.get_y(), one.get_width(), one.get_height()) for one in bars.patches]
    x, y, width, height = (np.array(one, dtype=float) for one in zip(*boxes, strict=True))
    inks = [colour(one.get_facecolor()) for one in bars.patches]
    return {
        "type": "bar",
        **_named(bars),
        "marker": {"color": inks},
        **listed(x=x + width / 2, y=height, base=y, width=width),
    }
