"""All metrics of two matched modalities: values, confidence intervals, p-values, floors and the shuffle control."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose import paired, retrieval
from fieldsolve.diagnose.marginal import marginal_metrics, separability_metric
from fieldsolve.diagnose.matching import Matching, matchings
from fieldsolve.diagnose.metric import Metric
from fieldsolve.diagnose.pairwise import Cloud, pair_sums
from fieldsolve.diagnose.resampling import Slots, arrange, draw
from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.shape import shape_metrics
from fieldsolve.diagnose.statistics import Pooled, effective_rank
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.progress import Progress, Watch

RESAMPLES = 999

_NOTABLE = 0.01  # share of rows whose first rank is a tie
_COARSE = 1e-5  # spread of rows whose differences are of few digits in single precision
_SHOWN = 2000  # rows of each modality whose cosines make the distributions' quantiles and pictures, and the bandwidth


@dataclass(frozen=True, eq=False)
class Measurement:
    """The metrics of two modalities by name.

    cosines: to draw, of partners (matched) and of strangers across (unmatched) and within modalities (within_a, within_b);
    groups: how many the clusters were put into for resampling; bandwidth: sigma of the middle MMD kernel; tau: of the smoothed
    metrics.
    """

    metrics: dict[str, Metric]
    cosines: dict[str, Array]
    groups: int
    bandwidth: float
    tau: float
    notes: tuple[str, ...]


def measure(sample: Sample, tau: float, resamples: int = RESAMPLES, seed: int = 0, watch: Watch | None = None) -> Measurement:
    """Measure all metrics of a sample; docs/metrics.md defines them.

    tau: temperature of the smoothed metrics; resamples: bootstraps and permutations each; seed: of all that is drawn; watch: is
    told what is being done, and how much of how much. Same input, same bits, whatever the number of threads.
    """
    with threads.one_blas_thread():
        return _measured(sample, tau, resamples, seed, watch or (lambda progress: None))


def _measured(sample: Sample, tau: float, resamples: int, seed: int, watch: Watch) -> Measurement:
    rngs = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(6)]
    slots = arrange(sample.clusters, rngs[0])
    draws = draw(slots, resamples, rngs[1])
    cosines, bandwidth = _strangers(sample, rngs[2])
    cloud = Cloud.of(*(one.rows[order] for one, order in zip((sample.first, sample.second), slots.orders, strict=True)))
    both = matchings(sample, slots, cloud, rngs[3])
    pooled, hits = _pooled(sample, slots, cloud, both, bandwidth, tau, watch)
    peak = Kernel("cosine", tau).log_peak(cloud.rows.shape[1] - 1)
    unmatched = cosines["unmatched"]
    parts: list[tuple[str, Callable[[], dict[str, Metric]]]] = [
        ("marginals", lambda: marginal_metrics(pooled, draws, peak, rngs[4])),
        ("shapes", lambda: shape_metrics(pooled, draws, bandwidth, tau, rngs[5])),
        ("separability", lambda: {"linear_separability": separability_metric(pooled, draws)}),
        ("partners", lambda: paired.paired_metrics(pooled, draws, *both, hits)),
        ("strangers", lambda: {"cosine_unmatched_sd": Metric(float(unmatched.std())), **_quantiles(unmatched)}),
        ("ranks", lambda: {f"effective_rank_{one}": effective_rank(pooled, one == "b") for one in "ab"}),
    ]
    metrics: dict[str, Metric] = {}
    for done, (what, part) in enumerate(parts):
        watch(Progress(done, len(parts), what))
        metrics |= part()
    notes = [*sample.notes, *_coarse(sample, cloud)]
    undecided = float(np.mean(hits[0, 0] % 1 > 0))
    if undecided > _NOTABLE:
        notes.append(
            f"partners of {undecided:.0%} of the rows are as near as strangers, as far as distances have digits: copies, or "
            "ranks that single precision does not decide"
        )
    if draws.labels is None:
        notes.append("clusters are too large for exchanges within them: there are no p-values")
    return Measurement(metrics, cosines | {"matched": both[0].cosines}, slots.groups, bandwidth, tau, tuple(notes))


def _coarse(sample: Sample, cloud: Cloud) -> list[str]:
    """What is to be said where single precision does not resolve how rows differ."""
    parts = (sample.first, cloud.lengths[: cloud.first_rows]), (sample.second, cloud.lengths[cloud.first_rows :])
    return [
        f"{one.name}: rows lie within {spread:.1e} of their mean, where single precision has few digits; give them in double"
        for one, lengths in parts
        if one.rows.dtype == np.float32 and (spread := float(np.sqrt(lengths.mean()))) < _COARSE
    ]


def _quantiles(unmatched: Array) -> dict[str, Metric]:
    return {f"cosine_unmatched_{name}": Metric(float(np.quantile(unmatched, level))) for name, level in paired.QUANTILES.items()}


def _strangers(sample: Sample, rng: np.random.Generator) -> tuple[dict[str, Array], float]:
    """Cosines of strangers, across and within modalities, and the median distance across; of some rows if there are many."""
    chosen = [np.sort(rng.permutation(len(cluster))[:_SHOWN]) for cluster in sample.clusters]
    rows = [one.rows[at].astype(np.float64) for one, at in zip((sample.first, sample.second), chosen, strict=True)]
    clusters = [cluster[at] for cluster, at in zip(sample.clusters, chosen, strict=True)]
    with threads.one_blas_thread():
        across, within = _squares(*rows), [_squares(one, one)[np.triu_indices(len(one), 1)] for one in rows]
    unmatched = across[clusters[0][:, None] != clusters[1][None, :]]
    squares = {"unmatched": unmatched, "within_a": within[0], "within_b": within[1]}
    return {name: 1 - one / 2 for name, one in squares.items()}, float(np.median(np.sqrt(across)))


def _squares(first: Array, second: Array) -> Array:
    """Squared distances of all rows of two tables, taken from their middle so that close ones keep their digits."""
    middle = (first.mean(axis=0) + second.mean(axis=0)) / 2
    one, other = first - middle, second - middle
    return np.asarray(np.maximum(np.sum(one**2, axis=1)[:, None] + np.sum(other**2, axis=1) - 2 * one @ other.T, 0.0))


def _pooled(
    sample: Sample, slots: Slots, cloud: Cloud, both: tuple[Matching, Matching], bandwidth: float, tau: float, watch: Watch
) -> tuple[Pooled, Array]:
    """The pooled rows after the pass over all pairs, and the hits of both matchings at all depths."""
    clusters = np.concatenate([cluster[order] for cluster, order in zip(sample.clusters, slots.orders, strict=True)])
    members = np.stack([np.bincount(cluster, minlength=sample.independent)[clusters] for cluster in sample.clusters])
    best = np.stack([one.best for one in both])
    tolerance = np.stack([retrieval.tolerances(cloud, one) for one in both])
    passed = pair_sums(cloud, slots, clusters, bandwidth, tau, (best - tolerance, best + tolerance), watch)
    hits = np.stack([retrieval.hits(*one) for one in zip(passed.ranks, both, tolerance, strict=True)])
    return Pooled(cloud, slots, clusters, members, passed), hits
