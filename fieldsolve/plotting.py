"""Pictures of a solution: potentials and densities on the sphere, and how the descent went."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from fieldsolve.arrays import Array
from fieldsolve.grids import Circle, Grid
from fieldsolve.solution import Solution

#: One colour a modality, told apart by all kinds of colour vision (Okabe and Ito).
MODALITY_COLOURS = ("#D55E00", "#56B4E9", "#009E73", "#CC79A7")

_RASTER = (360, 720)  # latitudes and longitudes of a sky picture
_DECADES = 2.0  # a density that spans more than this is drawn on a logarithmic scale
_DEEPEST = 1e-12  # and this far below its maximum at most
_SPIKE = 0.01  # pixels with more than this share of the excess mass are marked


def plot(solution: Solution) -> Figure:
    """A figure of a solution: every potential and density, which modality is where, and the descent."""
    if solution.modalities == 1:
        figure, axes = _panels(solution.grid, [["potential", "density", "trace"]], (15, 4.2))
        plot_field(axes["potential"], solution.grid, solution.potentials[0], label="U")
        axes["potential"].set_title(f"alignment potential: {solution.labels[0]}")
        plot_density(axes["density"], solution, 0)
    else:
        rows = [["potential 1", "potential 2", "both"], ["density 1", "density 2", "trace"]]
        figure, axes = _panels(solution.grid, rows, (15, 7.8))
        for a in range(2):
            plot_field(axes[f"potential {a + 1}"], solution.grid, solution.potentials[a], label="U")
            axes[f"potential {a + 1}"].set_title(f"potential of modality {a + 1}: {solution.labels[a]}")
            plot_density(axes[f"density {a + 1}"], solution, a)
        plot_separation(axes["both"], solution)
    plot_trace(axes["trace"], solution)
    figure.suptitle(_headline(solution), fontsize=12, fontweight="bold")
    return figure


def plot_field(ax: Axes, grid: Grid, field: Array, label: str = "", norm: Normalize | None = None, cmap: str = "cividis") -> Axes:
    """Draw a field (size,): a Mollweide picture on S^2 (ax must have that projection), a curve on the circle."""
    if isinstance(grid, Circle):
        ax.plot(np.degrees(grid.angles()), field, color="black", lw=1.2)
        ax.set(xlabel="angle (degrees)", ylabel=label)
        if isinstance(norm, LogNorm):
            ax.set_yscale("log")
        return ax
    latitude = np.linspace(-np.pi / 2, np.pi / 2, _RASTER[0] + 1)
    longitude = np.linspace(-np.pi, np.pi, _RASTER[1] + 1)
    lat = (latitude[:-1] + latitude[1:])[:, None] / 2
    lon = (longitude[:-1] + longitude[1:])[None, :] / 2
    points = np.stack(np.broadcast_arrays(np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), axis=-1)
    image = field[grid.nearest(points.reshape(-1, 3))].reshape(_RASTER)
    mesh = ax.pcolormesh(longitude, latitude, image, norm=norm, cmap=cmap, rasterized=True)
    ax.set(xticklabels=[], yticklabels=[])
    ax.grid(color="white", lw=0.3, alpha=0.5)
    ax.figure.colorbar(mesh, ax=ax, orientation="horizontal", shrink=0.8, aspect=40, pad=0.09, label=label)
    return ax


def plot_density(ax: Axes, solution: Solution, a: int) -> Axes:
    """Draw the density of modality a, logarithmically if it spans decades, with its spike and its pairs marked."""
    density = solution.density[a]
    least, most = max(float(density.min()), _DEEPEST * float(density.max())), float(density.max())
    logarithmic = np.log10(most / least) > _DECADES
    norm: Normalize = LogNorm(least, most) if logarithmic else Normalize(least, most)
    scale = "log scale" if logarithmic else "linear scale"
    plot_field(ax, solution.grid, np.maximum(density, least), f"density, 1 = uniform ({scale})", norm, cmap="magma")
    name = "equilibrium density" if solution.modalities == 1 else f"density of modality {a + 1}"
    ax.set_title(name, color="black" if solution.modalities == 1 else MODALITY_COLOURS[a], fontweight="bold")
    _mark(ax, solution, a)
    return ax


def plot_separation(ax: Axes, solution: Solution) -> Axes:
    """Draw log10 of the ratio of the first two densities, with both modalities' spikes and pairs."""
    with np.errstate(divide="ignore"):
        ratio = np.log10(solution.density[0]) - np.log10(solution.density[1])
    ratio = np.clip(np.nan_to_num(ratio, nan=0.0), -12, 12)
    limit = max(float(np.abs(ratio).max()), 1e-3)
    label = "log10 of density 1 / density 2"
    plot_field(ax, solution.grid, ratio, label, Normalize(-limit, limit), cmap="RdBu_r")
    ax.set_title(f"which modality is where: centroid gap {solution.centroid_gap:.3g}, D = {solution.symmetric_kl:.3g}")
    for a in range(2):
        _mark(ax, solution, a)
    return ax


def plot_trace(ax: Axes, solution: Solution) -> Axes:
    """Draw the stationarity and the energy above the bound (or above its last value) along the descent."""
    trace = solution.trace
    base = solution.bound if solution.bound is not None else float(trace.energy[-1])
    name = "energy - bound" if solution.bound is not None else "energy - last energy"
    steps = np.arange(len(trace.energy))
    for values, label, marker, colour in (
        (trace.stationarity, "stationarity", "o", "#0072B2"),
        (trace.energy - base, name, "s", "#D55E00"),
    ):
        shown = np.where(values > 1e-16, values, np.nan)
        ax.plot(steps, shown, marker=marker, ms=3.5, lw=1.2, color=colour, label=label)
    ax.axhline(solution.tolerance, color="grey", lw=0.8, ls="--", label="tolerance")
    ax.set(yscale="log", xlabel="step", ylabel="nats")
    ax.set_title(solution.status.value.split(":")[0] + f" after {len(trace)} step{'s' if len(trace) != 1 else ''}")
    ax.legend(fontsize=8, frameon=False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def _headline(solution: Solution) -> str:
    parts = [f"{solution.command}, {'smoothed' if solution.smoothed else 'intrinsic'} energy"]
    parts.append(f"tau = {solution.tau:g}, floor = {solution.floor:g}")
    if solution.coupling is not None:
        parts.append(f"coupling = {solution.coupling:g}")
    parts.append(f"energy = {solution.energy:.6g}")
    if solution.gap is not None:
        parts.append(f"gap to the bound = {max(solution.gap, 0):.1e}")
    return "   |   ".join(parts)


def _panels(grid: Grid, rows: Any, size: tuple[float, float]) -> tuple[Figure, dict[str, Axes]]:
    sky = {} if isinstance(grid, Circle) else {"projection": "mollweide"}
    special: Any = {name: sky for row in rows for name in row if name != "trace"}
    # Not pyplot's: no window, nothing to close. The layout does not see that a Mollweide title stands above the axes:
    # leave room between it and the headline.
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(rect=(0, 0, 1, 0.95), h_pad=0.08))
    return figure, figure.subplot_mosaic(rows, per_subplot_kw=special)


def _mark(ax: Axes, solution: Solution, a: int) -> None:
    """Mark where a modality's spike is, and the points of its pairs."""
    if isinstance(solution.grid, Circle):
        return
    colour = MODALITY_COLOURS[a]
    if solution.pairs is not None:
        ax.scatter(*_longitude_latitude(solution.pairs[a]), s=3, color=colour, alpha=0.6, lw=0, label=f"pairs {a + 1}")
    if solution.spike_mass[a] > _SPIKE:
        spike = int(solution.spikes[a])
        where = _longitude_latitude(solution.grid.points(spike, spike + 1))
        # Two spikes may be neighbours: rings of different size stay apart.
        ax.scatter(*where, s=90 + 150 * a, facecolor="none", edgecolor="white", lw=3.2)
        ax.scatter(
            *where, s=90 + 150 * a, facecolor="none", edgecolor=colour, lw=1.8,
            label=f"spike {a + 1}: {100 * solution.spike_mass[a]:.0f} % of the excess mass",
        )  # fmt: skip
    if ax.get_legend_handles_labels()[1]:
        legend = ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2, frameon=False)
        for handle in legend.legend_handles:
            handle.set_sizes([40])  # type: ignore[union-attr]


def _longitude_latitude(points: Array) -> tuple[Array, Array]:
    return np.arctan2(points[:, 1], points[:, 0]), np.arcsin(np.clip(points[:, 2], -1, 1))
