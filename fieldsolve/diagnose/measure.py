"""All metrics of two matched modalities: values, confidence intervals, p-values, floors and the shuffle control."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose import paired, retrieval
from fieldsolve.diagnose.marginal import marginal_metrics, separability_metric
from fieldsolve.diagnose.matching import Matching, matchings
from fieldsolve.diagnose.metric import Metric
from fieldsolve.diagnose.pairwise import pair_sums
from fieldsolve.diagnose.resampling import Slots, arrange, draw
from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.shape import shape_metrics
from fieldsolve.diagnose.statistics import Pooled, effective_rank
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.progress import Progress, Watch

RESAMPLES = 999

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
    both = matchings(sample, slots, rngs[3])
    pooled, hits = _pooled(sample, slots, both, bandwidth, tau, watch)
    peak = Kernel("cosine", tau).log_peak(pooled.rows.shape[1] - 1)
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
    notes = list(sample.notes)
    if draws.labels is None:
        notes.append("clusters are too large for exchanges within them: there are no p-values")
    return Measurement(metrics, cosines | {"matched": both[0].cosines}, slots.groups, bandwidth, tau, tuple(notes))


def _quantiles(unmatched: Array) -> dict[str, Metric]:
    return {f"cosine_unmatched_{name}": Metric(float(np.quantile(unmatched, level))) for name, level in paired.QUANTILES.items()}


def _strangers(sample: Sample, rng: np.random.Generator) -> tuple[dict[str, Array], float]:
    """Cosines of strangers, across and within modalities, and the median distance across; of some rows if there are many."""
    chosen = [np.sort(rng.permutation(len(cluster))[:_SHOWN]) for cluster in sample.clusters]
    rows = [one.rows[at].astype(np.float64) for one, at in zip((sample.first, sample.second), chosen, strict=True)]
    clusters = [cluster[at] for cluster, at in zip(sample.clusters, chosen, strict=True)]
    with threads.one_blas_thread():
        across = rows[0] @ rows[1].T
        within = [(one @ one.T)[np.triu_indices(len(one), 1)] for one in rows]
    median = float(np.median(np.sqrt(np.maximum(2 - 2 * across, 0.0))))
    unmatched = across[clusters[0][:, None] != clusters[1][None, :]]
    return {"unmatched": unmatched, "within_a": within[0], "within_b": within[1]}, median


def _pooled(
    sample: Sample, slots: Slots, both: tuple[Matching, Matching], bandwidth: float, tau: float, watch: Watch
) -> tuple[Pooled, Array]:
    """The pooled rows after the pass over all pairs, and the hits of both matchings at all depths."""
    rows = np.concatenate([sample.first.rows[slots.orders[0]], sample.second.rows[slots.orders[1]]])
    clusters = np.concatenate([cluster[order] for cluster, order in zip(sample.clusters, slots.orders, strict=True)])
    members = np.stack([np.bincount(cluster, minlength=sample.independent)[clusters] for cluster in sample.clusters])
    edges = zip(slots.starts[:-1], slots.starts[1:], strict=True)
    sums = np.stack([rows[begin:end].sum(axis=0, dtype=np.float64) for begin, end in edges])
    centroids = np.stack([
        sums[side].sum(axis=0) / slots.counts[side].sum() for side in (slice(slots.first), slice(slots.first, None))
    ])  # fmt: skip
    best, tolerance = np.stack([one.best for one in both]), retrieval.TIES[rows.dtype]
    thresholds = best - tolerance, best + tolerance
    passed = pair_sums(rows, slots, clusters, centroids, bandwidth, tau, thresholds, watch)
    hits = np.stack([retrieval.hits(ranks, one, tolerance) for ranks, one in zip(passed.ranks, both, strict=True)])
    return Pooled(rows, slots, clusters, sums, centroids, members, passed), hits
