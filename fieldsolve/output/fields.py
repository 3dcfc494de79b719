"""Fields that matplotlib has drawn in colours, as plotly's: meshes and images, and maps of the sphere on a sphere."""

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.image import AxesImage

from fieldsolve.numerics.arrays import Array
from fieldsolve.output.coordinates import Place, colour, listed

_COLOURS = 33  # of a scale
_SPHERE = 72  # rows of a map of the sphere
_RASTER = 150  # pixels across a map in polar coordinates


def scale_of(mappable: ScalarMappable) -> list[list[Any]]:
    """The colours of a mappable between 0 and 1."""
    at = np.linspace(0, 1, _COLOURS)
    return [[float(place), colour(one)] for place, one in zip(at, mappable.get_cmap()(at), strict=True)]


def _filled(values: Any) -> Array:
    """Numbers with NaN for those that are masked."""
    return np.asarray(np.ma.filled(np.ma.asarray(values, dtype=float), np.nan))


def _scaled(mappable: ScalarMappable, values: Any) -> list[Any]:
    """Where values are on the scale of colours, and the values themselves."""
    known = _filled(values)
    with np.errstate(all="ignore"):
        at = _filled(mappable.norm(np.ma.masked_invalid(known)))
    return [
        [[None if np.isnan(one) else float(f"{one:.4g}") for one in row] for row in np.atleast_2d(table)] for table in (at, known)
    ]


def _heat(mappable: Any, values: Any, x: Array, y: Array) -> dict[str, Any]:
    at, shown = _scaled(mappable, values)
    return {
        "type": "heatmap",
        **listed(x=x, y=y),
        "z": at,
        "zmin": 0,
        "zmax": 1,
        "customdata": shown,
        "zsmooth": False,
        "hovertemplate": "%{x:.4g}, %{y:.4g}: %{customdata:.4g}<extra></extra>",
        "colorscale": scale_of(mappable),
        "showscale": False,
    }


def flat_mesh(mesh: QuadMesh, place: Place) -> dict[str, Any]:
    """A mesh of rectangles."""
    corners = np.asarray(mesh.get_coordinates())
    x, y = corners[0, :, 0], corners[:, 0, 1]
    return _heat(
        mesh, mesh.get_array(), x if place.across is None else place.across(x), y if place.upward is None else place.upward(y)
    )


def picture(image: AxesImage) -> dict[str, Any]:
    """An image, pixel by pixel."""
    values = _filled(image.get_array())
    left, right, bottom, top = image.get_extent()
    rows, columns = values.shape[:2]
    ends = (top, bottom) if image.origin == "upper" else (bottom, top)
    return _heat(image, values, np.linspace(left, right, columns + 1), np.linspace(*ends, rows + 1))


def polar_mesh(mesh: QuadMesh, place: Place) -> dict[str, Any]:
    """A map in polar coordinates as a picture of square pixels, each with the value of the cell at its centre."""
    corners, values = np.asarray(mesh.get_coordinates()), _filled(mesh.get_array())
    angles, radii = corners[0, :, 0], corners[:, 0, 1]
    low, high = place.axes.get_ylim()
    edges = np.linspace(-(high - low), high - low, _RASTER + 1)
    x, y = np.meshgrid((edges[1:] + edges[:-1]) / 2, (edges[1:] + edges[:-1]) / 2)
    radius, angle = np.hypot(x, y) + low, (np.arctan2(y, x) - angles[0]) % (2 * np.pi) + angles[0]
    row = np.searchsorted(radii, radius, side="right") - 1
    column = np.searchsorted(angles, angle, side="right") - 1
    inside = (row >= 0) & (row < len(radii) - 1) & (column >= 0) & (column < len(angles) - 1)
    picked = values[np.where(inside, row, 0), np.where(inside, column, 0)]
    return _heat(mesh, np.where(inside, picked, np.nan), edges, edges)


def globe(mesh: QuadMesh) -> dict[str, Any]:
    """A map of the sphere on the sphere, with fewer rows: to turn."""
    corners, values = np.asarray(mesh.get_coordinates()), _filled(mesh.get_array())
    every = max(1, values.shape[0] // _SPHERE)
    longitude = (corners[0, 1:, 0] + corners[0, :-1, 0])[every // 2 :: every] / 2
    latitude = (corners[1:, 0, 1] + corners[:-1, 0, 1])[every // 2 :: every] / 2
    picked = values[every // 2 :: every, every // 2 :: every]
    # Closed at the seam and at the poles.
    longitude, picked = np.append(longitude, longitude[0] + 2 * np.pi), np.concatenate([picked, picked[:, :1]], axis=1)
    latitude = np.concatenate([[-np.pi / 2], latitude, [np.pi / 2]])
    at, shown = _scaled(mesh, np.concatenate([picked[:1], picked, picked[-1:]]))
    lat, lon = latitude[:, None], longitude[None, :]
    sides = (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) * np.ones_like(lon))
    x, y, z = (np.round(one, 3).tolist() for one in sides)
    return {
        "type": "surface",
        "x": x,
        "y": y,
        "z": z,
        "surfacecolor": at,
        "cmin": 0,
        "cmax": 1,
        "customdata": shown,
        "colorscale": scale_of(mesh),
        "showscale": False,
        "hovertemplate": "%{customdata:.4g}<extra></extra>",
        "lighting": {"ambient": 1, "diffuse": 0, "specular": 0, "fresnel": 0},
        "contours": {axis: {"highlight": False} for axis in "xyz"},
    }
