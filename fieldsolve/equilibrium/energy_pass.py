"""The compiled pass over the pixels: local energy, first variation and mirror step in one read and one write."""

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE, exp, jit

BLOCK = 2048  # a block's working arrays stay in the first-level cache

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
def _add_cross(own, other, log_other, out_weight, in_weight, variation):
    """Add what another modality contributes to the variation of this one; return the integral of rho_a log rho_b."""
    cross = 0.0
    for i in range(own.size):
        variation[i] += out_weight * log_other[i] + in_weight * (other[i] / own[i])
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
def mass_pass(first, last, field, shift, log_floor, sums):
    """Write the columns MASS and FLOORED of max(floor, exp(field - shift)) for the blocks from first to last."""
    log_density, density = np.empty(BLOCK), np.empty(BLOCK)
    for block in range(first, last):
        part = field[block * BLOCK : (block + 1) * BLOCK]
        _densities(part, shift, log_floor, log_density, density[: part.size], sums[block])


@jit()
def energy_pass(first, last, linear, scale, mixing, field, shift, floor, log_floor, keep, length, centre, out, sums):
    """Evaluate the energy of a state, and step from it, for the blocks from first to last.

    The energy is the mean of sum_a scale linear_a rho_a + sum_ab mixing_ab rho_a log rho_b with
    log rho_a = max(log_floor, field_a - shift_a), its first variation in rho_a is g_a. Writes
    out_a = keep log rho_a - length (g_a - centre_a) and the partial sums.
    """
    modalities, size = field.shape
    log_densities, densities = np.empty((modalities, BLOCK)), np.empty((modalities, BLOCK))
    variation = np.empty(BLOCK)
    for block in range(first, last):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, size)
        width = stop - start
        for a in range(modalities):
            part = field[a, start:stop]
            _densities(part, shift[a], log_floor, log_densities[a], densities[a], sums[a, block])
        for a in range(modalities):
            own, log_own, g, row = densities[a, :width], log_densities[a, :width], variation[:width], sums[a, block]
            g[:] = 0.0
            for b in range(modalities):
                if b != a:
                    other, log_other = densities[b, :width], log_densities[b, :width]
                    row[CROSS + b] = _add_cross(own, other, log_other, mixing[a, b], mixing[b, a], g)
            part, result = linear[a, start:stop], out[a, start:stop]
            row[CROSS + a] = _step(part, scale, mixing[a, a], floor, log_own, own, keep, length, centre[a], g, result, row)
            row[LEAST] = _least(g)
