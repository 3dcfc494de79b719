"""Alignment of partners and uniformity of modalities, and the gap relative to both."""

from dataclasses import replace

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.statistics.estimate import Estimate, mean
from fieldsolve.diagnose.statistics.pairwise import UNIFORMITY
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.numerics.arrays import Rows

_WANG = "Wang and Isola 2020, arXiv 2005.10242"

DEFINITIONS = (
    Definition(
        "alignment",
        "alignment across",
        "E|x - y|^2 of matched rows = 2 - 2 (mean matched cosine)",
        _WANG,
        "0 if partners coincide. Trained CLIP models have 1.3 to 1.6.",
        least=0.0,
        most=4.0,
    ),
    *(
        Definition(
            f"alignment_within_{one}",
            f"alignment within {one}",
            f"E|z - z'|^2 of different rows of {one} of one cluster",
            _WANG,
            "How close five captions of one image are, say; only for many-to-one matchings and copies.",
            moves=False,
            least=0.0,
            most=4.0,
        )
        for one in "ab"
    ),
    *(
        Definition(
            f"uniformity_{one}",
            f"uniformity of {one}",
            f"log E exp(-2 |z - z'|^2) over strangers of {one}",
            _WANG,
            "-4 for a uniform density in many dimensions (exp(-2 |z - z'|^2) at distance sqrt(2)), 0 for a point. Lower is more "
            "spread.",
            moves=False,
            most=0.0,
        )
        for one in "ab"
    ),
    Definition(
        "uniformity_across",
        "uniformity across",
        "log E exp(-2 |x - y|^2) over strangers across modalities",
        _WANG,
        "As within, between modalities: lower than within is the gap.",
        most=0.0,
    ),
    Definition(
        "relative_modality_gap",
        "relative modality gap",
        "p/(p + w), p = E(1 - x.y)/2 of matched rows, w = the mean of E(1 - z.z')/2 over strangers within both modalities",
        "Schrodi et al. 2024, arXiv 2404.07983",
        "Partners' distance as a share of itself plus the distance of strangers within a modality. Well below 0.5: partners are "
        "closer than strangers; above 0.5: even partners are farther than strangers of one modality.",
        least=0.0,
        most=1.0,
    ),
)


def measure(pooled: Pooled, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    matched, control = pooled.mean(pooled.matching.squares, pooled.matching.partners[0]), float(pooled.shuffled.squares.mean())
    within = 0.5 * (pooled.within(pooled.squares, 0) + pooled.within(pooled.squares, 1))
    whole = control + within.value
    found = {
        "alignment": of_estimate(matched, shuffled=control),
        "relative_modality_gap": replace(of_estimate(_share(matched, within)), shuffled=control / whole if whole > 0 else 0.0),
    }
    sums = pooled.passed.kernels[UNIFORMITY]
    kernel = pooled.shuffled_across(sums, lambda squares: np.exp(-2 * squares))
    for name, estimate, shuffled in (
        ("across", pooled.across(sums), float(np.log(kernel))),
        ("a", pooled.within(sums, 0), None),
        ("b", pooled.within(sums, 1), None),
    ):
        logarithm = estimate.through(float(np.log(estimate.value)), 1 / estimate.value)
        found[f"uniformity_{name}"] = of_estimate(logarithm, shuffled=shuffled)
    for side, letter in enumerate("ab"):
        own = _within_clusters(pooled, side)
        if own is not None:
            found[f"alignment_within_{letter}"] = of_estimate(own)
    return found


def _share(part: Estimate, other: Estimate) -> Estimate:
    """part/(part + other) [delta method]."""
    whole = part.value + other.value
    if whole == 0:
        return Estimate(0.0, np.zeros_like(part.single))
    change = (other.value / whole**2) * part - (part.value / whole**2) * other
    return change.through(part.value / whole, 1.0)


def _within_clusters(pooled: Pooled, side: int) -> Estimate | None:
    """E|z - z'|^2 over ordered pairs of rows of one modality and one cluster, None where there are none.

    Over a cluster of c rows their sum is 2 c times the sum of squared distances from their mean.
    """
    design, cloud = pooled.design, pooled.cloud
    part = cloud.parts[side]
    order = np.argsort(design.cluster[part], kind="stable")
    starts = np.flatnonzero(np.diff(design.cluster[part][order], prepend=-1))
    counts = np.diff(np.append(starts, len(order)))
    if counts.max() < 2:
        return None
    several = np.flatnonzero(counts > 1)
    squares = np.array(
        [_scatter(cloud.rows[part][order[a : a + n]]) for a, n in zip(starts[several], counts[several], strict=True)]
    )
    group = design.group_of_row[part][order[starts[several]]]
    counts = counts[several].astype(float)
    sums = [np.bincount(group, values, design.groups) for values in (2 * counts * squares, counts * (counts - 1))]
    return mean(sums[0], sums[1])


def _scatter(rows: Rows) -> float:
    return float(np.sum((rows - rows.mean(axis=0, dtype=np.float64)) ** 2))


FAMILY = Family("alignment", "Alignment and uniformity", DEFINITIONS, measure)
