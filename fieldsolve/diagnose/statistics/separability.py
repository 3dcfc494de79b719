"""Linear separability: how well a hyperplane tells the modalities apart on clusters that it has not seen."""

from collections.abc import Iterator

import numpy as np

from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.design import Design, Exchanges
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices

FOLDS = 5
RIDGE = 1.0  # scikit-learn's default

_CHUNK = 4096  # rows at a time


def classify(pooled: Pooled, samples: Exchanges) -> Array:
    """How many rows of each slot cross-validated ridge classification puts on their side, for many samples at once: (R, S).

    In each fold the direction is (X^T X + I)^-1 (m_1 - m_2) of the training rows centred at their pooled mean, and the
    threshold is half way between both samples' means; members of a group are always in the same fold. The matrix does not
    depend on the labels, so that all labellings share one factorisation a fold.

    A row is of the sample in which it counts. Rows are taken from the middle of both centroids: no
    direction depends on where the origin is.
    """
    cloud, design = pooled.cloud, pooled.design
    rows, away = cloud.rows, cloud.centroids - cloud.centroids.mean(axis=0)
    counts, fold = design.counts, design.group % FOLDS
    sums = pooled.row_sums + counts[:, None] * away[design.side]
    with threads.one_blas_thread():
        moments = _moments(cloud, design, fold)
        correct = np.zeros(samples.first.shape)
        for left_out in range(FOLDS):
            train = (fold != left_out).astype(float)
            size = float(train @ counts)
            mean = (train @ sums) / size
            matrix = moments.sum(axis=0) - moments[left_out] - size * np.outer(mean, mean)
            means = [((one * train) @ sums) / ((one * train) @ counts)[:, None] for one in (samples.first, samples.second)]
            direction = np.linalg.solve(matrix + RIDGE * np.eye(len(matrix)), (means[0] - means[1]).T)
            threshold = np.sum((means[0] + means[1]).T * direction, axis=0) / 2
            shifted = threshold - away @ direction
            direction = direction.astype(rows.dtype)
            for places in _chunks(design, fold == left_out):
                slots = design.slot_of_row[places]
                on_first = rows[places] @ direction > shifted[design.side[slots]]
                begins = np.flatnonzero(np.diff(slots, prepend=-1))
                found, size_of = (
                    np.add.reduceat(on_first, begins, axis=0, dtype=np.int64).T,
                    np.diff(np.append(begins, len(slots))),
                )
                own = slots[begins]
                correct[:, own] += np.where(samples.first[:, own] > 0, found, size_of - found)
    return correct


def balanced_accuracy(correct: Array, counts: Indices, samples: Exchanges) -> Array:
    """The mean over both samples of the share classified right, (R,); correct: (R, S)."""
    shares = [np.sum(side * correct, axis=1) / (side @ counts) for side in (samples.first, samples.second)]
    return np.asarray((shares[0] + shares[1]) / 2)


def _moments(cloud: Cloud, design: Design, fold: Indices) -> Array:
    """Second moments of the rows of each fold about the middle of both centroids, (FOLDS, d, d)."""
    away = (cloud.centroids - cloud.centroids.mean(axis=0)).astype(cloud.rows.dtype)
    moments = np.zeros((FOLDS, cloud.rows.shape[1], cloud.rows.shape[1]))

    def work(begin: int, end: int) -> None:
        for index in range(begin, end):
            for places in _chunks(design, fold == index):
                block = cloud.rows[places] + away[design.side[design.slot_of_row[places]]]
                moments[index] += block.T @ block

    threads.over_blocks(work, FOLDS, cloud.rows.size * cloud.rows.shape[1])
    return moments


def _chunks(design: Design, chosen: np.ndarray) -> Iterator[Indices]:
    """The places of the rows of chosen slots, some thousand at a time."""
    places = np.flatnonzero(chosen[design.slot_of_row])
    for begin in range(0, len(places), _CHUNK):
        yield places[begin : begin + _CHUNK]
