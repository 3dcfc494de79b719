"""Experiment D.3's training: two linear encoders under the symmetric CLIP loss and Adam."""

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import jit
from fieldsolve.numerics.errors import InputError
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gap.modes import dispersal, spectrum
from fieldsolve.reproduce.gap.population import KERNEL, TAU

BATCH, STEPS, LEARNING_RATE = 256, 2000, 5e-3

_AT_ONCE = 1 << 16  # pairs drawn at a time
_DECAY, _SQUARED_DECAY, _TINY = 0.9, 0.999, 1e-8  # Adam's


def train(law: Misaligned, seed: int, batch: int = BATCH, steps: int = STEPS) -> Array:
    """The encoders (2, 2, 2) after training by Adam at rate 5e-3 on fresh batches, from entries uniform in +-1/sqrt(2) [D.3].

    The loss is symmetric InfoNCE [(2)]: the mean over a batch of -cos(a1 - a2)/tau and of the logarithms of the batch's own
    partition fields. Those are summed by their Fourier modes, so that a step's cost is proportional to the batch. seed: of
    the first encoders and of all batches. The paper does not say how it starts; this is how linear layers commonly do, and from
    larger entries more runs end separated. Raises InputError for less than two pairs or one step.
    """
    if batch < 2 or steps < 1:
        raise InputError(f"training needs a batch of at least 2 pairs and at least one step, not {batch} and {steps}")
    rng = np.random.default_rng(seed)
    encoders = rng.uniform(-(0.5**0.5), 0.5**0.5, (2, 2, 2))
    state = np.zeros((2, *encoders.shape))
    at_once = max(1, _AT_ONCE // batch)
    for first in range(0, steps, at_once):
        count = min(at_once, steps - first)
        pairs = law.sample(count * batch, rng).reshape(2, count, batch, 2)
        _descend(pairs, encoders, state, first, spectrum(KERNEL), TAU, LEARNING_RATE)
    return encoders


def loss(encoders: Array, pairs: Array) -> tuple[float, Array]:
    """The symmetric CLIP loss of a batch less log(B V), and its gradient (2, 2, 2); pairs: (2, B, 2) observations."""
    gradient = np.empty((2, 2, 2))
    value = _loss(np.asarray(pairs, dtype=np.float64), encoders, spectrum(KERNEL), TAU, gradient)
    return value, gradient


@jit()
def _loss(pairs, encoders, factors, tau, gradient):
    batch = pairs.shape[1]
    points, lengths = np.empty((2, batch, 2)), np.empty((2, batch))
    for a in range(2):
        for i in range(batch):
            x = encoders[a, 0, 0] * pairs[a, i, 0] + encoders[a, 0, 1] * pairs[a, i, 1]
            y = encoders[a, 1, 0] * pairs[a, i, 0] + encoders[a, 1, 1] * pairs[a, i, 1]
            lengths[a, i] = np.sqrt(x * x + y * y)
            points[a, i, 0], points[a, i, 1] = x / lengths[a, i], y / lengths[a, i]
    weights = np.full(batch, 1.0 / batch)
    slopes = np.empty((2, batch))
    value = dispersal(points[0], points[1], weights, weights, factors, slopes[0], slopes[1])
    gradient[:] = 0.0
    for i in range(batch):
        cosine = points[0, i, 0] * points[1, i, 0] + points[0, i, 1] * points[1, i, 1]
        sine = points[0, i, 1] * points[1, i, 0] - points[0, i, 0] * points[1, i, 1]
        value -= cosine / (tau * batch)
        slopes[0, i] += sine / (tau * batch)
        slopes[1, i] -= sine / (tau * batch)
    for a in range(2):
        for i in range(batch):
            pull = slopes[a, i] / lengths[a, i]
            for k in range(2):
                gradient[a, 0, k] -= pull * points[a, i, 1] * pairs[a, i, k]
                gradient[a, 1, k] += pull * points[a, i, 0] * pairs[a, i, k]
    return value


@jit()
def _descend(pairs, encoders, state, done, factors, tau, rate):
    """Steps of Adam, one for each batch (2, steps, batch, 2); state: means of the gradient and of its square."""
    gradient = np.empty_like(encoders)
    flat, mean, square, slope = encoders.ravel(), state[0].ravel(), state[1].ravel(), gradient.ravel()
    for step in range(pairs.shape[1]):
        _loss(pairs[:, step], encoders, factors, tau, gradient)
        age = done + step + 1
        for i in range(flat.size):
            mean[i] = _DECAY * mean[i] + (1.0 - _DECAY) * slope[i]
            square[i] = _SQUARED_DECAY * square[i] + (1.0 - _SQUARED_DECAY) * slope[i] ** 2
            first, second = mean[i] / (1.0 - _DECAY**age), square[i] / (1.0 - _SQUARED_DECAY**age)
            flat[i] -= rate * first / (np.sqrt(second) + _TINY)
