"""A certified lower bound of an objective over all encoders of any dimension, from one point and a Cholesky factor."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky, eigh
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.numerics.arrays import Array

_DENSE = 2000  # rows up to which all of the matrix is decomposed
_DIRECTIONS = 16  # of further dimensions, at most, beyond that
_MOST_TRIALS = 60  # of shifts, each twice the one before


class Certificate(NamedTuple):
    """What a point proves of the objective's minimum.

    bound: no encoders have less, nats; directions: (n + m, k), of k further dimensions that lower the objective, where
    D^-1/2 S D^-1/2 has negative eigenvalues; multipliers: lambda, (n + m,), by which the unit lengths hold the encoders.
    """

    bound: float
    directions: Array
    multipliers: Array


def certify(
    objective: Objective, point: Point, value: float, sharpest: float, bias_slope: float, bias_room: float
) -> Certificate:
    """min f >= f(Y) + (1/tau - 1/tau') sum lambda - delta tr(D)/tau' - |df/db| room, the least over the 1/tau' allowed.

    By convexity f(Y') >= f(Y) + <M, Y' - Y>, with M = S - diag(lambda), lambda_i = -(M U)_i.U_i, so that <M, Y> = -sum
    lambda/tau. If S + delta D has a Cholesky factor, <S, Y'> >= -delta <D, Y'> = -delta tr(D)/tau' for all Gram matrices of unit
    vectors. The factor's own rounding is added to delta (Rump 2006). A Ritz value proves nothing, and is used only to choose
    delta.

    sharpest: the largest 1/tau' allowed where the temperature is learned (all down to 0 are), that of the point where it is not.
    """
    matrix = objective.matrix(point)
    multipliers = -np.einsum("ij,ij->i", matrix @ point.rows, point.rows)
    matrix[np.diag_indices_from(matrix)] += multipliers
    scale = 1 / np.sqrt(objective.weights)
    matrix *= scale[:, None]
    matrix *= scale
    lowest, directions = _lowest(matrix, point.rows.shape[1])
    delta = _proved(matrix, -float(lowest[0]))
    is_learned = objective.problem.learn_tau
    total, trace = float(multipliers.sum()), float(objective.weights.sum())
    ends = (sharpest, 0.0) if is_learned else (point.sharpness,)
    change = min((point.sharpness - end) * total - delta * trace * end for end in ends)
    # Of the value itself and of <M, Y>, sums of as many terms as there are symbols.
    change -= 2 * len(multipliers) * np.finfo(float).eps * (abs(value) + sharpest * float(np.abs(multipliers).sum()))
    directions = directions[:, lowest < 0] * scale[:, None]
    return Certificate(value + change - abs(bias_slope) * bias_room, directions, multipliers)


def _lowest(matrix: Array, count: int) -> tuple[Array, Array]:
    """So many of the least eigenvalues of a symmetric matrix, rising, to about four digits, and their eigenvectors."""
    if len(matrix) > _DENSE:
        count = min(count, _DIRECTIONS)
        start = np.cos(np.arange(len(matrix)) + 0.5)
        try:
            values, vectors = eigsh(matrix, k=count, which="SA", v0=start, ncv=5 * _DIRECTIONS, maxiter=30, tol=1e-3)
        except ArpackNoConvergence as error:
            values, vectors = error.eigenvalues, error.eigenvectors
        if len(values):
            order = np.argsort(values)
            return values[order], vectors[:, order]
    values, vectors = eigh(matrix, subset_by_index=[0, min(count, len(matrix)) - 1])
    return values, vectors


def _proved(matrix: Array, least: float) -> float:
    """A delta, little above `least`, for which matrix + delta I is certainly positive semidefinite."""
    diagonal = np.abs(np.diagonal(matrix))
    # Of a factor of size N that exists: |error| <= g tr/(1 - g), g = (N + 1) eps.
    rounding = 2 * (len(matrix) + 2) * np.finfo(float).eps
    shift = max(least, 0.0) * (1 + 1e-6) + rounding * float(diagonal.max())
    for _ in range(_MOST_TRIALS):
        shifted = matrix.copy()
        shifted[np.diag_indices_from(shifted)] += shift
        try:
            cholesky(shifted, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            shift *= 2
            continue
        return shift + rounding * float(diagonal.sum() + shift * len(matrix))
    return np.inf
