"""Linear separability: how well a hyperplane tells the modalities apart on pairs that it has not seen."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fieldsolve.diagnose.pairwise import Cloud
from fieldsolve.diagnose.resampling import Slots
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices

FOLDS = 5
RIDGE = 1.0  # scikit-learn's default

_CHUNK = 4096  # rows at a time


def classify(cloud: Cloud, slots: Slots, labels: tuple[Array, Array]) -> Array:
    """How many rows of each slot cross-validated ridge classification puts on their side, for many labellings at once: (R, S).

    In each fold the direction is (X^T X + I)^-1 (m_1 - m_2) of the training rows centred at their pooled mean, and the
    threshold is half way between both modalities' means; members of a group are always in the same fold. The matrix does not
    depend on the labels, so that all labellings share one factorisation a fold.

    labels: which slots are of the first and which of the second modality, (R, S) of 0 and 1, other slots are left out of training
    and of no interest. Rows are taken from the middle of both centroids: no direction depends on where the origin is.
    """
    rows, away = cloud.rows, cloud.centroids - cloud.centroids.mean(axis=0)
    side = (np.arange(len(slots.group)) >= slots.first).astype(np.int64)
    counts, fold = slots.counts, slots.group % FOLDS
    used = ((labels[0] + labels[1]).max(axis=0) > 0).astype(np.float64)
    edges = zip(slots.starts[:-1], slots.starts[1:], strict=True)
    sums = np.stack([rows[a:b].sum(axis=0, dtype=np.float64) for a, b in edges]) + counts[:, None] * away[side]
    with threads.one_blas_thread():
        moments = [np.zeros((rows.shape[1], rows.shape[1])) for _ in range(FOLDS)]
        for chunk, slot in _chunks(slots, used):
            moments[fold[slot]] += (block := rows[chunk].astype(np.float64) + away[side[slot]]).T @ block
        correct = np.zeros(labels[0].shape)
        for left_out in range(FOLDS):
            train = (fold != left_out) * used
            size = float(train @ counts)
            mean = (train @ sums) / size
            matrix = sum(moments[k] for k in range(FOLDS) if k != left_out) - size * np.outer(mean, mean)
            factor = cho_factor(matrix + RIDGE * np.eye(len(matrix)))
            means = [((one * train) @ sums) / ((one * train) @ counts)[:, None] for one in labels]
            direction = cho_solve(factor, (means[0] - means[1]).T)
            threshold = np.sum((means[0] + means[1]).T * direction, axis=0) / 2
            shifted = threshold - away @ direction
            direction = direction.astype(rows.dtype)
            for chunk, slot in _chunks(slots, used * (fold == left_out)):
                on_first = (rows[chunk] @ direction > shifted[side[slot]]).sum(axis=0)
                correct[:, slot] += np.where(labels[0][:, slot] > 0, on_first, (chunk.stop - chunk.start) - on_first)
    return correct


def balanced_accuracy(correct: Array, counts: Indices, weights: tuple[Array, Array]) -> Array:
    """The mean over both sides of the share classified right, rows of slots counted so often, (R,); weights: (R, S) each."""
    shares = [np.sum(side * correct, axis=1) / (side @ counts) for side in weights]
    return np.asarray((shares[0] + shares[1]) / 2)


def _chunks(slots: Slots, used: Array) -> list[tuple[slice, int]]:
    """Ranges of rows, each of one slot, of the slots that are used."""
    return [
        (slice(at, min(at + _CHUNK, int(slots.starts[slot + 1]))), int(slot))
        for slot in np.flatnonzero(used)
        for at in range(int(slots.starts[slot]), int(slots.starts[slot + 1]), _CHUNK)
    ]
