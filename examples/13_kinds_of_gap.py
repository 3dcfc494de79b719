"""Offset or shape: two modalities can be apart in two ways, and only one of them shows in the centroids.

Four pairs of modalities are made on the sphere S^15, each with partners that share their content: one with nothing between
them, one that is a pure offset, one with a different shape around the same centroid, and one with both. The diagnosis tells
them apart: the centroid gap sees offsets only, centred distances see shapes only, and none of it says anything about retrieval.
"""

import numpy as np
from matplotlib.figure import Figure

from fieldsolve.diagnose import Metric
from fieldsolve.diagnose.diagnosis import diagnose
from fieldsolve.embeddings.modality import modality

PAIRS, DIMENSION, OFFSET, TAU = 300, 16, 0.4, 0.1
KINDS = ("nothing", "offset", "shape", "both")


def directions(content: np.ndarray, flat: bool, noise: np.random.Generator) -> np.ndarray:
    """Unit vectors across the axis of the offset; flat: with a few components shrunk, which leaves their mean at 0."""
    rows = content + 0.25 * noise.standard_normal(content.shape)
    rows *= np.where(np.arange(content.shape[1]) < 5, 0.4, 1.0) if flat else 1.0
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def at_height(rows: np.ndarray, height: float) -> np.ndarray:
    """The same directions on the sphere's circle of latitude at a height along the axis."""
    return np.column_stack([np.full(len(rows), height), np.sqrt(1 - height**2) * rows])


def solve() -> dict[str, dict[str, Metric]]:
    found = {}
    for kind in KINDS:
        rng = np.random.default_rng(2)
        content = rng.standard_normal((PAIRS, DIMENSION - 1))
        offset = OFFSET if kind in ("offset", "both") else 0.0
        first = at_height(directions(content, False, rng), offset)
        second = at_height(directions(content, kind in ("shape", "both"), rng), -offset)
        diagnosis = diagnose(modality("first", first), modality("second", second), tau=TAU, exchanges=199)
        found[kind] = diagnosis.comparisons[0].measurement.metrics
    return found


def check(found: dict[str, dict[str, Metric]]) -> None:
    for kind, metrics in found.items():
        has_offset, has_shape = kind in ("offset", "both"), kind in ("shape", "both")
        assert (metrics["centroid_gap"].p_value == 1 / 200) == has_offset
        for name in ("energy_distance_centred", "mmd2_half_centred", "sliced_w2_centred"):
            assert (metrics[name].p_value == 1 / 200) == has_shape
        if has_offset:
            # Along the axis the rows differ by twice the height, exactly; across it only by the noise of their mean.
            assert abs(metrics["centroid_gap"].value - 2 * OFFSET) < 0.01
            assert metrics["linear_separability"].value == 1
        # Retrieval hardly knows of it: an offset that all rows share moves all cosines alike.
        assert metrics["recall_a_to_b_at_1"].value > 0.9
    assert abs(found["offset"]["recall_a_to_b_at_1"].value - found["nothing"]["recall_a_to_b_at_1"].value) < 1e-12


def plot(found: dict[str, dict[str, Metric]]) -> Figure:
    names = ("centroid_gap", "energy_distance", "energy_distance_centred", "recall_a_to_b_at_1")
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for ax, name in zip(figure.subplots(1, len(names)), names, strict=True):
        metrics = [found[kind][name] for kind in KINDS]
        ax.bar(KINDS, [metric.value for metric in metrics], color=["#999999", "#D55E00", "#56B4E9", "#009E73"])
        for k, metric in enumerate(metrics):
            ax.plot([k, k], [metric.ci_low, metric.ci_high], color="black", lw=1.5)
            if metric.p_value is not None:
                ax.text(k, max(metric.value, 0.0), f"p = {metric.p_value:.2g}", ha="center", va="bottom", fontsize=8)
        ax.set_title(name.replace("_", " "), fontsize=10)
        ax.margins(y=0.15)
    return figure


if __name__ == "__main__":
    results = solve()
    check(results)
    for kind, metrics in results.items():
        gap, centred = metrics["centroid_gap"], metrics["energy_distance_centred"]
        print(f"{kind:8} centroid gap {gap.value:.3f} (p = {gap.p_value:.3g}), centred energy distance p = {centred.p_value:.3g}")
    plot(results).savefig("13_kinds_of_gap.png", dpi=110)
