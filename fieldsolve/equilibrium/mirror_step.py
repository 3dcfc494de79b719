"""The compiled pass over the points as the energy calls it: means of its sums, and what it writes."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium import energy_pass
from fieldsolve.equilibrium.densities import LogDensity
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Move:
    """What a pass writes: out = keep log rho - length (g - centre)."""

    keep: float
    length: float
    centre: Array
    out: Array


def mean_pass(linear: Array, scale: float, mixing: Array, state: LogDensity, move: Move) -> Array:
    """Run the pass on (1/A) [scale linear + mixing-weighted rho log rho]: the means of its sums, (A, columns).

    linear: (A, N); mixing: (A, A). The column LEAST holds the minimum of the variation instead.
    """
    modalities, size = state.field.shape
    sums = energy_pass.partial_sums(modalities, size)
    # fmt: off
    threads.over_blocks(
        energy_pass.energy_pass, sums.shape[1], modalities * size,
        linear, scale / modalities, mixing / modalities,
        state.field, state.shift, state.floor, state.log_floor, state.log_weights,
        move.keep, move.length, move.centre, move.out, sums,
    )
    # fmt: on
    means = sums.sum(axis=1) / size
    means[:, energy_pass.LEAST] = sums[:, :, energy_pass.LEAST].min(axis=1)
    return np.asarray(means)
