"""The compiled logarithm of a von Mises-Fisher mixture at many points."""

import numpy as np

from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE, exp, jit

_BLOCK = 512  # points whose exponents stay in the first-level cache
_WORK = 10  # of a point and component, in memory-bound operations


def log_mixture(points: Array, means: Array, concentrations: Array, log_weights: Array) -> Array:
    """log sum_i exp(log_weights_i + kappa_i z.m_i) at unit vectors z (n, d); means: (m, d). Shape (n,)."""
    points = np.ascontiguousarray(points, dtype=np.float64)
    result = np.empty(len(points))
    blocks, work = -(-len(points) // _BLOCK), _WORK * len(points) * len(means)
    threads.over_blocks(_log_mixture, blocks, work, points, concentrations[:, None] * means, log_weights, result)
    return result


@jit(REDUCE)
def _log_mixture(first, last, points, vectors, log_weights, result):
    exponents, top = np.empty((len(vectors), _BLOCK)), np.empty(_BLOCK)
    for block in range(first, last):
        start = block * _BLOCK
        size = min(_BLOCK, result.size - start)
        top[:] = -np.inf
        for k in range(len(vectors)):
            for i in range(size):
                exponents[k, i] = log_weights[k]
            for d in range(points.shape[1]):
                for i in range(size):
                    exponents[k, i] += points[start + i, d] * vectors[k, d]
            for i in range(size):
                top[i] = max(top[i], exponents[k, i])
        out = result[start : start + size]
        out[:] = 0.0
        for k in range(len(vectors)):
            for i in range(size):
                out[i] += exp(exponents[k, i] - top[i])
        for i in range(size):
            out[i] = top[i] + np.log(out[i])
