"""Figures of a diagnosis: cosines, metrics beside their noise levels, the sky with its potentials, equilibria, corruption."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fieldsolve.diagnose.corruption import Corruption
from fieldsolve.diagnose.diagnosis import Comparison
from fieldsolve.diagnose.freedom import Freedom
from fieldsolve.diagnose.measure import Measurement
from fieldsolve.diagnose.metrics.metric import Metric
from fieldsolve.diagnose.metrics.mixed import name_of
from fieldsolve.diagnose.metrics.table import definitions
from fieldsolve.diagnose.statistics.estimate import SIGNIFICANT
from fieldsolve.diagnose.theory import Place
from fieldsolve.embeddings.centring import TREATMENTS
from fieldsolve.numerics.arrays import Array
from fieldsolve.output.pictures import verbatim
from fieldsolve.output.style import GREY, INK, MODALITIES

_HEADROOM = 1.1  # of axes that begin at 0
_MARKED = 1000  # pairs drawn on the sky


def figures(comparison: Comparison) -> dict[str, Figure]:
    """All figures of a comparison by name."""
    names = verbatim(comparison.sample.first.name), verbatim(comparison.sample.second.name)
    found = {
        "cosines": plot_cosines(comparison.measurement, names),
        "mixed": plot_mixed(comparison.measurement, names),
        "metrics": plot_metrics(comparison.measurement),
    }
    if comparison.freedom is not None:
        found["freedom"] = plot_freedom(comparison.freedom, names)
    if comparison.place is not None:
        found |= {"sky": plot_sky(comparison.place, names), "equilibria": plot_equilibria(comparison.place)}
    if comparison.corruptions:
        found["corruption"] = plot_corruption(comparison.measurement, comparison.corruptions)
    return found


def plot_cosines(measured: Measurement, names: tuple[str, str]) -> Figure:
    """Distributions of cosines: partners, strangers across, and strangers within each modality."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    ax = figure.subplots()
    shown = (
        ("matched", "partners", INK),
        ("unmatched", "strangers across modalities", GREY),
        ("within_a", f"strangers within {names[0]}", MODALITIES[0]),
        ("within_b", f"strangers within {names[1]}", MODALITIES[1]),
    )
    values = [measured.cosines[key] for key, _, _ in shown]
    edges = np.linspace(min(float(one.min()) for one in values), max(float(one.max()) for one in values), 121)
    for one, (_, label, colour) in zip(values, shown, strict=True):
        density, _ = np.histogram(one, edges, density=True)
        ax.stairs(density, edges, color=colour, lw=1.6, label=f"{label}: mean {float(one.mean()):.3f}", fill=False)
        ax.stairs(density, edges, color=colour, alpha=0.15, fill=True)
    metrics = measured.metrics
    spread = metrics["cosine_unmatched_sd"].value
    away = metrics["cosine_matched_mean"].value - metrics["cosine_unmatched_mean"].value
    apart = f"{away / spread:.1f}" if spread > 0 else "no"
    claim = f"Partners stand out from strangers by {apart} standard deviations"
    ax.set(xlabel="cosine", ylabel="density", title=claim)
    ax.legend(frameon=False, fontsize=9)
    return figure


def plot_mixed(measured: Measurement, names: tuple[str, str]) -> Figure:
    """What queries of either modality find in one index of both, as it is and with means taken off."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for ax, figure_of, label in (
        (panels[0], "other_share_at_10", "other modality among the nearest ten"),
        (panels[1], "partner_median_rank", "partner's median rank"),
    ):
        for side, letter in enumerate("ab"):
            found = [measured.metrics[name_of(letter, treatment, figure_of)] for treatment in TREATMENTS]
            places = np.arange(len(TREATMENTS)) + 0.2 * (side - 0.5)
            values = np.array([one.value for one in found])
            ends = np.array([[one.ci_low, one.ci_high] for one in found], dtype=float).T
            away = np.abs(ends - values)
            shown = f"queries of {names[side]}"
            ax.errorbar(places, values, yerr=away, fmt="o", ms=6, capsize=3, color=MODALITIES[side], label=shown)
        ax.set(xticks=range(len(TREATMENTS)), xticklabels=["as it is", "means taken off", "standardised"], title=label)
        ax.grid(axis="y", color=GREY, lw=0.3)
    panels[0].set_ylim(bottom=-0.02)
    panels[1].set(yscale="log")
    panels[0].legend(frameon=False, fontsize=9)
    raw, centred = (
        " and ".join(f"{measured.metrics[name_of(letter, treatment, 'other_share_at_10')].value:.0%}" for letter in "ab")
        for treatment in ("raw", "centred")
    )
    figure.suptitle(f"One index of both: {raw} of the other modality among ten; {centred} with means taken off")
    return figure


def plot_freedom(freedom: Freedom, names: tuple[str, str]) -> Figure:
    """The same pairs at other gaps: the loss and recall, which stay, and the mixed index, which does not."""
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    panels = figure.subplots(1, 3)
    gaps = np.array([one.gap for one in freedom.moved])
    losses = np.array([one.loss for one in freedom.moved])
    panels[0].plot(gaps, losses, "o-", ms=4, color=INK)
    panels[0].set(title="loss (nats)", ylim=(0, 1.3 * max(float(losses.max()), 1e-3)))
    for side, name in enumerate(names):
        for ax, values in (
            (panels[1], [one.recall[side] for one in freedom.moved]),
            (panels[2], [one.median_rank[side] for one in freedom.moved]),
        ):
            ax.plot(gaps, values, "o-", ms=4, color=MODALITIES[side], label=f"queries of {name}")
    panels[1].set(title="recall at 1 across modalities", ylim=(0, 1.02))
    panels[2].set(title="partner's median rank in one index of both", yscale="log")
    for ax in panels:
        ax.axvline(freedom.gap, color=GREY, ls=":", lw=1)
        ax.axvspan(*freedom.window, color=GREY, alpha=0.12, lw=0)
        ax.set(xlabel="centroid gap", xlim=(-0.03, 2.0))
    panels[1].legend(frameon=False, fontsize=9)
    figure.suptitle(
        f"The same pairs at other gaps (this model: {freedom.gap:.2f}, dotted; shaded: within two directions of the embeddings)"
    )
    return figure


def plot_metrics(measured: Measurement) -> Figure:
    """Two-sample metrics, raw and centred, with intervals, beside the raw ones' noise levels."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    ax = figure.subplots()
    drawn = [one for one in definitions().values() if one.in_picture]
    for row, one in enumerate(drawn):
        raw, centred = measured.metrics[one.name], measured.metrics.get(f"{one.name}_centred")
        _draw_metric(ax, row - 0.14, raw, INK)
        if centred is not None:
            _draw_metric(ax, row + 0.14, centred, MODALITIES[0])
        if raw.noise_level is not None and raw.noise_level > 0:
            ax.plot(raw.noise_level, row - 0.14, "|", ms=14, color=GREY, mew=2)
    for marker, colour, label in (
        ("o", INK, "raw"),
        ("o", MODALITIES[0], "centred"),
        ("|", GREY, "noise level of raw ones: one exchange in twenty is above"),
    ):
        ax.plot([], [], marker, color=colour, label=label)
    ax.set(
        xscale="log",
        yticks=range(len(drawn)),
        yticklabels=[one.title.replace("^2", "$^2$") for one in drawn],
        xlabel="value (log scale; values at or below 0 are left out)",
    )
    ax.invert_yaxis()
    ax.grid(axis="x", color=GREY, lw=0.3)
    p = measured.metrics["energy_distance"].p_value
    said = (
        f"{measured.offset_share:.1%} of their energy distance is offset"
        if p is None or p <= SIGNIFICANT
        else "no more than noise"
    )
    ax.set_title(f"How far the modalities differ: {said}")
    ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    return figure


def _draw_metric(ax: Axes, at: float, metric: Metric, colour: str) -> None:
    if metric.value <= 0:
        return
    ax.plot(metric.value, at, "o", ms=5, color=colour)
    if metric.ci_low is not None and metric.ci_high is not None and metric.ci_high > 0:
        ax.plot([max(metric.ci_low, 1e-3 * metric.value), metric.ci_high], [at, at], color=colour, lw=1.5)


def plot_sky(place: Place, names: tuple[str, str]) -> Figure:
    """Observed densities, directional potentials and effective potentials on the sphere of the three leading directions."""
    figure = Figure(figsize=(15, 7.6), layout="constrained")
    axes = figure.subplots(2, 3, subplot_kw={"projection": "mollweide"})
    for a, name in enumerate(names):
        fields: list[tuple[str, Array, str]] = [
            (f"density of {name}", np.log10(place.density[a]), "log10 of density, 1 = uniform"),
            (f"potential of {name}: -cosine to its partners", place.potentials[a], "U (low attracts)"),
            (
                f"effective potential of {name}",
                place.effective_potentials[a],
                "V = U/tau + log density of the other (low attracts)",
            ),
        ]
        for ax, (title, field, label) in zip(axes[a], fields, strict=True):
            place.grid.sky(ax, field, label, cmap="magma" if "density of" in title else "cividis")
            ax.set_title(title, color=MODALITIES[a] if "density of" in title else "black", fontsize=11)
            for b in range(2):
                points = place.pairs.points[b][:_MARKED]
                ax.scatter(*_places(place, points), s=3, color=MODALITIES[b], alpha=0.6, lw=0)
        for at, marker in ((0, "o"), (-1, "X")):
            where = place.equilibrium_centroids[at, a] / np.linalg.norm(place.equilibrium_centroids[at, a])
            axes[a, 2].scatter(
                *_places(place, where[None]),
                s=90,
                marker=marker,
                facecolor=MODALITIES[a],
                edgecolor="white",
                label=f"equilibrium at coupling {place.couplings[at]:g}",
            )
        axes[a, 2].legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2, frameon=False)
    figure.suptitle(
        f"{place.pairs_used} pairs on the sphere of the three leading directions, which hold "
        f"{place.pairs.retained_fraction:.1%} of the squared length; tau = {place.tau:g}"
    )
    return figure


def _places(place: Place, points: Array) -> tuple[Array, Array]:
    found = place.grid.places(points)
    assert found is not None
    return found


def plot_equilibria(place: Place) -> Figure:
    """What the data's own potentials lead to at every coupling, where the sample stands, and what a penalty would do."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    for ax, values, observed, what in (
        (panels[0], place.equilibrium_gaps, place.centroid_gap, "centroid gap"),
        (panels[1], place.equilibrium_kls, place.symmetric_kl, "symmetric KL (nats)"),
    ):
        ax.plot(place.couplings, values, "o-", ms=4, color=INK, label="equilibrium (certified)")
        ax.axhline(observed, color=MODALITIES[0], ls="--", label=f"observed: {observed:.3g}")
        ax.set(ylabel=what, title=what)
    panels[2].plot(place.couplings, place.excess, "o-", ms=4, color=INK, label="observed energy - equilibrium's")
    panels[2].set(ylabel="nats", title="how far above equilibrium the sample is")
    for ax in panels:
        ax.set_ylim(0, _HEADROOM * ax.get_ylim()[1])
        if 0 < place.transitions.binodal < 1:
            ax.axvline(place.transitions.binodal, color=GREY, lw=0.8, ls=":", label=f"binodal {place.transitions.binodal:.3g}")
        ax.set(xlabel="coupling lambda (1 is CLIP)", xlim=(-0.02, 1.02))
        upper = ax.secondary_xaxis("top", functions=(lambda x: 1 - x, lambda x: 1 - x))
        upper.set_xlabel("penalty beta = 1 - lambda on the symmetric KL", fontsize=9)
        ax.legend(frameon=False, fontsize=8)
    figure.suptitle(
        f"The sample's centroid gap is {place.centroid_gap:.3g}; equilibria of its own potentials have "
        f"{place.equilibrium_gaps.min():.3g} to {place.equilibrium_gaps.max():.3g}\n"
        f"on the sphere of its three leading directions, intrinsic energy, tau = {place.tau:g}, floor = {place.floor:g}"
    )
    return figure


def plot_corruption(measured: Measurement, corruptions: tuple[Corruption, ...]) -> Figure:
    """Retrieval and distributional metrics as partners are replaced, each distance on an axis of its own."""
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    distances = ("centroid_gap", "energy_distance", "mmd2_one", "sliced_w2")
    panels = figure.subplot_mosaic([["retrieval", *distances[:2]], ["retrieval", *distances[2:]]], width_ratios=[2, 1, 1])
    chances = np.array([0.0, *(one.probability for one in corruptions)])
    order = np.argsort(chances, kind="stable")
    tables = [measured.metrics, *(one.measurement.metrics for one in corruptions)]
    recalls = ("recall_a_to_b_at_1", "recall_b_to_a_at_1", "recall_a_to_b_at_10", "recall_b_to_a_at_10")
    for title, shown in {"retrieval": recalls, **{name: (name,) for name in distances}}.items():
        ax = panels[title]
        for index, name in enumerate(shown):
            found = [tables[k][name] for k in order]
            values = np.array([one.value for one in found])
            low = np.array([one.value if one.ci_low is None else one.ci_low for one in found])
            high = np.array([one.value if one.ci_high is None else one.ci_high for one in found])
            colour = MODALITIES[index]
            ax.plot(chances[order], values, "o-", ms=4, color=colour, label=name.replace("_", " "))
            ax.fill_between(chances[order], low, high, color=colour, alpha=0.2, lw=0)
        ax.set(title=title.replace("_", " "), ylim=(min(0, ax.get_ylim()[0]), _HEADROOM * ax.get_ylim()[1]))
    panels["retrieval"].legend(frameon=False, fontsize=8)
    figure.supxlabel("probability that a partner is replaced", fontsize=10)
    figure.suptitle(_claim(tables[order[0]], tables[order[-1]], float(chances[order[-1]]), distances))
    return figure


def _claim(first: dict[str, Metric], last: dict[str, Metric], chance: float, distances: tuple[str, ...]) -> str:
    """What replaced partners changed: retrieval if it fell by about their share, distances if their intervals came apart."""
    before, after = (one["recall_a_to_b_at_10"].value for one in (first, last))
    apart = [
        one
        for one in distances
        if (first[one].ci_low or 0) > (last[one].ci_high or 0) or (last[one].ci_low or 0) > (first[one].ci_high or 0)
    ]
    said = "Retrieval follows the partners" if after <= before * (1 - chance / 2) else "Retrieval hardly follows the partners"
    moved = ", ".join(apart).replace("_", " ") or "none of these distances"
    return f"{said}; {moved} {'move' if len(apart) > 1 else 'moves'}"
