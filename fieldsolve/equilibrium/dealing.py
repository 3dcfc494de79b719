"""Several densities made of the minimisers of their dual: points are dealt to modalities, so that masses fit."""

import numpy as np

from fieldsolve.equilibrium import local_many
from fieldsolve.equilibrium.densities import LogDensity
from fieldsolve.equilibrium.dual_many import ManyDual, minima, point_box
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.starts import tilts

_TIED = 1e-6  # costs, and values per mass, that differ by no more count as the same
_APART = (
    1e-5  # change of all multipliers, relative to 1 + their size, at which minimisers of more and of less mass are looked for
)


def of_dual(energy: Energy, floor: float, found: ManyDual, in_slabs: bool = False) -> LogDensity:
    """The minimisers of the dual of several densities, dealt so that masses fit to less than a pixel's.

    Points are dealt in the order of their potential: where modalities cost the same, the one with least mass so far gets most.
    Where minimisers with more and with less mass cost the same, the one is taken that leaves less missing. in_slabs: what may
    go to any modality goes to that of a slab across a generic direction, so that densities are smooth; the masses are then
    scaled to fit.
    """
    linear = energy.potentials / energy.tau
    box = point_box(energy.potentials, floor, energy.strength or 0.0, energy.grid.weights)
    modalities, size = linear.shape
    weights = np.ones(size) * energy.grid.weights
    shift = _APART * (1 + np.abs(found.multipliers).max())
    found_at = [minima(linear, found.multipliers + offset, box) for offset in (shift, -shift, 0.0)]
    choices, orders = np.stack([least for least, _ in found_at]), found_at[-1][1]
    rank = np.argsort(linear.mean(axis=0), kind="stable")
    preferred = np.full(size, -1, dtype=np.int64)
    if in_slabs:
        across = np.argsort(-tilts(energy.grid, 1, 1.0)[0], kind="stable")
        more = np.cumsum(weights[across] * (choices[2, 0, across] - choices[2, 1:, across].mean(axis=1)))
        preferred[across] = np.minimum(modalities * more / max(more[-1], np.finfo(np.float64).tiny), modalities - 1).astype(
            np.int64
        )
    dealt = np.empty_like(linear)
    local_many.deal(linear, found.multipliers, box, weights, rank, choices, orders, preferred, _TIED, dealt)
    shift = np.log((weights * dealt).mean(axis=1))
    return LogDensity(np.log(dealt), shift, floor, energy.grid.log_weights)
