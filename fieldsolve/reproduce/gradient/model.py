"""Experiment D.1: the gradient of InfoNCE in a linear encoder, with N negatives against all 4096 of its pool."""

from dataclasses import dataclass, replace

import numpy as np

from fieldsolve.numerics.arrays import Array

CRITICS = ("cosine", "rbf")
COUNTS = tuple(2**k for k in range(2, 11))
POOL, ANCHORS = 4096, 64
INPUTS, OUTPUTS = 64, 128
#: gamma of s/tau = -gamma |z - w|^2/2 + const: 1/0.1 for the cosine of unit vectors; for -|z - w|^2/128 at tau = 1, 2/128.
RATE = {"cosine": 10.0, "rbf": 1 / 64}
AUGMENTATION = {"cosine": 0.05, "rbf": 0.2}

_COMPONENTS, _SEPARATION = 4, 4.0
_INFLUENCES = 256  # negatives of the pool whose influence on the gradient stands for all


@dataclass(frozen=True, eq=False)
class _Encoded:
    """Inputs (n, INPUTS) and what the encoder makes of them: W x/|W x| for the cosine critic, tanh(W x) for rbf."""

    inputs: Array
    points: Array
    lengths: Array | None

    def pull_back(self, vectors: Array) -> Array:
        """Gradients with respect to the points, (n, OUTPUTS), as gradients with respect to W x."""
        if self.lengths is None:
            return np.asarray(vectors * (1 - self.points**2))
        along = np.einsum("nd,nd->n", vectors, self.points)
        return np.asarray((vectors - along[:, None] * self.points) / self.lengths[:, None])

    def in_weights(self, vectors: Array) -> Array:
        """The same, summed into a gradient with respect to W, (OUTPUTS, INPUTS)."""
        return np.asarray(self.pull_back(vectors).T @ self.inputs)

    def each_in_weights(self, vectors: Array) -> Array:
        """The same without the sum, (n, OUTPUTS * INPUTS)."""
        return np.asarray((self.pull_back(vectors)[:, :, None] * self.inputs[:, None, :]).reshape(len(vectors), -1))


@dataclass(frozen=True, eq=False)
class Batch:
    """Anchors, positives and a pool of negatives, encoded; rate: gamma of the critic."""

    rate: float
    anchors: _Encoded
    positives: _Encoded
    pool: _Encoded

    def first(self, count: int) -> "Batch":
        """The same with the first negatives of the pool only."""
        lengths = None if self.pool.lengths is None else self.pool.lengths[:count]
        return replace(self, pool=_Encoded(self.pool.inputs[:count], self.pool.points[:count], lengths))

    def exponents(self) -> tuple[Array, Array]:
        """-gamma |z - w|^2/2 of every anchor and its positive, (B,), and of every anchor and negative, (B, n)."""
        z, w = self.anchors.points, self.pool.points
        squares = np.sum(z**2, axis=1)[:, None] + np.sum(w**2, axis=1) - 2 * z @ w.T
        own = np.sum((z - self.positives.points) ** 2, axis=1)
        return -self.rate / 2 * own, -self.rate / 2 * squares


@dataclass(frozen=True, eq=False)
class Agreement:
    """Gradients in W with the first N negatives against that with all 4096, arrays over COUNTS.

    alignment: their cosine; error: |g_N - g|/|g|. predicted_error: the error to leading order, sqrt(bias^2 + spread^2); bias:
    what is left of it when negatives are replaced by their mean field: the positive's own term; share: the mean over anchors of
    the positive's softmax share among N negatives.
    """

    alignment: Array
    error: Array
    predicted_error: Array
    bias: Array
    share: Array


def draw_batch(critic: str, seed: int) -> Batch:
    """A batch of D.1: four unit Gaussians in R^64 around random directions times 4, and W (128, 64) with entries N(0, 1/64)."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((_COMPONENTS, INPUTS))
    means *= _SEPARATION / np.linalg.norm(means, axis=1, keepdims=True)
    encoder = rng.standard_normal((OUTPUTS, INPUTS)) / np.sqrt(INPUTS)

    def encode(inputs: Array) -> _Encoded:
        raw = inputs @ encoder.T
        if critic == "rbf":
            return _Encoded(inputs, np.tanh(raw), None)
        lengths = np.linalg.norm(raw, axis=1)
        return _Encoded(inputs, raw / lengths[:, None], lengths)

    def mixture(count: int) -> Array:
        return np.asarray(means[rng.integers(_COMPONENTS, size=count)] + rng.standard_normal((count, INPUTS)))

    anchors, pool = mixture(ANCHORS), mixture(POOL)
    positives = anchors + AUGMENTATION[critic] * rng.standard_normal(anchors.shape)
    return Batch(RATE[critic], encode(anchors), encode(positives), encode(pool))


def compare_batch(batch: Batch) -> Agreement:
    """Compare the gradients with the first N negatives to that with all of them, and to what theory expects.

    To leading order the gradient with N negatives is that with their mean field, which keeps the share k+/(k+ + N Gamma) of the
    positive in each anchor's softmax, and a sum of N independent influences: error^2 = bias^2 + (1/N - 1/4096) spread^2.
    """
    size = len(batch.pool.inputs)
    own, others = batch.exponents()
    top = np.maximum(own, others.max(axis=1))
    kernels, positive = np.exp(others - top[:, None]), np.exp(own - top)
    whole = _mean_field_gradient(batch, kernels, positive, size)[0]
    scale = np.linalg.norm(whole)
    gradients = [gradient(batch.first(count)) for count in COUNTS]
    fields = [_mean_field_gradient(batch, kernels, positive, count) for count in COUNTS]
    bias = np.array([np.linalg.norm(one - whole) / scale for one, _ in fields])
    spreads = _influences(batch, kernels, [share for _, share in fields])
    variance = np.array([spread * (1 / count - 1 / size) for spread, count in zip(spreads, COUNTS, strict=True)])
    return Agreement(
        alignment=np.array([np.vdot(one, whole) / (np.linalg.norm(one) * scale) for one in gradients]),
        error=np.array([np.linalg.norm(one - whole) / scale for one in gradients]),
        predicted_error=np.sqrt(bias**2 + variance / scale**2),
        bias=bias,
        share=np.array([share.mean() for _, share in fields]),
    )


def gradient(batch: Batch) -> Array:
    """The gradient in W of the mean of -s(z, z+)/tau + log(k(z, z+) + sum_n k(z, w_n)) [(1)], (OUTPUTS, INPUTS)."""
    own, others = batch.exponents()
    top = np.maximum(own, others.max(axis=1))
    return _mean_field_gradient(batch, np.exp(others - top[:, None]), np.exp(own - top), len(batch.pool.inputs))[0]


def _mean_field_gradient(batch: Batch, kernels: Array, positive: Array, count: int) -> tuple[Array, Array]:
    """The gradient with the sum over negatives replaced by `count` times their mean, and the positives' softmax shares, (B,)."""
    total = positive + count * kernels.mean(axis=1)
    share = positive / total
    weights = (count / kernels.shape[1]) * kernels / total[:, None]
    z, partners, w = batch.anchors.points, batch.positives.points, batch.pool.points
    to_anchors = (share - 1)[:, None] * (partners - z) + weights @ w - weights.sum(axis=1)[:, None] * z
    to_partners = (share - 1)[:, None] * (z - partners)
    to_negatives = weights.T @ z - weights.sum(axis=0)[:, None] * w
    sides = ((batch.anchors, to_anchors), (batch.positives, to_partners), (batch.pool, to_negatives))
    return np.asarray(batch.rate / len(z) * sum(side.in_weights(vectors) for side, vectors in sides)), share


def _influences(batch: Batch, kernels: Array, shares: list[Array]) -> list[float]:
    """The variance over negatives of N times what one more adds to the gradient, for the positives' shares at each N.

    A negative adds (1/B) sum_b (1 - share_b) k_bn/Gamma_b (grad s_bn - its softmax mean)/tau.
    """
    z, partners, w = batch.anchors.points, batch.positives.points, batch.pool.points
    few = batch.first(_INFLUENCES).pool
    softmax = kernels / kernels.sum(axis=1, keepdims=True)
    own = batch.anchors.each_in_weights(partners - z) + batch.positives.each_in_weights(z - partners)
    mean = batch.anchors.each_in_weights(softmax @ w - z)
    for b, weights in enumerate(softmax):
        mean[b] += batch.pool.in_weights(weights[:, None] * (z[b] - w)).ravel()
    ratios = (kernels / kernels.mean(axis=1, keepdims=True))[:, :_INFLUENCES]
    variances = []
    for share in shares:
        weights = (1 - share)[:, None] * ratios
        added = few.each_in_weights(weights.T @ z - weights.sum(axis=0)[:, None] * few.points)
        for n in range(_INFLUENCES):
            added[n] += batch.anchors.in_weights(weights[:, n, None] * (few.points[n] - z)).ravel()
        added -= weights.T @ (share[:, None] * own + (1 - share)[:, None] * mean)
        variances.append(float((batch.rate / len(z)) ** 2 * np.sum(np.var(added, axis=0, ddof=1))))
    return variances
