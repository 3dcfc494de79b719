"""Pictures of remedies: one over its weight, and all side by side at equal cost of alignment."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fieldsolve.output.style import COOL, GREEN, GREY, INK, WARM
from fieldsolve.remedies.effect import Effect
from fieldsolve.remedies.states import States
from fieldsolve.remedies.study import Comparison, Study

_MARKERS = "osD^v<>Pp*"


def plot_study(found: Study) -> Figure:
    """A figure of a remedy: the weight that each degree needs, and, if there are any, its states over the weight."""
    return _plot_modes(found.effect) if found.states is None else _plot_states(found.effect, found.states)


def plot_comparison(found: Comparison) -> Figure:
    """A figure of all remedies: centroid gap and symmetric KL against the binding given up; without states, their weights."""
    traced = [one for one in found.studies if one.states is not None]
    return _plot_traces(traced) if traced else _plot_weights(found)


def _plot_modes(found: Effect) -> Figure:
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = figure.subplots()
    degrees, finite = np.arange(1, len(found.critical) + 1), np.isfinite(found.critical)
    axes.semilogy(degrees[finite], found.critical[finite], "o-", color=INK, label="weight that each degree needs")
    axes.axhline(found.weight, color=WARM, ls="--", label=f"weight {found.weight:.4g}")
    axes.set(xlabel="degree l", ylabel=found.remedy.unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    figure.suptitle(f"{_title(found)}\n{found.needed}", fontsize=10)
    return figure


def _plot_states(found: Effect, states: States) -> Figure:
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    columns = states.columns()
    left.plot(states.weights, columns["energy"], "o-", color=INK, label="lowest energy found")
    if all(one is not None for one in columns["bound"]):
        left.plot(states.weights, columns["bound"], "--", color=GREY, label="certified lower bound")
    left.set(ylabel="energy (nats)")
    left.legend(frameon=False)
    middle.plot(states.weights, columns["centroid_gap"], "o-", color=WARM, label="centroid gap")
    middle.set(ylabel="centroid gap, 0 to 2", ylim=(-0.05, 2.1))
    other = middle.twinx()
    other.plot(states.weights, columns["symmetric_kl"], "s-", color=COOL, label="symmetric KL (nats)")
    other.set(ylabel="symmetric KL (nats)", ylim=(-0.3, 1.05 * max(columns["symmetric_kl"]) + 0.1))
    middle.legend(handles=[*middle.get_lines(), *other.get_lines()], frameon=False)
    right.plot(states.weights, columns["alignment_cost"], "o-", color=GREEN)
    right.set(ylabel="binding given up (nats)")
    for axes in (left, middle, right):
        axes.set(xlabel=found.remedy.unit)
        if np.isfinite(found.centroid_weight):
            axes.axvline(found.centroid_weight, color=GREY, lw=0.9, ls=":")
    dotted = "\ndotted: from there on centroids of uniform densities stay together" if np.isfinite(found.centroid_weight) else ""
    figure.suptitle(f"{_title(found)}{dotted}")
    return figure


def _plot_traces(studies: list[Study]) -> Figure:
    figure = Figure(figsize=(12.5, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for index, one in enumerate(studies):
        states = one.states
        assert states is not None
        columns, marker = states.columns(), _MARKERS[index % len(_MARKERS)]
        for axes, name in ((left, "centroid_gap"), (right, "symmetric_kl")):
            axes.plot(states.cost, columns[name], marker=marker, ms=5, lw=1.0, color=f"C{index}", label=str(one.effect.remedy))
    left.set(ylabel="centroid gap, 0 to 2")
    right.set(ylabel="symmetric KL of the smoothed densities (nats)")
    for axes in (left, right):
        axes.set(xlabel="binding given up against CLIP's own state (nats)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center", frameon=False)
    kernel, dimension = studies[0].effect.kernel, studies[0].effect.dimension
    figure.suptitle(
        f"Remedies at equal cost of alignment, partners held still: each line from weight 0 on\n{kernel.critic} critic on "
        f"S^{dimension - 1}, tau = {kernel.tau:g}"
    )
    return figure


def _plot_weights(found: Comparison) -> Figure:
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(found.studies))[::-1]
    for name, colour, marker in (("centroid_weight", INK, "o"), ("whole_weight", WARM, "D")):
        weights = np.array([getattr(one.effect, name) for one in found.studies])
        finite = np.isfinite(weights)
        label = "centroids stay together" if name == "centroid_weight" else "no mode grows"
        axes.semilogx(
            weights[finite], places[finite], marker, color=colour, ms=8, mfc="none" if marker == "D" else colour, label=label
        )
    axes.set_yticks(places, [str(one.effect.remedy) for one in found.studies])
    axes.set(xlabel="weight from which on; none where there is no mark")
    axes.legend(frameon=False)
    kernel, dimension = found.studies[0].effect.kernel, found.studies[0].effect.dimension
    figure.suptitle(
        f"Weights that remedies need, partners held still\n{kernel.critic} critic on S^{dimension - 1}, tau = {kernel.tau:g}"
    )
    return figure


def _title(found: Effect) -> str:
    return f"{found.remedy.title}\n{found.kernel.critic} critic on S^{found.dimension - 1}, tau = {found.kernel.tau:g}"
