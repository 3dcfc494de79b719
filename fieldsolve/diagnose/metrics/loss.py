"""Loss: what training minimises, on these pairs, and the temperature at which it is least."""

from math import isfinite

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.statistics import temperature
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.numerics.arrays import Array, Indices

_RADFORD = "Radford et al. 2021, arXiv 2103.00020"
_ZHAI = "Zhai et al. 2023, arXiv 2303.15343"
_WIDE = 10.0  # intervals of the best temperature that say nothing
_BATCH = "in one batch with a pair of each cluster, 1024 drawn at random where there are more"

DEFINITIONS = (
    Definition(
        "infonce",
        "InfoNCE",
        f"-E s/tau + E (log sum e^(s/tau) over rows + over columns)/2 {_BATCH}",
        _RADFORD,
        "The loss in nats at the given temperature. Chance is the logarithm of the batch's size: above it, the temperature is "
        "too low for how well partners are known.",
        of_n=True, least=0.0,
),
    Definition(
        "siglip",
        "sigmoid loss",
        f"-E sum log sigmoid(+-(s/tau + b)) {_BATCH}; only with --loss siglip",
        _ZHAI,
        "The loss in nats at the given temperature and bias.",
        of_n=True, least=0.0,
),
    Definition(
        "best_temperature",
        "temperature of the least loss",
        f"argmin of the loss over tau (and bias) {_BATCH}",
        "Guo et al. 2017, arXiv 1706.04599",
        "Where the loss of these pairs is least: the model's own temperature is near it on data like its training's. 0 where the "
        "loss falls down to tau = 0.003, the least there is: every partner stands out. No interval where it would span "
        "a factor of 10.",
        of_n=True,
    ),
    Definition(
        "best_bias", "bias of the least loss", f"argmin of the sigmoid loss over tau and bias {_BATCH}", _ZHAI,
        "Beside best_temperature; only with --loss siglip. Infinite (null) where partners are separated without error.",
        of_n=True,
    ),
)  # fmt: skip


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """The loss at the given temperature (and bias), and where it is least."""
    cosines, _ = batch(pooled, rng)
    loss = at_temperature(pooled, cosines)
    if pooled.bias is not None:
        best, bias = temperature.best_siglip(cosines)
        loss["best_bias"] = Metric(bias)
    else:
        best = temperature.best_temperature(cosines)
    tau, low, high = best
    has_interval = isfinite(tau) and low > 0 and high < _WIDE * low
    return loss | {"best_temperature": Metric(tau, low, high) if has_interval else Metric(tau)}


def at_temperature(pooled: Matched, cosines: Array) -> dict[str, Metric]:
    """The loss of a batch's cosines at the given temperature, and bias if there is one."""
    if pooled.bias is not None:
        return {"siglip": of_estimate(temperature.siglip_value(cosines, 1 / pooled.tau, pooled.bias))}
    return {"infonce": of_estimate(temperature.infonce_value(cosines, 1 / pooled.tau))}


def batch(pooled: Matched, rng: np.random.Generator) -> tuple[Array, Indices]:
    """Cosines of a batch of pairs, one of each cluster drawn at random, (n, n), and the clusters, (n,)."""
    both = pooled.one_each(temperature.MOST_PAIRS, rng)
    sides = [pooled.cloud.rows[rows] + centroid for rows, centroid in zip(both, pooled.cloud.centroids, strict=True)]
    return temperature.similarities(*sides), pooled.design.cluster[both[0]]


FAMILY = Family("loss", "Loss", DEFINITIONS, measure)
