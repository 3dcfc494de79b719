"""Shape: whether the modalities are alike but for the offset. Distances and divergences with the own centroids taken off."""

from dataclasses import replace

import numpy as np

from fieldsolve.diagnose.metrics.distribution import BONNEEL, GAUSSIANS, GRETTON, SZEKELY, with_bandwidth
from fieldsolve.diagnose.metrics.divergence import THEORY
from fieldsolve.diagnose.metrics.metric import FEWER, Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.statistics import entropies, recentred
from fieldsolve.diagnose.statistics.estimate import Estimate, noise_level, p_value
from fieldsolve.diagnose.statistics.pairwise import DISTANCE
from fieldsolve.diagnose.statistics.pooled import Pooled

_SHIFTED = (
    "of the modalities with their own centroids taken off: what differs besides the offset. Centring uses up noise; what it "
    "costs on average in exchanges is taken off (plug_in: with it). The p-value is from clusters of at most 512 rows."
)

DEFINITIONS = (
    *(
        Definition(
            f"{name}_centred",
            f"{title}, centred",
            f"{name} of x - m_a and y - m_b{', same bandwidths' if name[0] == 'm' else ''}",
            source,
            f"The same {_SHIFTED}",
        )
        for name, title, source in (
            ("energy_distance", "energy distance", SZEKELY),
            ("mmd2_half", "MMD^2, bandwidth 0.5", GRETTON),
            ("mmd2_one", "MMD^2, bandwidth 1", GRETTON),
            ("mmd2_double", "MMD^2, bandwidth 2", GRETTON),
        )
    ),
    Definition(
        "sliced_w2_centred",
        "sliced Wasserstein-2, centred",
        "sliced_w2 of x - m_a and y - m_b",
        BONNEEL,
        "The same of the modalities with their own centroids taken off.",
        moves=False,
        of_n=True,
    ),
    *(
        Definition(
            f"{name}_centred",
            f"{title}, centred",
            f"{name} of x - m_a and y - m_b, kernel exp(-|x - y|^2/(2 tau))",
            THEORY,
            f"The same {_SHIFTED}",
            of_n=True,
        )
        for name, title in (
            ("smoothed_kl_a_b", "smoothed KL, a to b"),
            ("smoothed_kl_b_a", "smoothed KL, b to a"),
            ("smoothed_symmetric_kl", "smoothed symmetric KL"),
        )
    ),
)


def measure(pooled: Pooled, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them but the sliced transport, which `distribution` has with its own.

    Means are those of the sample, so that a row moves a statistic through the mean as well: to first order by the statistic's
    slope; the variance of second order is that of exchanges, which centring lowers. p-values, that variance and the cost of
    centring are from exchanges of some clusters, see `recentred`.
    """
    tests = recentred.exchange(pooled, min(FEWER, len(pooled.exchanges.first)), rng)
    if tests is None:
        return {f"{name}_centred": of_estimate(estimate) for name, estimate in _estimates(pooled).items()}
    found = {}
    exchanged = dict(zip(recentred.STATISTICS, tests.exchanged.T, strict=True))
    observed = dict(zip(recentred.STATISTICS, tests.observed, strict=True))
    for name, estimate in _estimates(pooled).items():
        # Either direction of a divergence pays half of what centring costs both.
        costs = tests.share * (exchanged[name] if name in exchanged else exchanged["smoothed_symmetric_kl"] / 2)
        corrected = replace(estimate, value=estimate.value - float(costs.mean()), second=float(costs.var()))
        metric = replace(of_estimate(corrected), plug_in=estimate.value)
        if name in exchanged:
            scale = {
                "energy_distance": pooled.bandwidth.value,
                "smoothed_symmetric_kl": min(1.0, pooled.bandwidth.value**2 / pooled.tau),
            }
            p = p_value(float(observed[name]), exchanged[name], scale.get(name, 1.0))
            level = noise_level(costs - costs.mean())
            metric = replace(metric, p_value=p, noise_level=level)
        found[f"{name}_centred"] = metric
    return found


def _estimates(pooled: Pooled) -> dict[str, Estimate]:
    """Centred distances and divergences before the cost of centring is taken off."""
    sums, centred = pooled.passed.kernels, pooled.passed.centred_kernels
    found = {"energy_distance": pooled.contrast(sums[DISTANCE], centred[DISTANCE]) + 2 * _through_means(pooled, 0, -1.0)}
    squared = {}
    for name, (kernel, factor) in GAUSSIANS.items():
        slope = _through_means(pooled, kernel, 2 * factor / pooled.bandwidth.value**2)
        squared[name] = -1.0 * (pooled.contrast(sums[kernel], centred[kernel]) + 2 * slope)
    found |= with_bandwidth(pooled, squared)
    for name, side in (("smoothed_kl_a_b", 0), ("smoothed_kl_b_a", 1)):
        across = entropies.cross_entropy(pooled.design, pooled.passed, side, 1 - side, centred=True)
        found[name] = across - pooled.own_entropies[side]
    found["smoothed_symmetric_kl"] = found["smoothed_kl_a_b"] + found["smoothed_kl_b_a"]
    return found


def _through_means(pooled: Pooled, kernel: int, factor: float) -> Estimate:
    """What groups add to a mean across through the difference D of the means, with respect to which its slope is
    factor E w (x - y): w = 1/r for distances (factor -1), the Gaussian itself for exp(-r^2/(2 s^2)) (factor 1/s^2).
    """
    design, cloud, split = pooled.design, pooled.cloud, pooled.cloud.first_rows
    weights = pooled.passed.slopes[kernel]
    slope = weights[:split] @ cloud.rows[:split] - weights[split:] @ cloud.rows[split:]
    number = float((design.strangers * (design.is_first[:, None] * (1 - design.is_first))).sum())
    signed = np.where(design.side == 0, 1 / split, -1 / (len(cloud.rows) - split))
    return Estimate(0.0, factor / number * design.by_group(signed * (pooled.row_sums @ slope)))


FAMILY = Family("shape", "Shape: whether they are alike but for the offset", DEFINITIONS, measure)
