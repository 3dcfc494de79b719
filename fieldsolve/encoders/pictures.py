"""Pictures of free encoders: gap and loss over temperature, similarities, embedded symbols; and what training does."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from fieldsolve.encoders.drift import STARTS, Drift
from fieldsolve.encoders.study import EncoderStudy
from fieldsolve.encoders.sweep import Sweep, described
from fieldsolve.numerics.arrays import Array
from fieldsolve.output.pictures import verbatim
from fieldsolve.output.style import COOL, GREY, INK, LEAST_NATS, PALE, WARM, modality_colour

_VISIBLE_GAP = 0.1  # below it symbols are drawn along the two directions in which they are spread most
_MOST_NAMED = 30  # symbols that get a number beside their point


def plot_encoders(found: Sweep) -> Figure:
    """Four panels: gaps that the loss allows or forces, the loss above its bound, the similarities, and the embedded symbols."""
    figure = Figure(figsize=(12, 9.2), layout="constrained")
    (gaps, losses), (similarities, symbols) = figure.subplots(2, 2)
    _draw_gaps(gaps, found)
    _draw_losses(losses, found)
    _draw_similarities(similarities, found.study)
    _draw_symbols(symbols, found.study)
    study = found.study
    figure.suptitle(f"{_claim(study)}\n{verbatim(described(study.solution.problem))}, tau = {study.solution.tau:g}")
    return figure


def plot_drift(found: Drift) -> Figure:
    """Two panels: the gap after gradient flow over the gap before, and the drift of batch noise over the batch."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    flows, noise = figure.subplots(1, 2)
    kinds = np.array(found.flows["kind"])
    before, after = np.array(found.flows["centroid_gap_before"]), np.array(found.flows["centroid_gap_after"])
    for kind, colour in (("random", COOL), ("orbit", WARM)):
        if np.any(kinds == kind):
            flows.plot(before[kinds == kind], after[kinds == kind], "o", color=colour, label=f"{kind} starts")
    flows.axline((0, 0), slope=1, color=GREY, lw=0.8, ls="--")
    flows.set(xlabel="centroid gap before", ylabel="centroid gap after", xlim=(0, 2), ylim=(0, 2), title="gradient flow")
    flows.legend(frameon=False, fontsize=8)
    of_start, batches = np.array(found.noise["start"]), np.array(found.noise["batch"])
    drift, error = np.array(found.noise["scaled"]), np.array(found.noise["scaled_error"])
    for start, colour in zip(STARTS, (INK, COOL, WARM), strict=True):
        rows = of_start == start
        noise.errorbar(batches[rows], drift[rows], error[rows], fmt="o-", ms=4, capsize=3, color=colour, label=start)
    noise.axhline(0, color=GREY, lw=0.8)
    noise.set_xscale("log", base=2)
    noise.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    noise.set(
        xlabel="batch B", ylabel="change of the squared gap a step, x B/rate^2",
        title="batch noise: level where it goes like rate^2/B",
    )  # fmt: skip
    noise.legend(frameon=False, fontsize=8)
    excess = max(max(found.flows["excess"]), 1e-16)
    span = f"{after.min():.2f} to {after.max():.2f}"
    figure.suptitle(
        f"Training ends with gaps from {span}, {excess:.0e} nats or less above the least loss\n"
        f"{verbatim(found.label)}, tau = {found.plan.tau:g}, rate {found.rate:.3g}, {found.plan.seeds} seeds"
    )
    return figure


def _claim(study: EncoderStudy) -> str:
    if study.is_undetermined and study.window is not None:
        return f"The loss does not see the centroid gap between {study.window.low:.3g} and {study.window.high:.3g}"
    if study.is_undetermined:
        return "The loss does not determine the centroid gap"
    limit = "" if study.solution.problem.dimension is None else f" in {study.solution.problem.dimension} dimensions"
    return f"The optimum{limit} has a centroid gap of {study.solution.centroid_gap:.3f}"


def _draw_gaps(ax: Axes, found: Sweep) -> None:
    table, study = found.table, found.study
    taus = _numbers(table["tau"])
    low, high, forced = (_numbers(table[name]) for name in ("window_low", "window_high", "centroid_gap"))
    if np.isfinite(low).any():
        ax.fill_between(taus, low, high, color=PALE, label="window: every gap has the same loss")
        ax.plot(taus, low, color=GREY, lw=0.8)
        ax.plot(taus, high, color=GREY, lw=0.8)
    ax.plot(taus, forced, "o-", ms=4, color=WARM, label="gap of the optimum") if np.isfinite(forced).any() else None
    _mark_temperatures(ax, study)
    _over_temperature(ax)
    ax.set(ylabel="centroid gap", ylim=(0, 2.05), title="gaps that the objective allows")
    ax.legend(frameon=False, fontsize=8)


def _draw_losses(ax: Axes, found: Sweep) -> None:
    taus, excess = _numbers(found.table["tau"]), _numbers(found.table["excess"])
    ax.plot(taus, np.maximum(excess, LEAST_NATS), "o-", ms=4, color=INK, label="loss above its least over all logits")
    uncertain = _numbers(found.table["gap"])
    ax.plot(taus, np.maximum(uncertain, LEAST_NATS), "--", color=COOL, label="objective above its certified bound")
    _mark_temperatures(ax, found.study)
    _over_temperature(ax)
    ax.set(yscale="log", ylabel="nats", title="what the loss is above its bounds")
    ax.legend(frameon=False, fontsize=8)


def _over_temperature(ax: Axes) -> None:
    ax.set(xscale="log", xlabel="temperature tau")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _mark_temperatures(ax: Axes, study: EncoderStudy) -> None:
    is_one = study.star is not None and study.zero is not None and study.star.value == study.zero.value
    marks = ((study.star, "tau* = tau_0" if is_one else "tau*", "--"), (None if is_one else study.zero, "tau_0", ":"))
    for critical, name, style in marks:
        if critical is not None and 0 < critical.value < np.inf:
            ax.axvline(critical.value, color=INK, lw=0.9, ls=style, label=f"{name} = {critical.value:.4g}")


def _draw_similarities(ax: Axes, study: EncoderStudy) -> None:
    values = study.solution.similarity
    most = float(np.abs(values).max())
    image = ax.imshow(values, vmin=-most, vmax=most, cmap="RdBu_r", interpolation="nearest", aspect="auto")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.figure.colorbar(image, ax=ax, label="z.w")
    ax.set(xlabel="symbol j of the second modality", ylabel="symbol i of the first", title="similarities of these encoders")


def _draw_symbols(ax: Axes, study: EncoderStudy) -> None:
    """Along the difference of the centroids, where there is any, and the direction across it in which symbols are spread most."""
    solution, law = study.solution, study.law
    across = law.first @ solution.first - law.second @ solution.second
    rows = np.concatenate([solution.first, solution.second])
    weights = np.concatenate([law.first, law.second])
    length = float(np.linalg.norm(across))
    has_gap = length > _VISIBLE_GAP
    gap = across / length if has_gap else _spread(rows, weights)
    spread = _spread(rows - np.multiply.outer(rows @ gap, gap), weights)
    size = 300 * weights / weights.max() / max(len(rows) / 24, 1)
    for a, part in enumerate((slice(0, len(law.first)), slice(len(law.first), None))):
        x, y = rows[part] @ gap, rows[part] @ spread
        ax.scatter(x, y, size[part] + 6, color=modality_colour(a), alpha=0.6, lw=0, label=("first", "second")[a] + " modality")
        if max(law.table.shape) <= _MOST_NAMED:
            for index, place in enumerate(zip(x, y, strict=True)):
                ax.annotate(str(index), place, fontsize=7, ha="center", va="center")
    ax.set(
        xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", 
        xlabel="along the centroid gap" if has_gap else "leading direction", ylabel="leading direction across it",
        title=f"embedded symbols, {solution.dimension} dimensions",
    )  # fmt: skip
    ax.legend(frameon=False, fontsize=8, loc="upper right", markerscale=0.5)


def _spread(rows: Array, weights: Array) -> Array:
    _, _, directions = np.linalg.svd(rows * np.sqrt(weights)[:, None], full_matrices=False)
    return np.asarray(directions[0])


def _numbers(column: list[object]) -> Array:
    return np.array([np.nan if one is None else one for one in column], dtype=float)
