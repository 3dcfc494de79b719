"""Offset: where the modalities are. Centroids, their norms and the angle between them."""

from math import nan, sqrt

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric, exchanges, of_square
from fieldsolve.diagnose.statistics.estimate import Estimate
from fieldsolve.diagnose.statistics.matched import Matched

_LIANG = "Liang et al. 2022, arXiv 2203.02053"

DEFINITIONS = (
    Definition(
        "centroid_gap",
        "centroid gap",
        "|m_a - m_b|, m the mean of the unit rows; |m_a - m_b|^2 from pairs of strangers, without the noise of the means "
        "(plug_in: with it)",
        _LIANG,
        "How far apart the modalities' means are, from 0 to 2. Trained CLIP models have 0.7 to 1.0; 0.05 or less is closed.",
        in_picture=True,
        most=2.0,
    ),
    Definition(
        "centroid_cosine",
        "cosine of the centroids",
        "m_a.m_b/(|m_a| |m_b|), products from pairs of strangers",
        _LIANG,
        "1 if both means point the same way. With narrow modalities matched cosines cannot be far from this one times "
        "both norms.",
        least=-1.0,
        most=1.0,
    ),
    *(
        Definition(
            f"centroid_norm_{one}",
            f"norm of centroid {one}",
            f"|m_{one}|, its square from pairs of strangers",
            "mean resultant length, Mardia and Jupp 2000",
            "1 if all rows are the same, 0 if they balance: how narrow the modality's cone is. Trained CLIP models "
            "have 0.6 to 0.8.",
            moves=False,
            most=1.0,
        )
        for one in "ab"
    ),
)


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them. 2 E|x - y|^2 - E|x - x'|^2 - E|y - y'|^2 is twice the squared gap, and E|x - x'|^2 = 2 - 2 |m_a|^2."""
    squares = pooled.squares
    gap, across = 0.5 * pooled.contrast(squares), pooled.across(squares)
    within = [pooled.within(squares, side) for side in (0, 1)]
    plug_in = float(np.linalg.norm(pooled.cloud.shift))
    exchanged = exchanges(pooled, squares, pooled.centred_squares, 0.5)
    shuffled = gap.value + pooled.shuffled_across(squares, lambda square: square) - across.value
    found = {"centroid_gap": of_square(gap, exchanged, shuffled, plug_in, across.value)}
    norms = [_cosine(one) for one in within]
    found |= {f"centroid_norm_{letter}": of_square(one) for letter, one in zip("ab", norms, strict=True)}
    found["centroid_cosine"] = _angle(_cosine(across), *norms)
    return found


def _cosine(square: Estimate) -> Estimate:
    """The mean cosine from the mean squared distance of unit vectors."""
    return square.through(1 - square.value / 2, -0.5)


def _angle(product: Estimate, first: Estimate, second: Estimate) -> Metric:
    """product/sqrt(first second) [delta method]; nothing where a squared norm is lost in its noise."""
    if min(first.value, second.value) <= 0:
        return Metric(nan)
    length = sqrt(first.value * second.value)
    value = product.value / length
    change = (1 / length) * product - (value / 2 / first.value) * first - (value / 2 / second.value) * second
    low, high = change.through(value, 1.0).interval()
    return Metric(*(float(np.clip(one, -1.0, 1.0)) for one in (value, low, high)))


FAMILY = Family("offset", "Offset: where the modalities are", DEFINITIONS, measure)
