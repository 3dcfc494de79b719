"""Move the gap of embeddings to where one wants it, without changing a single cross-modal ranking.

    python examples/16_move_gap.py [FEATURES.npy]

The file holds matched embeddings (2, n, d); without one CLIP's features are taken where they are, or made embeddings. A map is
fitted on one half of the pairs and applied to the other: similarities across modalities are the old ones plus one constant,
retrieval is the same pair by pair, and in a search index that holds both modalities partners are found among rows of their own
kind. Subtracting the means does the last too, but moves rankings.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.embeddings.pools import Search, search
from fieldsolve.numerics.arrays import Array

DATA = Path(__file__).parents[2] / "shared" / "data" / "features_clip.npy"


@dataclass
class Result:
    is_clip: bool
    gap_map: fs.GapMap
    change: Array  # of similarities across modalities, held out
    gaps: dict[str, float]
    found: dict[str, Search]


def features(path: Path | None) -> Array:
    """Matched unit rows (2, n, d)."""
    if path is not None:
        rows = np.load(path).astype(float)
    else:
        rng = np.random.default_rng(0)
        content = rng.standard_normal((800, 64))
        rows = np.stack([content + 0.7 * rng.standard_normal((800, 64)) + 2 * rng.standard_normal(64) for _ in (0, 1)])
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def solve(path: Path | None = None) -> Result:
    path = DATA if path is None and DATA.exists() else path
    first, second = features(path)
    half = len(first) // 2
    gap_map = fs.move_gap(first[:half], second[:half], to="min")
    held = first[half:], second[half:]
    moved = gap_map.first(held[0]), gap_map.second(held[1])
    centred = [rows - fitted[:half].mean(axis=0) for rows, fitted in zip(held, (first, second), strict=True)]
    centred = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in centred]
    kinds = {"as they are": held, "moved": moved, "means subtracted": (centred[0], centred[1])}
    return Result(
        is_clip=path == DATA,
        gap_map=gap_map,
        change=moved[0] @ moved[1].T - held[0] @ held[1].T,
        gaps={name: float(np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))) for name, (a, b) in kinds.items()},
        found={name: search(a, b) for name, (a, b) in kinds.items()},
    )


def check(result: Result) -> None:
    before, moved, centred = (result.found[name] for name in ("as they are", "moved", "means subtracted"))
    np.testing.assert_array_equal(before.rank, moved.rank)
    assert np.ptp(result.change) < 1e-12
    assert result.gaps["moved"] < 0.5 * result.gaps["as they are"]
    assert moved.median_rank < 0.2 * before.median_rank
    assert np.any(centred.rank != before.rank)
    if result.is_clip:
        assert result.gaps["moved"] < 0.09
        assert before.median_rank >= 247
        assert moved.median_rank <= 13


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    names, colours = list(result.found), ["#999999", "#D55E00", "#56B4E9"]
    panels = {
        "centroid gap": [result.gaps[name] for name in names],
        "queries whose ranking of the other modality moves (%)": [
            100 * float(np.mean(result.found[name].rank != result.found["as they are"].rank)) for name in names
        ],
        "partner's median rank in a pool of both": [result.found[name].median_rank for name in names],
    }
    for ax, (title, values) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        bars = ax.bar(names, values, color=colours)
        ax.bar_label(bars, fmt="%.3g")
        ax.set_title(title, fontsize=9)
        ax.margins(y=0.15)
    return figure


if __name__ == "__main__":
    result = solve(Path(sys.argv[1])) if len(sys.argv) > 1 else solve()
    low, high = result.gap_map.window
    before, after = result.gap_map.before, result.gap_map.centroid_gap
    print(f"window of gaps [{low:.4f}, {high:.4f}]; fitted at {before:.4f}, taken to {after:.4f}")
    for name, one in result.found.items():
        print(f"{name}: gap {result.gaps[name]:.4f}, recall {one.recall:.3f}, median rank in a pool of both {one.median_rank:g}")
    if len(sys.argv) == 1:
        check(result)
    plot(result).savefig("16_move_gap.png", dpi=110)
