"""The way of a sample: one pass over its pairs, then every metric, and what its health is."""

from dataclasses import dataclass, replace

import numpy as np

from fieldsolve.diagnose.arrangement import arrangement
from fieldsolve.diagnose.health import Health, health
from fieldsolve.diagnose.metrics import table
from fieldsolve.diagnose.metrics.metric import Definition, Metric
from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.estimate import holm
from fieldsolve.diagnose.statistics.pairwise import pair_sums
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.diagnose.statistics.temperature import MOST_PAIRS
from fieldsolve.embeddings.centring import Means
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.progress import Progress, Watch

EXCHANGES = 999

_NOTABLE = 0.01  # share of rows whose first rank is a tie
_LARGE, _UNEVEN = 0.05, 3.0  # share of the rows, and times what all clusters alike have
_COARSE = 1e-5  # spread of rows whose differences are of few digits in single precision


@dataclass(frozen=True, eq=False)
class Measurement:
    """The metrics of two modalities by name.

    adjusted: p-values adjusted for their number [Holm 1979]; cosines: to draw, of partners (matched) and of strangers across
    (unmatched) and within modalities (within_a, within_b); groups: how many the clusters were put into; bandwidth: sigma of the
    middle MMD kernel; tau: of the smoothed metrics; bias: of the sigmoid loss, None for InfoNCE; batch: pairs of the batch that
    the loss is of.
    """

    metrics: dict[str, Metric]
    adjusted: dict[str, float]
    health: Health
    cosines: dict[str, Array]
    groups: int
    bandwidth: float
    tau: float
    bias: float | None
    batch: int
    notes: tuple[str, ...]

    @property
    def loss(self) -> str:
        """The loss that the temperature, and the bias if there is one, are of."""
        return "infonce" if self.bias is None else "siglip"

    @property
    def offset_share(self) -> float:
        """The share of the energy distance that goes with the centroids, from 0 to 1."""
        whole, shape = (self.metrics[name].value for name in ("energy_distance", "energy_distance_centred"))
        return min(max(1 - shape / whole, 0.0), 1.0) if whole > 0 else 0.0


def measure(
    sample: Sample,
    tau: float,
    bias: float | None = None,
    exchanges: int = EXCHANGES,
    seed: int = 0,
    watch: Watch | None = None,
    means: Means | None = None,
) -> Measurement:
    """Measure all metrics of a sample; docs/metrics.md defines them.

    tau: temperature of the model; bias: of its sigmoid loss, None for InfoNCE; exchanges: of partners, for p-values; seed: of all
    that is drawn; watch: is told what is being done, and how much of how much; means: of other rows, to be taken off instead of
    those of other folds. Same input, same bits, whatever the number of threads.
    """
    told = watch or (lambda progress: None)
    with threads.one_blas_thread():
        laid = arrangement(sample, exchanges, seed)
        sums = pair_sums(laid.cloud, laid.design, laid.bandwidth.value, tau, laid.limits, told)
        pooled = laid.pooled(sums, tau, bias, means)
        metrics: dict[str, Metric] = {}
        for done, family in enumerate(table.FAMILIES):
            told(Progress(done, len(table.FAMILIES), family.name))
            metrics |= family.measure(pooled, family.stream(seed))
    metrics = {name: _cut(metrics[name], one) for name, one in table.definitions().items() if name in metrics}
    p_values = {name: metric.p_value for name, metric in metrics.items() if metric.p_value is not None}
    found = health(sample, pooled)
    return Measurement(
        metrics=metrics,
        adjusted=holm(p_values),
        health=found,
        cosines=laid.cosines | {"matched": 1 - pooled.matching.squares / 2},
        groups=pooled.design.groups,
        bandwidth=pooled.bandwidth.value,
        tau=tau,
        bias=bias,
        batch=min(pooled.design.independent, MOST_PAIRS),
        notes=(*sample.notes, *_coarse(sample, pooled.cloud), *_ties(pooled, found), *_lopsided(pooled, metrics)),
    )


def _cut(metric: Metric, definition: Definition) -> Metric:
    """The metric with its interval cut to what it can be."""
    if metric.ci_low is None or metric.ci_high is None:
        return metric
    return replace(metric, ci_low=max(metric.ci_low, definition.least), ci_high=min(metric.ci_high, definition.most))


def _ties(pooled: Pooled, found: Health) -> list[str]:
    """What is to be said of ranks that are ties, where copies do not explain them."""
    undecided = float(np.mean(pooled.hits[0, 0] % 1 > 0))
    if undecided <= _NOTABLE + 2 * max(found.copies):
        return []
    return [
        f"partners of {undecided:.0%} of the rows are as near as strangers, as far as distances have digits: ranks that single "
        "precision does not decide"
    ]


def _lopsided(pooled: Pooled, metrics: dict[str, Metric]) -> list[str]:
    """What is to be said where single clusters decide."""
    largest = max(float(np.bincount(pooled.design.cluster[side]).max()) / (side.stop - side.start) for side in pooled.cloud.parts)
    notes = []
    if largest > _LARGE and largest * pooled.design.independent > _UNEVEN:
        notes.append(
            f"one cluster has {largest:.0%} of the rows of a modality, {largest * pooled.design.independent:.0f} times "
            "its share: intervals "
            "too narrow are what comes of it; give fewer rows of it"
        )
    if metrics["energy_distance_centred"].plug_in is None:
        notes.append(
            "clusters are too large to be centred anew: centred metrics have no p-values, and what centring costs in them"
        )
    return notes


def _coarse(sample: Sample, cloud: Cloud) -> list[str]:
    """What is to be said where single precision does not resolve how rows differ."""
    return [
        f"{one.name}: rows lie within {spread:.1e} of their mean, where single precision has few digits; give them in double"
        for one, part in zip((sample.first, sample.second), cloud.parts, strict=True)
        if one.rows.dtype == np.float32 and (spread := float(np.sqrt(cloud.lengths[part].mean()))) < _COARSE
    ]
