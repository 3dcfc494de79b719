"""InfoNCE itself: batch losses of embedded points, with their gradients, streaming over the negatives."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, jit, sum_of_exponentials
from fieldsolve.numerics.errors import InputError

_TILE = 64  # anchors at a time
_ROUNDED = 2e-3  # what storage in half precision may do to a unit vector's length; it is made 1
_EXACT = 1e-12
_CHUNK = 1024  # candidates at a time: their exponents with a tile's anchors stay in the second-level cache


@dataclass(frozen=True, eq=False)
class Loss:
    """A batch loss in nats, what every anchor adds to its mean, and its gradients.

    value: the mean of terms, (B,). log_fields: (B,), log sum_n k(z, w_n) over what an anchor is contrasted with, its positive
    left out (-inf without any; in a batch without other negatives the positive is among them), k relative to its largest
    value. anchors, positives, negatives: gradients of the value with respect to the points, tangent vectors in their shape.
    """

    value: float
    terms: Array
    log_fields: Array
    anchors: Array
    positives: Array
    negatives: Array


@dataclass(frozen=True, eq=False)
class SymmetricLoss:
    """The mean of the two directions' losses, and its gradients with respect to the points of both modalities.

    first, second: (B, d); negatives: those of the first and of the second modality, None where the batch's own points serve.
    directions: first against second, second against first.
    """

    value: float
    directions: tuple[Loss, Loss]
    first: Array
    second: Array
    negatives: tuple[Array, Array] | None


def infonce(anchors: Array, positives: Array, negatives: Array, kernel: Kernel) -> Loss:
    """The InfoNCE loss [(1)] of a batch: the mean over anchors of -s(z, z+)/tau + log(k(z, z+) + sum_n k(z, w_n)).

    anchors, positives: (B, d) unit vectors (to 2e-3, the rounding of half precision, and then made so); negatives: (N, d),
    shared by all anchors; memory grows with B + N, not B N.
    Raises InputError for shapes that do not fit, points that are no unit vectors, and critics that are not linear in z.z'.
    """
    return _contrast(anchors, positives, negatives, None, kernel, counts_positive=True)


def population_infonce(anchors: Array, positives: Array, points: Array, density: Array, kernel: Kernel) -> Loss:
    """What `infonce` less log N tends to as N grows: mean -s(z, z+)/tau + log Gamma(z), with gradients.

    Gamma(z) = (1/N) sum_j k(z, x_j) rho_j [Def 2.1], for a density (N,) on points (N, d): the negatives' law. The gradient's
    part `negatives` is that of the points x_j, weighted by their mass. Raises InputError as `infonce`, and for a density that
    is negative, not finite or zero everywhere.
    """
    density = np.asarray(density, dtype=np.float64)
    if len(points) == 0 or density.shape != (len(points),) or not (density.min() >= 0 and 0 < density.sum() < np.inf):
        raise InputError("the negatives' density needs a finite value, at least 0, for each point, and some mass")
    with np.errstate(divide="ignore"):
        log_weights = np.log(density) - np.log(len(density))
    return _contrast(anchors, positives, points, log_weights, kernel, counts_positive=False)


def symmetric_infonce(first: Array, second: Array, kernel: Kernel, negatives: tuple[Array, Array] | None = None) -> SymmetricLoss:
    """The symmetric InfoNCE loss of CLIP [(2)]: the mean of first against second and second against first.

    first, second: (B, d), matched rows. negatives: points of the first and of the second modality, (N, d) each; by default
    the batch's own other points, as CLIP does. Raises InputError as `infonce`.
    """
    if negatives is None:
        forth = _contrast(first, second, second, None, kernel, counts_positive=False)
        back = _contrast(second, first, first, None, kernel, counts_positive=False)
        gradients = (
            (forth.anchors + back.positives + back.negatives) / 2,
            (back.anchors + forth.positives + forth.negatives) / 2,
        )
        return SymmetricLoss((forth.value + back.value) / 2, (forth, back), *gradients, None)
    if len(negatives) != 2:
        raise InputError(f"the symmetric loss needs negatives of two modalities, not of {len(negatives)}")
    forth = infonce(first, second, negatives[1], kernel)
    back = infonce(second, first, negatives[0], kernel)
    gradients = (forth.anchors + back.positives) / 2, (back.anchors + forth.positives) / 2
    others = back.negatives / 2, forth.negatives / 2
    return SymmetricLoss((forth.value + back.value) / 2, (forth, back), *gradients, others)


def _contrast(
    anchors: Array, positives: Array, candidates: Array, log_weights: Array | None, kernel: Kernel, counts_positive: bool
) -> Loss:
    """The loss against weighted candidates, with or without the positive's own term among them.

    s/tau = kappa z.z' + const for linear critics, and the constant cancels.
    """
    if kernel.critic.linear is None:
        raise InputError(f"batch losses are those of critics that are linear in z.z', cosine and rbf, not of {kernel.critic}")
    anchors, positives, candidates = (_points(rows) for rows in (anchors, positives, candidates))
    if anchors.shape != positives.shape or candidates.shape[1] != anchors.shape[1] or len(anchors) == 0:
        raise InputError(
            f"anchors {anchors.shape}, positives {positives.shape} and negatives {candidates.shape} do not fit; the first two "
            "need the same shape (B, d), and the last the same d"
        )
    kappa, batch = kernel.concentration, len(anchors)
    weights = np.zeros(len(candidates)) if log_weights is None else log_weights
    own = kappa * (np.einsum("bd,bd->b", anchors, positives) - 1)
    log_fields, means = np.empty(batch), np.empty_like(anchors)
    work = batch * len(candidates) * anchors.shape[1]
    with threads.one_blas_thread():
        tiles = -(-batch // _TILE)
        threads.over_blocks(_over_anchors, tiles, work, anchors, candidates, weights, kappa, log_fields, means)
        log_sums = np.logaddexp(own, log_fields) if counts_positive else log_fields
        # The softmax weight of the positive, and of all candidates together.
        share = np.exp(own - log_sums) if counts_positive else np.zeros(batch)
        with np.errstate(invalid="ignore"):
            rest = np.where(log_fields > -np.inf, np.exp(log_fields - log_sums), 0.0)
        pulled = np.empty_like(candidates)
        chunks = -(-len(candidates) // _CHUNK)
        threads.over_blocks(_over_candidates, chunks, work, anchors, candidates, weights, kappa, log_sums, pulled)
    rate = kappa / batch
    toward = (share - 1)[:, None] * positives + rest[:, None] * means
    terms = log_sums - own
    return Loss(
        value=float(np.mean(terms)),
        terms=terms,
        log_fields=log_fields,
        anchors=rate * _tangent(toward, anchors),
        positives=rate * _tangent((share - 1)[:, None] * anchors, positives),
        negatives=rate * _tangent(pulled, candidates),
    )


def _points(rows: Array) -> Array:
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    if rows.ndim != 2:
        raise InputError(f"points come as rows, (n, d), not in the shape {rows.shape}")
    if not np.all(np.isfinite(rows)):
        bad = int(np.argmax(~np.isfinite(rows).all(axis=1)))
        raise InputError(f"points must be unit vectors, and row {bad} has values that are not finite")
    lengths = np.linalg.norm(rows, axis=1)
    off = np.abs(lengths - 1) > _ROUNDED
    if off.any():
        bad = int(np.argmax(off))
        raise InputError(f"points must be unit vectors, and row {bad} has the length {lengths[bad]:.6g}; normalise them first")
    # Many rows are not copied for the sake of their last digit.
    return rows if np.abs(lengths - 1).max(initial=0.0) < _EXACT else np.asarray(rows / lengths[:, None])


def _tangent(vectors: Array, at: Array) -> Array:
    """The part of vectors that is tangent to the sphere at unit vectors."""
    return np.asarray(vectors - np.einsum("nd,nd->n", vectors, at)[:, None] * at)


def _over_anchors(
    first: int, last: int, anchors: Array, candidates: Array, weights: Array, kappa: float, log_fields: Array, means: Array
) -> None:
    """Log-sums over the candidates and their softmax means, for tiles of anchors: running maxima, a chunk at a time."""
    for tile in range(first, last):
        at = slice(tile * _TILE, (tile + 1) * _TILE)
        here = anchors[at]
        shift, total, mean = np.full(len(here), -np.inf), np.zeros(len(here)), np.zeros_like(here)
        rescale = np.empty(len(here))
        for start in range(0, len(candidates), _CHUNK):
            chunk = candidates[start : start + _CHUNK]
            products = here @ chunk.T
            _absorb(products, weights[start : start + _CHUNK], kappa, shift, total, rescale)
            mean *= rescale[:, None]
            mean += products @ chunk
        with np.errstate(divide="ignore", invalid="ignore"):
            log_fields[at] = np.where(total > 0, shift + np.log(total), -np.inf)
            means[at] = np.where(total[:, None] > 0, mean / total[:, None], 0.0)


def _over_candidates(
    first: int, last: int, anchors: Array, candidates: Array, weights: Array, kappa: float, log_sums: Array, pulled: Array
) -> None:
    """The softmax-weighted sum of anchors that each candidate feels, for chunks of candidates."""
    for block in range(first, last):
        at = slice(block * _CHUNK, (block + 1) * _CHUNK)
        chunk, sums = candidates[at], np.zeros_like(candidates[at])
        for start in range(0, len(anchors), _TILE):
            here = anchors[start : start + _TILE]
            products = here @ chunk.T
            _softmax(products, weights[at], kappa, log_sums[start : start + _TILE])
            sums += products.T @ here
        pulled[at] = sums


@jit(REDUCE_NUMBERS)
def _exponents(row, weights, kappa):
    largest = -np.inf
    for j in range(row.size):
        row[j] = kappa * (row[j] - 1.0) + weights[j]
    for j in range(row.size):
        largest = max(largest, row[j])
    return largest


@jit()
def _absorb(products, weights, kappa, shift, total, rescale):
    """Turn inner products into exponentials relative to the running maximum, which may rise, and add them up."""
    for i in range(products.shape[0]):
        largest = _exponents(products[i], weights, kappa)
        rescale[i] = 1.0
        if largest > shift[i]:
            rescale[i] = np.exp(shift[i] - largest)
            shift[i] = largest
        if shift[i] == -np.inf:
            products[i] = 0.0
            continue
        total[i] = total[i] * rescale[i] + sum_of_exponentials(products[i], shift[i])


@jit()
def _softmax(products, weights, kappa, log_sums):
    """Turn inner products into softmax weights."""
    for i in range(products.shape[0]):
        _exponents(products[i], weights, kappa)
        sum_of_exponentials(products[i], log_sums[i])
