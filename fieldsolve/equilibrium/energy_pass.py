"""The compiled pass over the pixels: local energy, first variation and mirror step in one read and one write."""

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE, exp, jit

BLOCK = 2048  # a block's working arrays stay in the first-level cache

#: Of masses that are counted, where points have weights.
LEAST_LOG = -700.0

# Columns of the partial sums (one row a modality and block); the cross terms follow, one a modality.
MASS, FLOORED, SLOPE, LEAST, BINDING, CROSS = range(6)


def partial_sums(modalities: int, size: int) -> Array:
    """An array for the partial sums of `modalities` fields of `size` points."""
    return np.zeros((modalities, -(-size // BLOCK), CROSS + modalities))


@jit(REDUCE)
def _densities(field, shift, log_floor, log_density, density, row):
    for i in range(field.size):
        log_density[i] = max(field[i] - shift, log_floor)
        density[i] = exp(log_density[i])
    mass, floored = 0.0, 0.0
    for i in range(field.size):
        mass += density[i]
        floored += 0.0 if log_density[i] > log_floor else 1.0
    row[MASS], row[FLOORED] = mass, floored


@jit(REDUCE)
def _weighted_densities(field, shift, log_floor, log_weights, log_density, density, row):
    """The same of points with weights: log rho, and weight times rho, 0 below all numbers."""
    mass, floored = 0.0, 0.0
    for i in range(field.size):
        log_density[i] = max(field[i] - shift, log_floor)
        log_mass = log_density[i] + log_weights[i]
        density[i] = exp(log_mass) if log_mass > LEAST_LOG else 0.0
        mass += density[i]
        floored += 0.0 if log_density[i] > log_floor or log_weights[i] < LEAST_LOG else exp(log_weights[i])
    row[MASS], row[FLOORED] = mass, floored


@jit(REDUCE)
def _add_cross(own, other, log_other, out_weight, in_weight, variation):
    """Add what another modality contributes to the variation of this one; return the integral of rho_a log rho_b."""
    cross = 0.0
    for i in range(own.size):
        variation[i] += out_weight * log_other[i] + in_weight * (other[i] / own[i])
        cross += own[i] * log_other[i]
    return cross


@jit(REDUCE)
def _add_weighted_cross(own, log_own, log_other, out_weight, in_weight, variation):
    """The same where densities times weights may both be below all numbers."""
    cross = 0.0
    for i in range(own.size):
        variation[i] += out_weight * log_other[i] + in_weight * exp(log_other[i] - log_own[i])
        cross += own[i] * log_other[i]
    return cross


@jit(REDUCE)
def _step(linear, scale, own_weight, floor, log_density, density, keep, length, centre, variation, out, row):
    slope, binding, own = 0.0, 0.0, 0.0
    for i in range(out.size):
        bound = scale * linear[i]
        variation[i] += bound + own_weight * (log_density[i] + 1.0)
        out[i] = keep * log_density[i] - length * (variation[i] - centre)
        slope += variation[i] * (density[i] - floor)
        binding += bound * density[i]
        own += density[i] * log_density[i]
    row[SLOPE], row[BINDING] = slope, binding
    return own


@jit(REDUCE)
def _weighted_slope(variation, density, log_density, floor, log_floor, log_weights):
    """The integral of a variation over what a density has above the floor."""
    total = 0.0
    for i in range(variation.size):
        excess = density[i] - (floor * exp(log_weights[i]) if log_weights[i] > LEAST_LOG else 0.0)
        total += variation[i] * excess if log_density[i] > log_floor else 0.0
    return total


@jit(REDUCE)
def _least(values):
    """The minimum, by folding halves in place: a running minimum would wait for itself at every element."""
    width = values.size
    while width > 1:
        half = (width + 1) // 2
        for i in range(width - half):
            values[i] = min(values[i], values[half + i])
        width = half
    return values[0]


@jit()
def mass_pass(first, last, field, shift, log_floor, log_weights, sums):
    """Write the columns MASS and FLOORED of max(floor, exp(field - shift)) for the blocks from first to last.

    log_weights: (N,) of the points, or (1,) where all are 1.
    """
    log_density, density = np.empty(BLOCK), np.empty(BLOCK)
    for block in range(first, last):
        part = field[block * BLOCK : (block + 1) * BLOCK]
        if log_weights.size > 1:
            weights = log_weights[block * BLOCK : (block + 1) * BLOCK]
            _weighted_densities(part, shift, log_floor, weights, log_density, density, sums[block])
        else:
            _densities(part, shift, log_floor, log_density, density[: part.size], sums[block])


@jit()
def energy_pass(first, last, linear, scale, mixing, field, shift, floor, log_floor, log_weights, keep, length, centre, out, sums):
    """Evaluate the energy of a state, and step from it, for the blocks from first to last.

    The energy is the mean of sum_a scale linear_a rho_a + sum_ab mixing_ab rho_a log rho_b with
    log rho_a = max(log_floor, field_a - shift_a), its first variation in rho_a is g_a. Writes
    out_a = keep log rho_a - length (g_a - centre_a) and the partial sums. log_weights: (N,) of the points in the mean, or (1,)
    where all are 1.
    """
    modalities, size = field.shape
    is_weighted = log_weights.size > 1
    log_densities, densities = np.empty((modalities, BLOCK)), np.empty((modalities, BLOCK))
    variation = np.empty(BLOCK)
    for block in range(first, last):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, size)
        width = stop - start
        for a in range(modalities):
            part = field[a, start:stop]
            if is_weighted:
                weights = log_weights[start:stop]
                _weighted_densities(part, shift[a], log_floor, weights, log_densities[a], densities[a], sums[a, block])
            else:
                _densities(part, shift[a], log_floor, log_densities[a], densities[a], sums[a, block])
        for a in range(modalities):
            own, log_own, g, row = densities[a, :width], log_densities[a, :width], variation[:width], sums[a, block]
            g[:] = 0.0
            for b in range(modalities):
                if b != a:
                    other, log_other = densities[b, :width], log_densities[b, :width]
                    if is_weighted:
                        row[CROSS + b] = _add_weighted_cross(own, log_own, log_other, mixing[a, b], mixing[b, a], g)
                    else:
                        row[CROSS + b] = _add_cross(own, other, log_other, mixing[a, b], mixing[b, a], g)
            part, result = linear[a, start:stop], out[a, start:stop]
            even_floor = 0.0 if is_weighted else floor
            row[CROSS + a] = _step(part, scale, mixing[a, a], even_floor, log_own, own, keep, length, centre[a], g, result, row)
            if is_weighted:
                row[SLOPE] = _weighted_slope(g, own, log_own, floor, log_floor, log_weights[start:stop])
            row[LEAST] = _least(g)
