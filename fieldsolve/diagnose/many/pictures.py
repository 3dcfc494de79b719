"""Pictures of runs side by side: metrics with intervals, gap against retrieval, and both over the steps of training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fieldsolve.diagnose.many.series import Entry, Series
from fieldsolve.output.pictures import verbatim
from fieldsolve.output.style import GREY, INK, modality_colour

_SHOWN = (
    "centroid_gap",
    "recall_a_to_b_at_1",
    "recall_b_to_a_at_1",
    "mixed_a_raw_other_share_at_10",
    "mixed_a_centred_other_share_at_10",
    "debiased_cka",
)
_NAMED = 12  # runs whose points have their names beside them


def figures(series: Series) -> dict[str, Figure]:
    """metrics; gap_and_retrieval of three runs and more; steps where two or more have any."""
    found = {"metrics": plot_metrics(series)}
    if len(series.entries) > 2:
        found["gap_and_retrieval"] = plot_gap_and_retrieval(series)
    if len({one.step for one in series.entries if one.step is not None}) > 1:
        found["steps"] = plot_steps(series)
    return found


def plot_metrics(series: Series) -> Figure:
    """One panel a metric, one line a run, with 95 % intervals."""
    entries = series.entries
    figure = Figure(figsize=(15, 2.2 + 0.32 * len(entries)), layout="constrained")
    shown = [name for name in _SHOWN if name in series.names]
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for ax, name in zip(panels, shown, strict=True):
        for at, entry in enumerate(entries):
            found = series.difference(entry, name)
            is_sure = found is not None and found.is_sure
            _bar(ax, at, entry, name, modality_colour(0) if is_sure else GREY if found else INK)
        ax.set_title(name.replace("mixed_a_", "mixed a, ").replace("_", " "), fontsize=9)
        ax.grid(axis="x", color=GREY, lw=0.3)
    panels[0].set(yticks=range(len(entries)), yticklabels=[verbatim(one.label) for one in entries])
    panels[0].invert_yaxis()
    figure.suptitle(
        f"{len(entries)} runs: coloured where the 95 % interval of the difference to {verbatim(series.against)} excludes 0"
    )
    return figure


def _bar(ax: Axes, at: float, entry: Entry, name: str, colour: str) -> None:
    metric = entry.metrics.get(name)
    if metric is None or metric["value"] is None:
        return
    ax.plot(metric["value"], at, "o", ms=5, color=colour)
    if metric["ci_low"] is not None:
        ax.plot([metric["ci_low"], metric["ci_high"]], [at, at], color=colour, lw=1.5)


def plot_gap_and_retrieval(series: Series) -> Figure:
    """The centroid gap against recall at 1, one point a run, with the rank correlation [the paper's final Fig. 7a]."""
    figure = Figure(figsize=(7.5, 5.6), layout="constrained")
    ax = figure.subplots()
    for at, entry in enumerate(series.entries):
        gap, recall = entry.place
        metric = entry.metrics["centroid_gap"]
        recalls = [entry.metrics[f"recall_{way}_at_1"] for way in ("a_to_b", "b_to_a")]
        ax.plot([metric["ci_low"], metric["ci_high"]], [recall, recall], color=GREY, lw=1)
        ax.plot([gap, gap], [np.mean([one[end] for one in recalls]) for end in ("ci_low", "ci_high")], color=GREY, lw=1)
        ax.plot(gap, recall, "o", color=modality_colour(entry.pair), ms=6)
        if len(series.entries) <= _NAMED:
            offset = (6, 6 if at % 2 else -12)
            ax.annotate(verbatim(entry.label), (gap, recall), textcoords="offset points", xytext=offset, fontsize=8)
    found = series.correlation
    said = "too few runs for a rank correlation" if found is None else f"rank correlation {found.value:.2f}"
    ax.set(xlabel="centroid gap", ylabel="recall at 1, mean of both directions", title=f"Gap and retrieval of runs: {said}")
    ax.margins(0.12)
    return figure


def plot_steps(series: Series) -> Figure:
    """Gap, recall and the mixed index over the steps of training, with 95 % intervals."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    shown = (
        ("centroid gap", ("centroid_gap",)),
        ("recall at 1", ("recall_a_to_b_at_1", "recall_b_to_a_at_1")),
        ("other modality among ten, one index of both", ("mixed_a_raw_other_share_at_10", "mixed_a_centred_other_share_at_10")),
    )
    entries = sorted((one for one in series.entries if one.step is not None and one.pair == 0), key=lambda one: one.step or 0)
    steps = np.array([one.step for one in entries], dtype=float)
    for ax, (title, names) in zip(panels, shown, strict=True):
        for index, name in enumerate(names):
            values, low, high = (
                np.array([one.metrics[name][end] for one in entries], dtype=float) for end in ("value", "ci_low", "ci_high")
            )
            colour = modality_colour(index)
            ax.plot(steps, values, "o-", ms=4, color=colour, label=name.replace("_", " "))
            ax.fill_between(steps, low, high, color=colour, alpha=0.2, lw=0)
        ax.set(title=title, xlabel="step", ylim=(min(0, ax.get_ylim()[0]), None))
        ax.legend(frameon=False, fontsize=8)
    gaps = [entries[k].metrics["centroid_gap"]["value"] for k in (0, -1)]
    recalls = [entries[k].recall for k in (0, -1)]
    figure.suptitle(
        f"From step {steps[0]:g} to {steps[-1]:g} the centroid gap goes from {gaps[0]:.3g} to {gaps[1]:.3g}, recall at 1 from "
        f"{recalls[0]:.3g} to {recalls[1]:.3g}"
    )
    return figure
