"""Bootstrap replicates of the main metrics, with the same clusters drawn for every run, so that differences are paired."""

import numpy as np

from fieldsolve.diagnose.arrangement import arrangement
from fieldsolve.diagnose.metrics import loss, mixed
from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.statistics import temperature
from fieldsolve.diagnose.statistics.folds import Folds
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices

REPLICATES = 999

_AT_ONCE = 100  # replicates whose weights are held


def replicates(sample: Sample, tau: float, bias: float | None, number: int, seed: int) -> dict[str, list[float]]:
    """The metrics of so many samples of clusters with replacement, by name [Efron 1979].

    The clusters drawn depend on their number and the seed alone: runs on the same pairs have the same ones, so that differences
    of replicates are those of paired samples. Queries are drawn, galleries stay, but for the share of a mixed index, which moves
    with both to first order; the centroid gap is over pairs of different clusters, its square cut at 0.
    """
    with threads.one_blas_thread():
        laid = arrangement(sample, 1, seed)
        matched = laid.matched(tau, bias, None)
        values = _by_cluster(matched, seed)
        sums = [_sums(matched, side) for side in (0, 1)]
        counts = [_numbers(matched.design.cluster[part], sample.independent) for part in matched.cloud.parts]
        rng = np.random.default_rng([seed, 5])
        shares = _shares(matched)
        found: dict[str, list[float]] = {name: [] for name in ("centroid_gap", *values, *shares)}
        for begin in range(0, number, _AT_ONCE):
            size = min(_AT_ONCE, number - begin)
            times = rng.multinomial(sample.independent, np.full(sample.independent, 1 / sample.independent), size).astype(float)
            found["centroid_gap"] += _gaps(times, sums, counts).tolist()
            for name, (total, weight) in values.items():
                found[name] += ((times @ total) / np.maximum(times @ weight, 1e-300)).tolist()
            for name, (value, added) in shares.items():
                found[name] += (value + (times - 1) @ added).tolist()
    return found


def _by_cluster(matched: Matched, seed: int) -> dict[str, tuple[Array, Array]]:
    """Of the metrics that are means over queries or pairs the sums and numbers by cluster."""
    cluster, number = matched.design.cluster, matched.design.independent

    def summed(values: Array, rows: Indices) -> tuple[Array, Array]:
        where = cluster[rows]
        return _totals(where, values, number), _numbers(where, number)

    partners = matched.matching.partners[0]
    found = {"cosine_matched_mean": summed(1 - matched.matching.squares / 2, partners)}
    for way, part in zip(("a_to_b", "b_to_a"), matched.cloud.parts, strict=True):
        rows = np.arange(part.start, part.stop)
        for index, depth in ((0, 1), (2, 10)):
            found[f"recall_{way}_at_{depth}"] = summed(matched.hits[0, index, rows], rows)
    cosines, clusters = loss.batch(matched, loss.FAMILY.stream(seed))
    if matched.bias is None:
        name, of_pairs = "infonce", temperature.infonce(cosines, 1 / matched.tau).pairs
    else:
        name, of_pairs = "siglip", temperature.siglip(cosines, 1 / matched.tau, matched.bias).pairs
    found[name] = _totals(clusters, of_pairs, number), _numbers(clusters, number)
    return found


def _shares(matched: Matched) -> dict[str, tuple[float, Array]]:
    """Of the mixed index the value and what each cluster adds to it, as queries and as rows that others find."""
    folds, number, found = Folds.of(matched), matched.design.independent, {}
    for treatment in ("raw", "centred"):
        for side, letter in enumerate("ab"):
            looked = mixed.look(matched, folds, side, treatment)
            where = matched.design.cluster[looked.rows]
            for figure, values in (
                ("other_share_at_10", looked.found.other_share), ("partner_recall_at_1", looked.found.mixed_first)
            ):  # fmt: skip
                value = float(values.mean())
                added = _totals(where, values - value, number) / len(values)
                if figure == "other_share_at_10":
                    added += _totals(matched.design.cluster, looked.reached(matched), number)
                found[mixed.name_of(letter, treatment, figure)] = value, added
    return found


def _totals(clusters: Indices, values: Array, number: int) -> Array:
    return np.bincount(clusters, values, number).astype(np.float64)


def _numbers(clusters: Indices, number: int) -> Array:
    return np.bincount(clusters, minlength=number).astype(np.float64)


def _sums(matched: Matched, side: int) -> Array:
    """Of each cluster the sum of its rows of a modality, (clusters, d)."""
    part, number = matched.cloud.parts[side], matched.design.independent
    sums = np.zeros((number, matched.cloud.rows.shape[1]))
    np.add.at(sums, matched.design.cluster[part], matched.cloud.given(side).astype(np.float64))
    return sums


def _gaps(times: Array, sums: list[Array], counts: list[Array]) -> Array:
    """|m_a - m_b| over pairs of different clusters, for clusters drawn so many times, (R, clusters)."""
    totals, numbers = [times @ one for one in sums], [times @ one for one in counts]

    def product(i: int, j: int) -> Array:
        own = np.sum(sums[i] * sums[j], axis=1)
        pairs = numbers[i] * numbers[j] - times**2 @ (counts[i] * counts[j])
        return np.asarray((np.sum(totals[i] * totals[j], axis=1) - times**2 @ own) / pairs)

    return np.sqrt(np.maximum(product(0, 0) + product(1, 1) - 2 * product(0, 1), 0.0))
