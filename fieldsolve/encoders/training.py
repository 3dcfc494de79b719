"""Free encoders under gradient descent: one compiled loop for minibatches, and for the whole law where the batch is infinite."""

from typing import NamedTuple

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, exp, jit

_CHUNK = 512  # batches drawn at a time


class Trained(NamedTuple):
    """Encoders after so many steps, unit rows z (n, d) and w (m, d), and the squared centroid gap after every step."""

    first: Array
    second: Array
    squared_gaps: Array


def train(
    law: JointLaw, start: tuple[Array, Array], tau: float, rate: float, steps: int, batch: int | None = None, seed: int = 0
) -> Trained:
    """Descend on symmetric InfoNCE by steps of -rate times its gradient along the spheres, rows scaled to length 1 after each.

    batch: of so many independent pairs of the law a step, whose other rows are the negatives; None is the law itself. A batch is
    a law too, that of its counts, so that a step costs n m whatever the batch.
    """
    rng = np.random.default_rng(seed)
    first, second = (np.array(one, dtype=np.float64, order="C") for one in start)
    gaps, work = np.empty(steps), np.empty(law.table.shape)
    for begin in range(0, steps, _CHUNK):
        count = min(_CHUNK, steps - begin)
        if batch is None:
            tables = np.broadcast_to(law.table, (count, *law.table.shape))
        else:
            tables = rng.multinomial(batch, law.table.ravel(), count).reshape(count, *law.table.shape) / batch
        _descend(first, second, np.ascontiguousarray(tables), tau, rate, law.first, law.second, work, gaps[begin:])
    return Trained(first, second, gaps)


@jit(REDUCE_NUMBERS)
def _descend(first, second, tables, tau, rate, p, q, work, gaps):
    for step in range(len(tables)):
        _slope(first, second, tables[step], tau, work)
        of_first, of_second = np.dot(work, second), np.dot(work.T, first)
        _move(first, of_first, rate)
        _move(second, of_second, rate)
        across = np.dot(p, first) - np.dot(q, second)
        gaps[step] = np.dot(across, across)


@jit(REDUCE_NUMBERS)
def _slope(first, second, table, tau, slope):
    """The derivative of symmetric InfoNCE of a law with respect to the similarities."""
    n, m = table.shape
    similarity = np.dot(first, second.T)
    kernel = np.empty((n, m))
    of_rows, of_columns = np.zeros(n), np.zeros(m)
    for i in range(n):
        for j in range(m):
            of_rows[i] += table[i, j]
            of_columns[j] += table[i, j]
            kernel[i, j] = exp((similarity[i, j] - 1.0) / tau)
            slope[i, j] = -table[i, j]
    for i in range(n):
        total = np.dot(kernel[i], of_columns)
        for j in range(m):
            slope[i, j] += 0.5 * of_rows[i] * of_columns[j] * kernel[i, j] / total
    for j in range(m):
        total = 0.0
        for i in range(n):
            total += of_rows[i] * kernel[i, j]
        for i in range(n):
            slope[i, j] = (slope[i, j] + 0.5 * of_rows[i] * of_columns[j] * kernel[i, j] / total) / tau


@jit(REDUCE_NUMBERS)
def _move(rows, slopes, rate):
    """One step along the spheres against a gradient."""
    for i in range(len(rows)):
        along = np.dot(slopes[i], rows[i])
        square = 0.0
        for k in range(rows.shape[1]):
            rows[i, k] -= rate * (slopes[i, k] - along * rows[i, k])
            square += rows[i, k] * rows[i, k]
        scale = 1.0 / np.sqrt(square)
        for k in range(rows.shape[1]):
            rows[i, k] *= scale
