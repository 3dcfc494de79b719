"""Pictures of a solution: potentials and densities on the sphere, how the descent went."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from fieldsolve.equilibrium.phases import Phase
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.solution import CAP_RADIUS, Solution
from fieldsolve.grids import Grid
from fieldsolve.numerics.arrays import Array
from fieldsolve.output.pictures import verbatim
from fieldsolve.output.style import GREY, INK, LEAST_NATS, MODALITIES, modality_colour

_DECADES = 2.0  # a density that spans more than this is drawn on a logarithmic scale
_DEEPEST = 1e-12  # and this far below its maximum at most
_COLLAPSED = 0.99  # of the excess mass on one pixel
_PATCH = 5.0  # half the width of a close-up, in pixels
_ALIKE, _NEAR_FLOOR = 0.01, 1.1  # decades that densities differ by; factor above the floor
_APART = 1.0  # nats of symmetric KL
_SPIKE = 0.01  # pixels with more than this share of the excess mass are marked


def plot(solution: Solution) -> Figure:
    """A figure of a solution: every potential and density, which modality is where, and the descent."""
    numbers = range(1, solution.modalities + 1)
    if solution.modalities == 1:
        figure, axes = _panels(solution.grid, [["potential 1", "density 1", "trace"]], (15, 4.2))
    else:
        where = "around the spikes" if _spikes_are_close(solution) else "where"
        rows = [[f"potential {a}" for a in numbers] + [where], [f"density {a}" for a in numbers] + ["trace"]]
        figure, axes = _panels(solution.grid, rows, (5 * solution.modalities + 5, 7.8))
        if where == "where":
            plot_separation(axes[where], solution)
        else:
            plot_spikes(axes[where], solution)
    for a in numbers:
        solution.grid.sky(axes[f"potential {a}"], solution.potentials[a - 1], "U (low attracts)")
        name = "alignment potential" if solution.modalities == 1 else f"potential of modality {a}"
        axes[f"potential {a}"].set_title(f"{name}: {verbatim(solution.labels[a - 1])}")
        plot_density(axes[f"density {a}"], solution, a - 1)
    plot_trace(axes["trace"], solution)
    figure.suptitle(_claim(solution), fontsize=14, fontweight="bold")
    figure.text(0.5, 0.01, _settings(solution), ha="center", va="bottom", fontsize=9, color="#555555")
    return figure


def plot_potentials(problem: Problem) -> Figure:
    """A figure of a problem's potentials, (A, N)."""
    names = [f"potential {a + 1}" for a in range(problem.modalities)]
    figure, axes = _panels(problem.grid, [names], (5 * problem.modalities, 4.2))
    for name, values, one in zip(names, problem.values, problem.resolved, strict=True):
        problem.grid.sky(axes[name], values, "U (low attracts)")
        axes[name].set_title(f"{name}: {verbatim(one.label)}")
    return figure


def plot_density(ax: Axes, solution: Solution, a: int) -> Axes:
    """Draw the density of modality a, logarithmically if it spans decades, with its spike and its pairs marked."""
    density = solution.density[a]
    least, most = max(float(density.min()), _DEEPEST * float(density.max())), float(density.max())
    logarithmic = np.log10(most / least) > _DECADES
    norm: Normalize = LogNorm(least, most) if logarithmic else Normalize(least, most)
    scale = "log scale" if logarithmic else "linear scale"
    solution.grid.sky_density(ax, density, f"density, 1 = uniform ({scale})", norm, "magma")
    name = "equilibrium density" if solution.modalities == 1 else f"density of modality {a + 1}"
    if solution.spike_mass[a] > _COLLAPSED:
        name += ": collapsed to one pixel" if solution.grid.projection else ": collapsed to one angle"
    colour = INK if solution.modalities == 1 else modality_colour(a)
    ax.set_title(name, color=colour, fontweight="bold")
    _mark(ax, solution, a)
    return ax


def plot_separation(ax: Axes, solution: Solution) -> Axes:
    """Draw log10 of the ratio of the first two densities, with both modalities' spikes and pairs."""
    solution.grid.sky(ax, *_log_ratio(solution))
    title = f"which modality is where: centroid gap {solution.centroid_gap:.3g}, symmetric KL {solution.symmetric_kl:.3g}"
    ax.set_title(title, fontsize=10)
    for a in range(2):
        _mark(ax, solution, a)
    return ax


def plot_spikes(ax: Axes, solution: Solution) -> Axes:
    """Draw the same ratio in a patch of the sphere around two neighbouring spikes, pixel by pixel."""
    spikes = np.concatenate([solution.grid.points(int(spike), int(spike) + 1) for spike in solution.spikes[:2]])
    centre = spikes.sum(axis=0) / np.linalg.norm(spikes.sum(axis=0))
    east = np.cross([0, 0, 1], centre) if abs(centre[2]) < 0.99 else np.array([1.0, 0, 0])
    east /= np.linalg.norm(east)
    north = np.cross(centre, east)
    reach = _PATCH * solution.grid.spacing
    offset = np.linspace(-reach, reach, 401)
    points = centre + offset[:, None, None] * north + offset[None, :, None] * east
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    ratio, meaning, norm, cmap = _log_ratio(solution)
    image = ratio[solution.grid.nearest(points.reshape(-1, 3))].reshape(401, 401)
    mesh = ax.pcolormesh(np.degrees(offset), np.degrees(offset), image, norm=norm, cmap=cmap, rasterized=True)
    for a, spike in enumerate(spikes):
        at = float(np.degrees(spike @ east)), float(np.degrees(spike @ north))
        beside = (0.5, 0.85 if at[1] > 0 or (at[1] == 0 and a == 0) else 0.12)
        arrow = {"arrowstyle": "-", "color": MODALITIES[a]}
        ax.annotate(
            f"modality {a + 1}", at, beside, textcoords="axes fraction", ha="center", fontsize=9, color=MODALITIES[a],
            fontweight="bold", arrowprops=arrow,
        )  # fmt: skip
    ax.set(aspect="equal", xlabel="degrees", ylabel="degrees")
    apart = float(np.degrees(2 * np.arcsin(np.linalg.norm(spikes[0] - spikes[1]) / 2)))
    ax.set_title(f"close-up: two pixels, {apart:.2g} degrees apart; symmetric KL {solution.symmetric_kl:.3g}", fontsize=10)
    ax.figure.colorbar(mesh, ax=ax, orientation="horizontal", shrink=0.8, aspect=40, pad=0.03, label=meaning)
    return ax


def _log_ratio(solution: Solution) -> tuple[Array, str, Normalize, Colormap]:
    """log10 of the ratio of the first two densities, cut at 12 decades, with how to draw it."""
    first, second = (np.log10(np.maximum(density, 1e-300)) for density in solution.density[:2])
    ratio = np.clip(first - second, -12, 12)
    limit = max(float(np.abs(ratio).max()), 1e-3)
    colours = LinearSegmentedColormap.from_list("modalities", [MODALITIES[1], "#F7F7F7", MODALITIES[0]])
    alike = np.abs(ratio) < _ALIKE
    at_floor = bool(alike.any()) and float(solution.density[:2, alike].max()) < _NEAR_FLOOR * solution.floor
    white = "; white: both at the floor" if at_floor else "; white: alike"
    return ratio, f"log10 of density 1 / density 2{white}", Normalize(-limit, limit), colours


def _spikes_are_close(solution: Solution) -> bool:
    if solution.grid.projection is None or solution.spike_mass[:2].min() < _COLLAPSED:
        return False
    spikes = [solution.grid.points(int(spike), int(spike) + 1) for spike in solution.spikes[:2]]
    return float(np.linalg.norm(spikes[0] - spikes[1])) < _PATCH * solution.grid.spacing


def plot_trace(ax: Axes, solution: Solution) -> Axes:
    """Draw the stationarity and the energy above the bound (or above its last value) along the descent."""
    trace = solution.trace
    if solution.bound is not None:
        name, above = "energy - bound", trace.energy - solution.bound
    else:
        name, above = "energy - last energy", np.append(trace.energy[:-1] - trace.energy[-1], np.nan)
    steps = np.arange(len(trace.energy))
    for values, label, style, colour in (
        (above, name, "s-", GREY),
        (trace.stationarity, "stationarity", "o-", INK),
    ):
        ax.plot(steps, np.maximum(values, LEAST_NATS), style, ms=3, lw=1.2, color=colour, label=label)
    ax.axhline(solution.problem.nats, color="grey", lw=0.8, ls="--", label="tolerance")
    ax.set(yscale="log", xlabel="step", ylabel="nats")
    if solution.atoms is not None:
        ax.plot(
            steps[-1], max(solution.stationarity, LEAST_NATS), "*", ms=11, color=INK, label="stationarity off the grid's points"
        )
    ax.set_title(solution.status.value.split(":")[0] + f" after {len(trace)} step{'s' if len(trace) != 1 else ''}")
    ax.legend(fontsize=8, frameon=False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(trace) == 0:  # the usual end of a global solve: its limits would show fractions of a step
        ax.set(xlim=(-0.5, 0.5), xticks=[0])
    return ax


def _claim(solution: Solution) -> str:
    """What the picture shows, in a sentence."""
    space = {1: "circle", 2: "sphere"}.get(solution.grid.dim, "space")
    if not solution.converged:
        return "Not converged: this is no equilibrium yet"
    if solution.modalities == 1:
        cap = solution.cap_mass()
        held = "" if cap is None else f", {cap:.0%} of it within {CAP_RADIUS:g} rad of the wells"
        return f"One modality: the density settles where its potential is low{held}"
    who = "The modalities" if solution.modalities == 2 else f"{solution.modalities} modalities"
    phase = None if solution.matched is None else solution.matched.phase
    if phase is Phase.COLLAPSED or solution.spike_mass.min() > _COLLAPSED:
        return f"{who} collapse to a point each, {solution.centroid_gap:.2g} apart"
    if phase is Phase.MATCHED:
        return f"{who} match: no part of the {space} belongs to one of them"
    if phase is Phase.SEPARATED:
        return f"{who} divide the {space} between them: centroid gap {solution.centroid_gap:.2f}"
    apart = "stand apart" if solution.symmetric_kl > _APART else "overlap"
    return f"{who} {apart}: centroid gap {solution.centroid_gap:.2f}, symmetric KL {solution.symmetric_kl:.2g} nats"


def _settings(solution: Solution) -> str:
    parts = [f"{solution.command}, {solution.problem.energy} energy"]
    parts.append(f"tau = {solution.tau:g}, floor = {solution.floor:g}")
    if isinstance(solution.coupling, float):
        parts.append(f"coupling = {solution.coupling:g}")
    parts.append(f"energy = {solution.energy:.6g}")
    if solution.gap is not None:
        parts.append(f"gap to the grid's bound = {solution.gap:.1e}")
    if solution.discretisation_error is not None:
        parts.append(f"discretisation error = {solution.discretisation_error:.1e}")
    return "   |   ".join(parts)


def _panels(grid: Grid, rows: Any, size: tuple[float, float]) -> tuple[Figure, dict[str, Axes]]:
    sky = {} if grid.projection is None else {"projection": grid.projection}
    special: Any = {name: sky for row in rows for name in row if name not in ("trace", "around the spikes")}
    # Not pyplot's: no window, nothing to close. The layout does not see that a Mollweide title stands above the axes:
    # leave room between it and the headline.
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(rect=(0, 0.04, 1, 0.91), h_pad=0.08))
    return figure, figure.subplot_mosaic(rows, per_subplot_kw=special)


def _mark(ax: Axes, solution: Solution, a: int) -> None:
    """Mark where a modality's spike is, and the points of its pairs."""
    grid = solution.grid
    if grid.places(grid.points(0, 1)) is None:
        return
    colour = modality_colour(a)
    if (pairs := solution.pairs) is not None:
        ax.scatter(*_at(grid, pairs[a]), s=3, color=colour, alpha=0.6, lw=0, label=f"pairs {a + 1}")
    if solution.spike_mass[a] > _SPIKE:
        spike = int(solution.spikes[a])
        where = _at(grid, grid.points(spike, spike + 1))
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


def _at(grid: Grid, points: Array) -> tuple[Array, Array]:
    places = grid.places(points)
    assert places is not None
    return places
