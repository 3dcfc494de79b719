"""The way of a sample: one pass over its pairs, then every metric, and what its health is."""

from dataclasses import dataclass, replace

import numpy as np

from fieldsolve.diagnose.health import Health, health
from fieldsolve.diagnose.metrics import table
from fieldsolve.diagnose.metrics.metric import Definition, Metric
from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.statistics import ranks
from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.design import Design, arrange
from fieldsolve.diagnose.statistics.estimate import Estimate, holm, median_estimate
from fieldsolve.diagnose.statistics.matching import matchings
from fieldsolve.diagnose.statistics.pairwise import pair_sums
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.diagnose.statistics.temperature import MOST_PAIRS
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Rows
from fieldsolve.numerics.progress import Progress, Watch

EXCHANGES = 999

_NOTABLE = 0.01  # share of rows whose first rank is a tie
_LARGE, _UNEVEN = 0.05, 3.0  # share of the rows, and times what all clusters alike have
_COARSE = 1e-5  # spread of rows whose differences are of few digits in single precision
_SHOWN = 700  # rows of each modality whose cosines make the distributions' quantiles and pictures, and the bandwidth


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
    sample: Sample, tau: float, bias: float | None = None, exchanges: int = EXCHANGES, seed: int = 0, watch: Watch | None = None
) -> Measurement:
    """Measure all metrics of a sample; docs/metrics.md defines them.

    tau: temperature of the model; bias: of its sigmoid loss, None for InfoNCE; exchanges: of partners, for p-values; seed: of all
    that is drawn; watch: is told what is being done, and how much of how much. Same input, same bits, whatever the number of
    threads.
    """
    told = watch or (lambda progress: None)
    seeds = np.random.SeedSequence(seed).spawn(4 + len(table.FAMILIES))
    rngs = [np.random.default_rng(one) for one in seeds]
    with threads.one_blas_thread():
        pooled, cosines = _pass(sample, tau, bias, exchanges, rngs[:4], told)
        metrics: dict[str, Metric] = {}
        for done, (family, rng) in enumerate(zip(table.FAMILIES, rngs[4:], strict=True)):
            told(Progress(done, len(table.FAMILIES), family.name))
            metrics |= family.measure(pooled, rng)
    metrics = {name: _cut(metrics[name], one) for name, one in table.definitions().items() if name in metrics}
    p_values = {name: metric.p_value for name, metric in metrics.items() if metric.p_value is not None}
    found = health(sample, pooled)
    return Measurement(
        metrics=metrics,
        adjusted=holm(p_values),
        health=found,
        cosines=cosines | {"matched": 1 - pooled.matching.squares / 2},
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


def _pass(
    sample: Sample, tau: float, bias: float | None, exchanges: int, rngs: list[np.random.Generator], watch: Watch
) -> tuple[Pooled, dict[str, Array]]:
    """The pooled rows after the pass over all pairs, and cosines of strangers."""
    design = arrange(sample.clusters, rngs[0])
    drawn = design.exchanges(exchanges, rngs[1])
    cosines, bandwidth = _strangers(sample, design, rngs[2])
    cloud = Cloud.of(*(one.rows[order] for one, order in zip((sample.first, sample.second), design.orders, strict=True)))
    both = matchings(sample.clusters, sample.partners, design, cloud, rngs[3])
    tolerance = np.stack([ranks.tolerances(cloud, one) for one in both])
    best = np.stack([one.best for one in both])
    sums = pair_sums(cloud, design, bandwidth.value, tau, (best - tolerance, best + tolerance), watch)
    hits = np.stack([ranks.hits(*one) for one in zip(sums.ranks, both, tolerance, strict=True)])
    return Pooled(cloud, design, sums, *both, hits, drawn, bandwidth, tau, bias, cosines["unmatched"]), cosines


def _coarse(sample: Sample, cloud: Cloud) -> list[str]:
    """What is to be said where single precision does not resolve how rows differ."""
    return [
        f"{one.name}: rows lie within {spread:.1e} of their mean, where single precision has few digits; give them in double"
        for one, part in zip((sample.first, sample.second), cloud.parts, strict=True)
        if one.rows.dtype == np.float32 and (spread := float(np.sqrt(cloud.lengths[part].mean()))) < _COARSE
    ]


def _strangers(sample: Sample, design: Design, rng: np.random.Generator) -> tuple[dict[str, Array], Estimate]:
    """Cosines of strangers, across and within modalities, and their median distance across (the root of the mean square
    where that is 0, 1 where all are); of some rows if there are many.
    """
    chosen = [np.sort(rng.permutation(len(cluster))[:_SHOWN]) for cluster in sample.clusters]
    rows = [one.rows[at] for one, at in zip((sample.first, sample.second), chosen, strict=True)]
    clusters = [cluster[at] for cluster, at in zip(sample.clusters, chosen, strict=True)]
    across = _squares(*rows)
    within = [_squares(one, one)[np.triu(own[:, None] != own, 1)] for one, own in zip(rows, clusters, strict=True)]
    stranger = clusters[0][:, None] != clusters[1][None, :]
    squares = {"unmatched": across[stranger], "within_a": within[0], "within_b": within[1]}
    group = np.empty(design.independent, dtype=np.int64)
    group[design.cluster] = design.group_of_row
    median = median_estimate(np.sqrt(across), stranger, (group[clusters[0]], group[clusters[1]]), design.groups)
    cosines = {name: 1 - one / 2 for name, one in squares.items()}
    # Where most distances are 0 their median is no scale; any other is as good where all are.
    return cosines, median if median.value > 0 else replace(median, value=float(np.sqrt(across.mean())) or 1.0)


def _squares(first: Rows, second: Rows) -> Array:
    """Squared distances of all rows of two tables, taken from their middle so that close ones keep their digits."""
    middle = (first.mean(axis=0) + second.mean(axis=0)) / 2
    one, other = first - middle, second - middle
    lengths = np.sum(one**2, axis=1)[:, None] + np.sum(other**2, axis=1)
    return np.asarray(np.maximum(lengths - 2 * one @ other.T, 0.0), dtype=np.float64)
