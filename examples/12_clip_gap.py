"""CLIP's modality gap, measured: training aligns partners, and leaves the gap.

    python examples/12_clip_gap.py TRAINED.npy UNTRAINED.npy

Each file holds matched embeddings (2, n, d). A randomly initialised CLIP has its modalities in two narrow cones that are
apart, and finds no partner. Training widens the cones and finds half the partners at rank 1, and the cones are still apart:
nearly all of the difference between the modalities is an offset. Retrieval can improve while the gap stays.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.diagnose import Comparison
from fieldsolve.embeddings.files import read_modalities

DATA = Path(__file__).parents[2] / "shared" / "data"
FILES = (DATA / "features_clip.npy", DATA / "features_clip_random.npy")
TAU = 0.01


@dataclass
class Result:
    trained: Comparison
    untrained: Comparison


def available() -> bool:
    return all(path.exists() for path in FILES)


def solve(files: tuple[Path, ...] = FILES) -> Result:
    found = [fs.diagnose(*read_modalities((path,)), tau=TAU, exchanges=199).comparisons[0] for path in files]
    return Result(*found)


def check(result: Result) -> None:
    for comparison, gap, forth, back in ((result.trained, 0.851, 0.552, 0.506), (result.untrained, 1.135, 0.002, 0.002)):
        metrics = comparison.measurement.metrics
        assert abs(metrics["centroid_gap"].value - gap) < 5e-4
        assert abs(metrics["recall_a_to_b_at_1"].value - forth) < 1e-9
        assert abs(metrics["recall_b_to_a_at_1"].value - back) < 1e-9
        # The gap is no noise: no exchange of partners reaches it, and it is an order of magnitude above its noise level.
        assert metrics["centroid_gap"].p_value == 1 / 200
        assert metrics["centroid_gap"].value > 10 * (metrics["centroid_gap"].noise_level or 0.0)
        assert metrics["linear_separability"].value == 1
    # It is an offset: without it, less than one hundredth of the energy distance is left.
    trained = result.trained.measurement.metrics
    assert trained["energy_distance_centred"].value < 0.01 * trained["energy_distance"].value
    # What is said of them is that, first of all.
    assert result.trained.verdict.findings[0].code == "offset"
    assert result.untrained.verdict.findings[0].code == "order"


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    names = ("centroid_gap", "energy_distance", "recall_a_to_b_at_1", "recall_b_to_a_at_1")
    for shift, (label, one, colour) in enumerate(
        (("trained", result.trained, "#D55E00"), ("untrained", result.untrained, "#56B4E9"))
    ):
        metrics = [one.measurement.metrics[name] for name in names]
        lows = [metric.value - (metric.ci_low or 0.0) for metric in metrics]
        highs = [(metric.ci_high or 0.0) - metric.value for metric in metrics]
        at = [k + 0.36 * shift for k in range(len(names))]
        panels[0].bar(at, [metric.value for metric in metrics], 0.34, yerr=[lows, highs], capsize=3, color=colour, label=label)
        panels[1].hist(one.measurement.cosines["matched"], 40, density=True, color=colour, alpha=0.6, label=f"partners, {label}")
        strangers = one.measurement.cosines["unmatched"]
        panels[1].hist(strangers, 80, density=True, histtype="step", color=colour, label=f"strangers, {label}")
    panels[0].set_xticks([k + 0.18 for k in range(len(names))], [name.replace("_", " ") for name in names], fontsize=8)
    panels[0].set(title="the gap stays, retrieval comes", ylabel="value, with 95 % interval")
    panels[1].set(title="training lifts partners above strangers", xlabel="cosine across modalities", ylabel="density")
    for ax in panels:
        ax.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    if len(sys.argv) != 3 and not available():
        sys.exit(
            "give two files of matched embeddings of shape (2, n, d): python examples/12_clip_gap.py TRAINED.npy UNTRAINED.npy"
        )
    result = solve(tuple(map(Path, sys.argv[1:3])) if len(sys.argv) == 3 else FILES)
    for comparison in (result.trained, result.untrained):
        print("\n".join([comparison.verdict.summary, *comparison.verdict.sentences]), end="\n\n")
    if len(sys.argv) != 3:
        check(result)
    plot(result).savefig("12_clip_gap.png", dpi=110)
