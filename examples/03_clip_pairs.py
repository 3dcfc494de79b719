"""Real pairs: where CLIP's image and caption embeddings sit, and where the theory says their potentials pull them.

    python examples/03_clip_pairs.py FEATURES.npy

The file holds matched embeddings (2, n, d). They are projected on their three leading directions; the potential of
each modality is minus the mean cosine to the partner [Def 4.1]. Without coupling the two equilibria face each other
across the gap: each modality is pulled to where its partners are. With full coupling they collapse to single pixels.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.embeddings.pairs import Pairs, read_pairs

TAU, FLOOR = 0.1, 1e-3
FEATURES = Path(__file__).parents[2] / "shared" / "data" / "features_clip.npy"


@dataclass
class Result:
    pairs: Pairs
    observed_gap: float
    free: fs.Solution
    coupled: fs.Solution


def available() -> bool:
    return FEATURES.exists()


def solve(path: Path = FEATURES) -> Result:
    pairs = read_pairs((path,))
    centroids = pairs.points.mean(axis=1)
    problem = fs.Problem(pairs.potentials(), TAU, FLOOR, coupling=0.0, nside=64)
    free, coupled = problem.solve(), problem.at("coupling", 1.0).solve()
    return Result(pairs, float(np.linalg.norm(centroids[0] - centroids[1])), free, coupled)


def check(result: Result) -> None:
    assert 0.5 < result.pairs.retained_fraction < 0.6
    assert result.observed_gap > 1
    centroids = result.pairs.points.mean(axis=1)
    for solution in (result.free, result.coupled):
        assert solution.converged
        assert solution.gap is not None
        assert abs(solution.gap) < 1e-11
    # Each modality's own equilibrium sits where the other modality is.
    assert np.all(np.sum(result.free.centroids * centroids[::-1], axis=1) > np.sum(result.free.centroids * centroids, axis=1))


def plot(result: Result) -> Figure:
    return fs.plot(result.free)


if __name__ == "__main__":
    if len(sys.argv) < 2 and not available():
        sys.exit("give a file of matched embeddings of shape (2, n, d): python examples/03_clip_pairs.py FEATURES.npy")
    found = solve(Path(sys.argv[1]) if len(sys.argv) > 1 else FEATURES)
    check(found)
    print(f"retained fraction {found.pairs.retained_fraction:.3f}, observed centroid gap {found.observed_gap:.3f}")
    for solution in (found.free, found.coupled):
        print(f"coupling {solution.coupling:g}: centroid gap {solution.centroid_gap:.3f}, D = {solution.symmetric_kl:.2f}")
    plot(found).savefig("03_clip_pairs.png", dpi=110)
