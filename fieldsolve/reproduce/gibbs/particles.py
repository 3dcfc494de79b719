"""Experiment D.2's baseline: particles on S^2 that descend a kernel estimate of the intrinsic functional, with noise."""

from math import comb

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, exp, jit

COUNT, STEPS = 768, 5000
BANDWIDTH = 0.35  # of exp(-d^2/(2 h^2)), d the angle between two particles
NOISE, LEARNING_RATE = 0.06, 0.05

_DECAY, _SQUARED_DECAY, _TINY = 0.9, 0.999, 1e-8  # Adam's

# d^2 = 8 sum_k (4 u)^k/(k^2 binom(2k, k)), u = sin^2(d/4) <= 1/2. What 14 terms leave out changes no kernel value by more than
# 1e-15 of the largest: where the series converges slowly the kernel is small.
_TERMS = np.array([8.0 * 4.0**k / (k**2 * comb(2 * k, k)) for k in range(1, 15)])


def settle_particles(tau: float, wells: Array, concentration: float, seed: int, steps: int = STEPS, count: int = COUNT) -> Array:
    """Particles (count, 3) after Adam on mean U/tau + mean log KDE at rate 0.05, with noise 0.06 after each step [(70), (71)].

    U(z) = -(1/kappa) log mean_i exp(kappa z.m_i), wells m (m, 3). The variables are unconstrained vectors x, and z = x/|x|: as
    |x| grows, steps and noise become smaller angles. The KDE of a particle counts itself. seed: of the first positions, which are
    uniform, and of the noise.
    """
    rng = np.random.default_rng(seed)
    variables = rng.standard_normal((3, count))
    variables /= np.linalg.norm(variables, axis=0)
    state = np.zeros((2, 3, count))
    buffers = np.empty((count, count))
    for step in range(steps):
        _step(variables, state, buffers, step + 1, 1 / tau, wells, concentration, BANDWIDTH, rng.standard_normal((3, count)))
    return np.ascontiguousarray((variables / np.linalg.norm(variables, axis=0)).T)


def objective(particles: Array, tau: float, wells: Array, concentration: float) -> tuple[float, Array]:
    """mean U/tau + mean log (1/n) sum_j exp(-d_ij^2/(2 h^2)), and its gradient tangent to the sphere; particles: (n, 3)."""
    count = len(particles)
    gradient = np.empty((3, count))
    points = np.ascontiguousarray(particles.T)
    value = _objective(points, np.empty((count, count)), 1 / tau, wells, concentration, BANDWIDTH, gradient)
    return value, np.ascontiguousarray(gradient.T)


@jit(REDUCE_NUMBERS)
def _kernel_row(points, x, y, z, rate, slopes):
    """Sum of exp(-rate d^2) over all points, and the derivative of each term in the cosine of d."""
    total = 0.0
    for j in range(slopes.size):
        cosine = min(max(x * points[0, j] + y * points[1, j] + z * points[2, j], -1.0 + 1e-12), 1.0)
        half = np.sqrt((1.0 + cosine) / 2.0)
        u = (1.0 - half) / 2.0
        square, derivative = 0.0, 0.0
        for k in range(_TERMS.size - 1, -1, -1):
            derivative = derivative * u + square
            square = square * u + _TERMS[k]
        derivative = derivative * u + square
        value = exp(-rate * square * u)
        total += value
        slopes[j] = value * rate * derivative / (8.0 * half)
    return total


@jit(REDUCE_NUMBERS)
def _pulled(points, slopes, own, others):
    x, y, z = 0.0, 0.0, 0.0
    for j in range(slopes.size):
        pull = slopes[j] * (own + others[j])
        x += pull * points[0, j]
        y += pull * points[1, j]
        z += pull * points[2, j]
    return x, y, z


@jit()
def _objective(points, slopes, inverse_tau, wells, concentration, bandwidth, gradient):
    count = points.shape[1]
    rate = 1.0 / (2.0 * bandwidth**2)
    inverse = np.empty(count)
    value = 0.0
    for i in range(count):
        density = _kernel_row(points, points[0, i], points[1, i], points[2, i], rate, slopes[i])
        value += np.log(density / count)
        inverse[i] = 1.0 / density
    for i in range(count):
        pull = _pulled(points, slopes[i], inverse[i], inverse)
        total, means = 0.0, np.zeros(3)
        for well in range(len(wells)):
            cosine = wells[well, 0] * points[0, i] + wells[well, 1] * points[1, i] + wells[well, 2] * points[2, i]
            weight = np.exp(concentration * (cosine - 1.0))
            total += weight
            means += weight * wells[well]
        value -= inverse_tau * (1.0 + np.log(total / len(wells)) / concentration)
        along = 0.0
        for k in range(3):
            gradient[k, i] = pull[k] - inverse_tau * means[k] / total
            along += gradient[k, i] * points[k, i]
        for k in range(3):
            gradient[k, i] = (gradient[k, i] - along * points[k, i]) / count
    return value / count


@jit()
def _step(variables, state, slopes, age, inverse_tau, wells, concentration, bandwidth, noise):
    count = variables.shape[1]
    lengths, points, gradient = np.empty(count), np.empty_like(variables), np.empty_like(variables)
    for i in range(count):
        lengths[i] = np.sqrt(variables[0, i] ** 2 + variables[1, i] ** 2 + variables[2, i] ** 2)
        for k in range(3):
            points[k, i] = variables[k, i] / lengths[i]
    _objective(points, slopes, inverse_tau, wells, concentration, bandwidth, gradient)
    for i in range(count):
        for k in range(3):
            slope = gradient[k, i] / lengths[i]
            state[0, k, i] = _DECAY * state[0, k, i] + (1.0 - _DECAY) * slope
            state[1, k, i] = _SQUARED_DECAY * state[1, k, i] + (1.0 - _SQUARED_DECAY) * slope * slope
            first, second = state[0, k, i] / (1.0 - _DECAY**age), state[1, k, i] / (1.0 - _SQUARED_DECAY**age)
            variables[k, i] += NOISE * noise[k, i] - LEARNING_RATE * first / (np.sqrt(second) + _TINY)
