"""Cosines of partners, of strangers across, and within modalities."""

from dataclasses import replace

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.statistics.estimate import Estimate, quantile_interval
from fieldsolve.diagnose.statistics.matched import Matched

QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}

_TITLES = {"mean": "mean", "sd": "standard deviation", "p05": "5 % quantile", "p50": "median", "p95": "95 % quantile"}
_RADFORD = "Radford et al. 2021, arXiv 2103.00020"

DEFINITIONS = (
    *(
        Definition(
            f"cosine_matched_{suffix}",
            f"matched cosines, {title}",
            "x_i.y_i of matched rows",
            _RADFORD,
            "Matched cosines of trained CLIP models are 0.2 to 0.35. Their level means nothing without the unmatched ones.",
            least=0.0 if suffix == "sd" else -1.0,
            most=1.0,
        )
        for suffix, title in _TITLES.items()
    ),
    *(
        Definition(
            f"cosine_unmatched_{suffix}",
            f"unmatched cosines, {title}",
            "x_i.y_j of strangers" + ("" if suffix == "mean" else ", of at most 700 rows of each modality, without interval"),
            _RADFORD,
            "What matched cosines have to exceed; the mean is the product of the centroids.",
            least=-1.0,
            most=1.0,
        )
        for suffix, title in _TITLES.items()
    ),
    *(
        Definition(
            f"cosine_within_{one}_mean",
            f"mean cosine within {one}",
            f"E x.x' over strangers of {one}",
            "Ethayarajh 2019, arXiv 1909.00512",
            "The squared norm of the centroid: how narrow the cone is. Larger within than across is the modality gap seen in "
            "cosines.",
            moves=False,
            least=-1.0,
            most=1.0,
        )
        for one in "ab"
    ),
)


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them; cosines of unit vectors are 1 - r^2/2, and squared distances keep the digits where they are near 1."""
    rows, squares, shuffled = pooled.matching.partners[0], pooled.matching.squares, pooled.shuffled.squares
    across = pooled.mean(squares, rows)
    variance = pooled.mean((squares - across.value) ** 2, rows)
    found = {
        "cosine_matched_mean": of_estimate(across.through(1 - across.value / 2, -0.5), shuffled=1 - float(shuffled.mean()) / 2),
        "cosine_matched_sd": _spread(variance, float(shuffled.std()) / 2),
    }
    group = pooled.design.group_of_row[rows]
    for name, level in QUANTILES.items():
        value = quantile_interval(1 - squares / 2, group, pooled.design.groups, pooled.design.independent, level)
        control = float(np.quantile(1 - shuffled / 2, level, method="inverted_cdf"))
        found[f"cosine_matched_{name}"] = Metric(*value, shuffled=control)
    for name, estimate in (
        ("unmatched", pooled.across(pooled.squares)),
        ("within_a", pooled.within(pooled.squares, 0)),
        ("within_b", pooled.within(pooled.squares, 1)),
    ):
        found[f"cosine_{name}_mean"] = of_estimate(estimate.through(1 - estimate.value / 2, -0.5))
    control = pooled.shuffled_across(pooled.squares, lambda square: square)
    found["cosine_unmatched_mean"] = replace(found["cosine_unmatched_mean"], shuffled=1 - control / 2)
    found["cosine_unmatched_sd"] = Metric(float(pooled.strangers.std()))
    for name, level in QUANTILES.items():
        found[f"cosine_unmatched_{name}"] = Metric(float(np.quantile(pooled.strangers, level)))
    return found


def _spread(variance: Estimate, shuffled: float) -> Metric:
    """Half the root of the variance of squared distances, with an interval in its logarithm, where it is less skewed."""
    if variance.value == 0:
        return Metric(0.0, shuffled=shuffled)
    value = float(np.sqrt(variance.value)) / 2
    low, high = variance.through(float(np.log(value)), 0.5 / variance.value).interval()
    return Metric(value, float(np.exp(low)), float(np.exp(high)), shuffled=shuffled)


FAMILY = Family("cosines", "Cosines", DEFINITIONS, measure)
