"""Large-batch consistency: InfoNCE with N negatives against the energy it tends to, in value and gradient [Thm 3.1, 4.1]."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fieldsolve import threads
from fieldsolve.arrays import Array, Indices
from fieldsolve.errors import InputError
from fieldsolve.exponential import exp
from fieldsolve.infonce import Loss, infonce, population_infonce
from fieldsolve.kernels import Kernel
from fieldsolve.laws import PairLaw

NEGATIVES = tuple(2**k for k in range(2, 17))

#: Laws on at most so many points are integrated over all anchors and positives.
MOST_POINTS = 1024

_SPACING = 0.3  # of the nodes of Frullani's integral in log t: the trapezoidal rule errs by exp(-pi^2/0.3)
_SETTLED = 0.03  # a predicted curve is asymptotic once its slopes stay this close to the exponent
_WELL_ABOVE = 8
_LEAST_FITTED = 4  # numbers of negatives
_POINTS = 4096  # of the grid at a time


@dataclass(frozen=True, eq=False)
class Slope:
    """A slope fitted in logarithms to what was measured at `since` and more negatives, with its standard error."""

    value: float
    error: float
    since: int


@dataclass(frozen=True, eq=False)
class Consistency:
    """A batch's loss with N negatives against its limit, and that against the energy J; arrays are over the numbers N.

    The parameters of the gradient are those of linear encoders z -> A z/|A z| at A = 1, one a modality, (modalities, d, d).

    kernel, modalities, batch, seeds, label: what was asked for. energy: J; limit: what the batch's loss less log N tends to, an
    estimate of J + log V with the standard error limit_error. negatives: N.
    bias: the loss less log N less the limit, mean over draws of the negatives, whose linear part, of known mean 0, is taken
    off; bias_error: its standard error; expected_bias: the exact expectation;
    law_bias: the exact expectation over anchors and positives too, None on large grids.
    gradient_error: root mean square of |grad L_N - grad L|/|grad L| over draws; gradient_spread: its standard deviation;
    expected_gradient_error: its leading-order prediction. gradient_largest: |grad L_N|, the largest that was met;
    gradient_bound: what Props 3.1 and 4.1 bound it by. onset: E[k(z, z+)/Gamma], N up to which the positive's own term outweighs
    all negatives; effective: Var_w[k/Gamma], N up to which a few negatives outweigh the others.
    """

    kernel: Kernel
    modalities: int
    batch: int
    seeds: int
    label: str
    energy: float
    limit: float
    limit_error: float
    log_volume: float
    negatives: Array
    bias: Array
    bias_error: Array
    expected_bias: Array
    law_bias: Array | None
    gradient_error: Array
    gradient_spread: Array
    expected_gradient_error: Array
    gradient_largest: float
    gradient_bound: float
    onset: float
    effective: float

    @property
    def leading(self) -> float:
        """The coefficient of 1/N in the expected bias."""
        return self.onset - self.effective / 2

    @property
    def value_slope(self) -> Slope | None:
        """The slope of the bias where its expectation falls like 1/N; None if N does not reach so far."""
        is_clear = np.abs(self.bias) > 3 * self.bias_error
        return self._slope(-1.0, self.expected_bias, np.abs(self.bias), self.bias_error, is_clear)

    @property
    def gradient_slope(self) -> Slope | None:
        """The slope of the gradient's error where its prediction falls like N^(-1/2) and holds; None if N does not reach so far.

        It is of leading order, for numbers of negatives well above `onset` and `effective`.
        """
        error = self.gradient_spread / sqrt(self.seeds)
        holds = self.negatives > _WELL_ABOVE * max(self.onset, self.effective)
        return self._slope(-0.5, self.expected_gradient_error, self.gradient_error, error, holds)

    def _slope(self, exponent: float, predicted: Array, measured: Array, error: Array, usable: NDArray[np.bool_]) -> Slope | None:
        local = np.diff(np.log(np.abs(predicted))) / np.diff(np.log(self.negatives))
        unsettled = np.flatnonzero(np.abs(local - exponent) > _SETTLED)
        used = usable & (np.arange(len(predicted)) > (unsettled[-1] if len(unsettled) else -1))
        if used.sum() < _LEAST_FITTED:
            return None
        design = np.stack([np.ones(int(used.sum())), np.log(self.negatives[used])], axis=1)
        weights = (measured[used] / error[used]) ** 2
        covariance = np.linalg.inv((design * weights[:, None]).T @ design)
        fitted = covariance @ (design * weights[:, None]).T @ np.log(measured[used])
        return Slope(float(fitted[1]), sqrt(float(covariance[1, 1])), int(self.negatives[used][0]))


def consistency(
    law: PairLaw,
    kernel: Kernel,
    modalities: int = 1,
    negatives: Sequence[int] = NEGATIVES,
    batch: int = 64,
    seeds: int = 20,
    seed: int = 0,
    watch: Callable[[int, int], None] | None = None,
) -> Consistency:
    """Compare InfoNCE (one modality) or its symmetric form (two) with the energy J for growing numbers of negatives.

    L_N - log N -> J + log V, the value by c/N with c = E[k(z, z+)/Gamma - Var_w k/(2 Gamma^2)], the gradient of one batch by
    N^(-1/2) [Thm 3.1, 4.1]. Anchors and positives are drawn once, negatives afresh for each of the seeds, nested in N.
    The expected bias is exact for those anchors: log x = int_0^inf (exp(-t) - exp(-t x))/t dt makes it
    an integral over powers of E exp(-t k).

    negatives: rising numbers, at least 1; watch: called with the number of draws that are done, and of all. Raises InputError
    for what does not fit.
    """
    numbers = np.array(negatives)
    if len(numbers) < 2 or numbers[0] < 1 or np.any(np.diff(numbers) <= 0):
        raise InputError(f"the numbers of negatives must rise from at least 1, and be at least two, not {list(negatives)}")
    if batch < 2 or seeds < 2:
        raise InputError(f"error bars need at least 2 anchors and 2 seeds, not {batch} and {seeds}")
    if modalities not in (1, 2):
        raise InputError(f"InfoNCE has one modality, or two in its symmetric form, not {modalities}")
    if modalities == 1 and np.abs(law.marginals[0] - law.marginals[1]).max() > 1e-9:
        raise InputError("with one modality both views must have the same law; this one has two different marginals")
    streams = np.random.default_rng(seed).spawn(seeds + 1)
    drawn = law.sample(batch, streams[0])
    points = law.grid.points()
    sides = [_Side(law, kernel, drawn, a, b) for a, b in ([(0, 0)] if modalities == 1 else [(0, 1), (1, 0)])]
    limit_gradient = _mean([side.gradient(side.limit, points, modalities) for side in sides])
    biases, errors, largest = np.empty((seeds, len(numbers))), np.empty((seeds, len(numbers))), 0.0
    for row, stream in enumerate(streams[1:]):
        pools = [points[law.sample_marginal(side.negative, int(numbers[-1]), stream)] for side in sides]
        for column, count in enumerate(numbers.tolist()):
            losses = [side.loss(pool[:count]) for side, pool in zip(sides, pools, strict=True)]
            biases[row, column] = _mean([side.bias(loss, count) for side, loss in zip(sides, losses, strict=True)])
            parts = zip(sides, losses, pools, strict=True)
            gradient = _mean([side.gradient(loss, pool[:count], modalities) for side, loss, pool in parts])
            errors[row, column] = np.linalg.norm(gradient - limit_gradient) / np.linalg.norm(limit_gradient)
            largest = max(largest, float(np.linalg.norm(gradient)))
        if watch is not None:
            watch(row + 1, seeds)
    terms = _mean([side.limit.terms for side in sides])
    return Consistency(
        kernel=kernel,
        modalities=modalities,
        batch=batch,
        seeds=seeds,
        label=law.label,
        energy=_energy(law, kernel, sides),
        limit=float(np.mean(terms)),
        limit_error=float(np.std(terms, ddof=1) / sqrt(batch)),
        log_volume=kernel.log_volume(law.grid.dim),
        negatives=numbers,
        bias=biases.mean(axis=0),
        bias_error=biases.std(axis=0, ddof=1) / sqrt(seeds),
        expected_bias=_mean([side.expected_bias(numbers) for side in sides]),
        law_bias=law_bias(law, kernel, modalities, numbers) if law.grid.size <= MOST_POINTS else None,
        gradient_error=np.sqrt(np.mean(errors**2, axis=0)),
        gradient_spread=errors.std(axis=0, ddof=1),
        expected_gradient_error=_expected_gradient_error(sides, modalities, numbers) / float(np.linalg.norm(limit_gradient)),
        gradient_largest=largest,
        gradient_bound=gradient_bound(kernel, modalities),
        onset=float(_mean([np.mean(side.own_ratio) for side in sides])),
        effective=float(_mean([side.effective() for side in sides])),
    )


def gradient_bound(kernel: Kernel, modalities: int) -> float:
    """The uniform bound of |grad L_N| for linear encoders at the identity, at every N [Prop 3.1, 4.1].

    With L_s = sup |grad s| on the sphere (1 for cosine, 2 for rbf), encoders of Jacobian norm 1 and a softmax over any
    negatives: 4 L_s/tau for one modality; for two, 2 L_s/tau for each encoder, together 2 sqrt(2) L_s/tau.
    """
    return (4.0 if modalities == 1 else 2 * sqrt(2)) * kernel.concentration


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


class _Side:
    """One direction of a batch: anchors of modality a with their positives, against negatives of modality b."""

    def __init__(self, law: PairLaw, kernel: Kernel, drawn: Indices, anchor: int, negative: int) -> None:
        points = law.grid.points()
        self.law, self.kernel, self.anchor, self.negative = law, kernel, anchor, negative
        self.at, self.to = drawn[anchor], drawn[1 - anchor]
        self.anchors, self.positives = points[self.at], points[self.to]
        self.density = law.marginals[negative]
        self.limit = population_infonce(self.anchors, self.positives, points, self.density, kernel)
        own = kernel.concentration * (np.einsum("bd,bd->b", self.anchors, self.positives) - 1)
        self.own_ratio = np.exp(own - self.limit.log_fields)  # k(z, z+)/Gamma(z)

    def loss(self, negatives: Array) -> Loss:
        return infonce(self.anchors, self.positives, negatives, self.kernel)

    def bias(self, loss: Loss, count: int) -> float:
        """The loss less log N less the limit, without the part linear in the field, whose mean is known to be 0."""
        linear = np.exp(loss.log_fields - log(count) - self.limit.log_fields) - 1
        return float(np.mean(loss.terms - log(count) - self.limit.terms - linear))

    def gradient(self, loss: Loss, negatives: Array, modalities: int) -> Array:
        """The gradient with respect to the encoders, (modalities, d, d)."""
        result = np.zeros((modalities, self.anchors.shape[1], self.anchors.shape[1]))
        other = (1 - self.anchor) % modalities
        result[self.anchor] += loss.anchors.T @ self.anchors
        result[other] += loss.positives.T @ self.positives
        result[other] += loss.negatives.T @ negatives
        return result

    def expected_bias(self, negatives: Array) -> Array:
        partner = np.zeros((len(self.at), self.law.grid.size))
        partner[np.arange(len(self.at)), self.to] = self.law.grid.size
        fields = self.limit.log_fields
        each = _expected_bias(self.law, self.kernel, self.at, partner, self.negative, fields, negatives)
        return np.asarray(each.mean(axis=0))

    def effective(self) -> float:
        """Var_w[k/Gamma], the mean over anchors; k^2 is the kernel at tau/2."""
        squared = Kernel(self.kernel.critic, self.kernel.tau / 2)
        points = self.law.grid.points()
        second = population_infonce(self.anchors, self.positives, points, self.density, squared).log_fields
        return float(np.mean(np.exp(second - 2 * self.limit.log_fields) - 1))


def _mean(parts: Sequence[Any]) -> Any:
    """Over the two directions of a symmetric loss, or the one of a plain loss."""
    return sum(parts) / len(parts)


def _energy(law: PairLaw, kernel: Kernel, sides: Sequence[_Side]) -> float:
    """J with the plain partition field of the grid's points, which is what losses of points on the grid tend to."""
    points, size = law.grid.points(), law.grid.size
    potentials, volume = law.potentials(kernel.critic), kernel.log_volume(law.grid.dim)
    # The fields are relative to the kernel's largest value, exp(s/tau) with s = 1 (cosine) or 0 (rbf).
    largest = 1 / kernel.tau if kernel.critic == "cosine" else 0.0
    energy = 0.0
    for side in sides:
        q = law.marginals[side.anchor]
        fields = population_infonce(points, points, points, side.density, kernel).log_fields
        energy += float(q @ potentials[side.anchor]) / (size * kernel.tau) + float(q @ fields) / size + largest - volume
    return energy / len(sides)


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
    nodes = np.exp(np.arange(lowest, highest + _SPACING, _SPACING))
    result = np.empty((len(at), len(negatives)))
    work = len(at) * law.grid.size * len(nodes) * 2
    threads.over_blocks(
        _frullani, len(at), work, np.ascontiguousarray(points[:, at]), points, law.marginals[negative] / law.grid.size,
        partners / law.grid.size, log_fields, kappa, nodes, negatives.astype(np.float64), result,
    )  # fmt: skip
    return result * _SPACING


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _decayed(ratios, rate, masses, partner):
    """E exp(-rate k/Gamma) over the negatives and over the partner."""
    negative, positive = 0.0, 0.0
    for j in range(ratios.size):
        decayed = exp(-rate * ratios[j])
        negative += masses[j] * decayed
        positive += partner[j] * decayed
    return negative, positive


@njit(nogil=True, cache=True, error_model="numpy")
def _frullani(first, last, anchors, points, masses, partners, log_fields, kappa, nodes, numbers, result):
    ratios = np.empty(points.shape[1])
    for i in range(first, last):
        for j in range(ratios.size):
            product = 0.0
            for d in range(points.shape[0]):
                product += anchors[d, i] * points[d, j]
            ratios[j] = np.exp(kappa * (product - 1.0) - log_fields[i])
        result[i] = 0.0
        for node in nodes:
            negative, positive = _decayed(ratios, node, masses, partners[i])
            logarithm = np.log(negative)
            for n in range(numbers.size):
                result[i, n] += np.exp(-node * numbers[n]) - positive * np.exp(numbers[n] * logarithm)


def _expected_gradient_error(sides: Sequence[_Side], modalities: int, negatives: Array) -> Array:
    """Root mean square of |grad L_N - grad L|, to leading order: the positive's softmax share, and the noise of the mean."""
    squared = np.zeros(len(negatives))
    pulls = [_Pulls(side, modalities) for side in sides]
    for index, count in enumerate(negatives.tolist()):
        shift = _mean([pull.shift(count) for pull in pulls])
        noise = sum(pull.noise(count) for pull in pulls) / len(pulls) ** 2
        squared[index] = np.sum(shift**2) + noise
    return np.sqrt(squared)


class _Pulls:
    """What each similarity s(z, w) of a side pulls at the encoders: its gradient there, over kappa."""

    def __init__(self, side: _Side, modalities: int) -> None:
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
