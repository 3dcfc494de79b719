"""What theory expects of InfoNCE with N negatives: its bias exactly, its gradient's error to leading order."""

from collections.abc import Sequence
from math import log

import numpy as np

from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import REDUCE, exp, jit
from fieldsolve.theorems.directions import Side
from fieldsolve.theorems.infonce import population_infonce
from fieldsolve.theorems.laws import PairLaw

_SPACING = 0.3  # of the nodes of Frullani's integral in log t: the trapezoidal rule errs by exp(-pi^2/0.3)
_POINTS = 4096  # of the grid at a time


def batch_bias(side: Side, negatives: Array) -> Array:
    """The exact expectation, over the negatives, of a batch's bias."""
    partner = np.zeros((len(side.at), side.law.grid.size))
    partner[np.arange(len(side.at)), side.to] = side.law.grid.size
    each = _expected_bias(side.law, side.kernel, side.at, partner, side.negative, side.limit.log_fields, negatives)
    return np.asarray(each.mean(axis=0))


def law_bias(law: PairLaw, kernel: Kernel, modalities: int, negatives: Array) -> Array:
    """E L_N - [J + log(N V)] over the whole law, exactly: anchors, positives and negatives. For grids of few points."""
    result = np.zeros(len(negatives))
    directions = [(0, 0)] if modalities == 1 else [(0, 1), (1, 0)]
    everywhere = np.arange(law.grid.size)
    points = law.grid.points()
    for a, b in directions:
        fields = population_infonce(points, points, points, law.marginals[b], kernel).log_fields
        rows = _expected_bias(law, kernel, everywhere, law.conditional(a, everywhere), b, fields, negatives)
        result += law.marginals[a] @ rows / law.grid.size
    return result / len(directions)


def _expected_bias(
    law: PairLaw, kernel: Kernel, at: Indices, partners: Array, negative: int, log_fields: Array, negatives: Array
) -> Array:
    """E log[(k(z, z+) + sum_n k(z, w_n))/(N Gamma(z))] for anchors at grid points, (n, len(negatives)).

    partners: (n, N), the density of each anchor's positive; log_fields: (n,), log Gamma.
    """
    points = np.ascontiguousarray(law.grid.points().T)
    kappa = kernel.concentration
    # From where nothing has happened yet to where even the farthest negative has decayed.
    lowest, highest = -40 + float(log_fields.min()), log(40) + 2 * kappa + max(float(log_fields.max()), 0.0)
    log_nodes = np.arange(lowest, highest + _SPACING, _SPACING)
    result = np.empty((len(at), len(negatives)))
    work = len(at) * law.grid.size * len(log_nodes) * 2
    threads.over_blocks(
        _frullani, len(at), work, np.ascontiguousarray(points[:, at]), points, law.marginals[negative] / law.grid.size,
        partners / law.grid.size, log_fields, kappa, log_nodes, negatives.astype(np.float64), result,
    )  # fmt: skip
    return result * _SPACING


@jit(REDUCE)
def _decayed(log_ratios, log_rate, masses, partner):
    """E exp(-rate k/Gamma) over the negatives and over the partner; rates and ratios may exceed what is a number."""
    negative, positive = 0.0, 0.0
    for j in range(log_ratios.size):
        decayed = exp(-exp(log_rate + log_ratios[j]))
        negative += masses[j] * decayed
        positive += partner[j] * decayed
    return negative, positive


@jit()
def _frullani(first, last, anchors, points, masses, partners, log_fields, kappa, log_nodes, numbers, result):
    log_ratios = np.empty(points.shape[1])
    for i in range(first, last):
        for j in range(log_ratios.size):
            product = 0.0
            for d in range(points.shape[0]):
                product += anchors[d, i] * points[d, j]
            log_ratios[j] = kappa * (product - 1.0) - log_fields[i]
        result[i] = 0.0
        for log_node in log_nodes:
            negative, positive = _decayed(log_ratios, log_node, masses, partners[i])
            logarithm = np.log(negative)
            for n in range(numbers.size):
                result[i, n] += np.exp(-np.exp(log_node + np.log(numbers[n]))) - positive * np.exp(numbers[n] * logarithm)


def expected_gradient_error(sides: Sequence[Side], modalities: int, negatives: Array) -> Array:
    """Root mean square of |grad L_N - grad L|, to leading order: the positive's softmax share, and the noise of the mean."""
    squared = np.zeros(len(negatives))
    pulls = [_Pulls(side, modalities) for side in sides]
    for index, count in enumerate(negatives.tolist()):
        shift = sum(pull.shift(count) for pull in pulls) / len(pulls)
        noise = sum(pull.noise(count) for pull in pulls) / len(pulls) ** 2
        squared[index] = np.sum(shift**2) + noise
    return np.sqrt(squared)


class _Pulls:
    """What each similarity s(z, w) of a side pulls at the encoders: its gradient there, over kappa."""

    def __init__(self, side: Side, modalities: int) -> None:
        self.side, self.modalities = side, modalities
        self.points = side.law.grid.points()
        self.masses = side.density / side.law.grid.size
        self.own = np.stack(
            [self._sums(np.ones((1, 1)), z[None], w[None])[0] for z, w in zip(side.anchors, side.positives, strict=True)]
        )
        self.mean = np.zeros_like(self.own)
        for first in range(0, len(self.points), _POINTS):
            here = slice(first, first + _POINTS)
            ratios = self._ratios(here) * self.masses[here]
            for b in range(len(side.anchors)):
                self.mean[b] += self._sums(ratios[b : b + 1], side.anchors[b : b + 1], self.points[here]).sum(axis=0)

    def shift(self, count: int) -> Array:
        """How far the positive's own softmax share moves the gradient."""
        share = self._shares(count)
        return np.asarray(self.side.kernel.concentration * np.mean(share[:, None, None, None] * (self.own - self.mean), axis=0))

    def noise(self, count: int) -> float:
        """The variance of the gradient, summed over its entries."""
        rest, total = 1 - self._shares(count), 0.0
        for first in range(0, len(self.points), _POINTS):
            here = slice(first, first + _POINTS)
            weights = rest[:, None] * self._ratios(here)
            pulls = self._sums(weights, self.side.anchors, self.points[here]) - np.tensordot(weights.T, self.mean, axes=1)
            total += float(self.masses[here] @ np.sum(pulls**2, axis=(1, 2, 3)))
        return (self.side.kernel.concentration / len(self.side.anchors)) ** 2 * total / count

    def _shares(self, count: int) -> Array:
        return np.asarray(self.side.own_ratio / (self.side.own_ratio + count))

    def _ratios(self, here: slice) -> Array:
        """k(z_b, w)/Gamma(z_b), shape (B, n)."""
        exponents = self.side.kernel.concentration * (self.side.anchors @ self.points[here].T - 1)
        return np.asarray(np.exp(exponents - self.side.limit.log_fields[:, None]))

    def _sums(self, weights: Array, anchors: Array, others: Array) -> Array:
        """sum_b weights_bn grad s(z_b, w_n), shape (n, modalities, d, d)."""
        weighted = weights * (anchors @ others.T)
        pulled = weights.T @ anchors
        dyads = np.einsum("bi,bj->bij", anchors, anchors)
        at_anchor = np.einsum("ni,nj->nij", others, pulled) - np.tensordot(weighted.T, dyads, axes=1)
        at_other = np.einsum("ni,nj->nij", pulled, others) - np.einsum("n,ni,nj->nij", weighted.sum(axis=0), others, others)
        if self.modalities == 1:
            return np.asarray((at_anchor + at_other)[:, None])
        result = np.stack([at_anchor, at_other], axis=1)
        return result if self.side.anchor == 0 else result[:, ::-1]
