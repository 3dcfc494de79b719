"""Cross-entropies of smoothed samples from partition fields by slots: values, what groups contribute, exchanges."""

import numpy as np

from fieldsolve.diagnose.statistics.design import Design, Exchanges
from fieldsolve.diagnose.statistics.estimate import Estimate, left_out, without_each
from fieldsolve.diagnose.statistics.pairwise import PairSums
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array

_CHUNK = 512  # rows whose logarithms are held at a time


def cross_entropy(design: Design, sums: PairSums, side: int, of: int, *, centred: bool = False) -> Estimate:
    """-mean over rows of one modality (side) of log of their mean kernel with strangers of one modality (of).

    Kernels are 1 at distance 0. Contributions come from leaving groups out, rows and kernels both [jackknife]. centred: of rows
    with their own centroid taken off, which only changes what is across.
    """
    fields = sums.centred_fields if centred and side != of else sums.fields
    own = design.rows_by_group((design.side[design.slot_of_row] == side).astype(float))
    whole, without = _sums_of_logs(design, fields, _rows(design, side), of)
    return left_out(-whole / float(own.sum()), -without / (own.sum() - own))


def _sums_of_logs(design: Design, fields: Array, rows: slice, of: int) -> tuple[float, Array]:
    """The sum over rows of the log of their mean kernel with a modality, and the same without each group, (G,)."""
    slots = np.flatnonzero(design.side == of)
    groups, begin = np.unique(design.group[slots], return_index=True)
    blocks = [slice(at, min(at + _CHUNK, rows.stop)) for at in range(rows.start, rows.stop, _CHUNK)]
    whole, without = np.zeros(len(blocks)), np.zeros((len(blocks), design.groups))
    numbers = design.by_group((design.side == of) * design.strangers) / design.counts[:, None]

    def work(first: int, last: int) -> None:
        for index in range(first, last):
            at = blocks[index]
            by_group = np.add.reduceat(fields[slots, at], begin, axis=0)
            rest = without_each(by_group.T).T
            number = numbers[design.slot_of_row[at]]
            logs = np.log(rest) - np.log(np.maximum(number.sum(axis=1) - number[:, groups].T, 1e-300))
            others = design.group_of_row[at] != groups[:, None]
            without[index, groups] = np.sum(np.where(others, logs, 0.0), axis=1)
            whole[index] = np.sum(np.log(by_group.sum(axis=0)) - np.log(number.sum(axis=1)))

    threads.over_blocks(work, len(blocks), 8 * (rows.stop - rows.start) * design.groups)
    return float(whole.sum()), without.sum(axis=0)


def shuffled_entropy(design: Design, sums: PairSums, given: tuple[Array, Array], passed: tuple[Array, Array], side: int) -> float:
    """The cross-entropy of one modality with the other when partners are passed on.

    given, passed: the places of partners among the rows (m,) and their kernels (m,), as they are and as they are passed on.
    """
    rows, total = _rows(design, side), len(design.cluster)
    fields = sums.fields[np.flatnonzero(design.side != side)].sum(axis=0)
    numbers = ((design.side != side) * design.strangers).sum(axis=1) / design.counts
    number = numbers[design.slot_of_row].astype(float)
    for (places, kernels), sign in ((given, 1.0), (passed, -1.0)):
        fields = fields + sign * np.bincount(places, kernels, total)
        number += sign * np.bincount(places, minlength=total)
    return -float(np.mean(np.log(np.maximum(fields[rows], np.finfo(float).tiny) / number[rows])))


def exchanged_divergence(design: Design, sums: PairSums, exchanges: Exchanges, *, centred: bool = False) -> Array:
    """The smoothed symmetric Kullback-Leibler divergence of every exchange, (R,), of rows as they are or centred."""
    total = len(design.cluster)
    blocks = [slice(at, min(at + _CHUNK, total)) for at in range(0, total, _CHUNK)]
    labels = exchanges.first, exchanges.second
    parts = np.empty((len(blocks), len(labels[0])))
    masses = [one @ design.counts for one in labels]
    numbers = [one @ (design.strangers / design.counts[:, None]).T for one in labels]

    def work(first: int, last: int) -> None:
        for index in range(first, last):
            at = blocks[index]
            slot = design.slot_of_row[at]
            fields = sums.fields[:, at]
            if centred:
                fields = np.where(design.side[:, None] == design.side[slot], fields, sums.centred_fields[:, at])
            logs = [np.log(one @ fields) - np.log(count[:, slot]) for one, count in zip(labels, numbers, strict=True)]
            apart = logs[0] - logs[1]
            signed = labels[0][:, slot] / masses[0][:, None] - labels[1][:, slot] / masses[1][:, None]
            parts[index] = np.sum(signed * apart, axis=1)

    with threads.one_blas_thread():
        threads.over_blocks(work, len(blocks), len(labels[0]) * len(design.group) * total)
    return np.asarray(parts.sum(axis=0))


def _rows(design: Design, side: int) -> slice:
    """The pooled rows of a modality."""
    first_rows = int(design.starts[design.first])
    return slice(0, first_rows) if side == 0 else slice(first_rows, len(design.cluster))
