"""Several densities made of the minimisers of their dual: points are dealt to modalities that cost the same, so that masses fit."""

import numpy as np

from fieldsolve.equilibrium import local_many
from fieldsolve.equilibrium.densities import LogDensity
from fieldsolve.equilibrium.dual_many import ManyDual, point_box
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.starts import tilts
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import jit

_TIED = 1e-6  # costs, and values per mass, that differ by no more count as the same
_APART = 1e-5  # change of all multipliers, relative to 1 + their size, at which minimisers of more and of less mass are looked for


def of_dual(energy: Energy, floor: float, found: ManyDual, in_slabs: bool = False) -> LogDensity:
    """The minimisers of the dual of several densities, dealt so that masses fit to less than a pixel's.

    Points are dealt in the order of their potential: where modalities cost the same, the one with least mass so far gets most. Where
    minimisers with more and with less mass cost the same, the one is taken that leaves less missing. in_slabs: what may go to any
    modality goes to that of a slab across a generic direction, so that densities are smooth; the masses are then scaled to fit.
    """
    linear = energy.potentials / energy.tau
    box = point_box(energy.potentials, floor, energy.strength or 0.0)
    modalities, size = linear.shape
    shift = _APART * (1 + np.abs(found.multipliers).max())
    choices = np.empty((3, modalities, size))
    orders = np.empty((modalities, size), dtype=np.int64)
    blocks, work = -(-size // local_many.BLOCK), 60 * modalities**3 * size
    for choice, offset in zip(choices, (shift, -shift, 0.0), strict=True):
        threads.over_blocks(local_many.minima_pass, blocks, work, linear, found.multipliers + offset, box, choice, orders)
    rank = np.argsort(linear.mean(axis=0), kind="stable")
    preferred = np.full(size, -1, dtype=np.int64)
    if in_slabs:
        across = np.argsort(-tilts(energy.grid, 1, 1.0)[0], kind="stable")
        more = np.cumsum(choices[2, 0, across] - choices[2, 1:, across].mean(axis=1))
        preferred[across] = np.minimum(modalities * more / max(more[-1], np.finfo(np.float64).tiny), modalities - 1).astype(np.int64)
    dealt = np.empty_like(linear)
    _deal(linear, found.multipliers, box, rank, choices, orders, preferred, dealt)
    return LogDensity(np.log(dealt), np.log(dealt.mean(axis=1)), floor)


@jit()
def _deal(
    linear: Array,
    nu: Array,
    box: local_many.Box,
    rank: Indices,
    choices: Array,
    orders: Indices,
    preferred: Indices,
    dealt: Array,
) -> None:
    modalities = len(linear)
    ahead, trial, logs = np.zeros(modalities), np.empty(modalities), np.empty(modalities)
    costs, values, placed = np.empty(modalities), np.empty(3), np.empty(modalities, dtype=np.int64)
    for point in rank:
        order = orders[:, point]
        for place in range(modalities):
            costs[place] = linear[order[place], point] - nu[order[place]]
        for choice in range(3):
            x, total, own, linear_part = choices[choice, :, point], 0.0, 0.0, 0.0
            for place in range(modalities):
                logs[place] = np.log(x[place])
                total += x[place]
                own += x[place] * logs[place]
                linear_part += costs[place] * x[place]
            values[choice] = linear_part + box.kappa * own + box.mu * total * logs.sum()
        least, best = values.min(), np.inf
        for choice in range(3):
            x = choices[choice, :, point]
            if values[choice] - least > _TIED * x.sum():
                continue
            # Places go to modalities in the order of cost; those that cost the same take turns by what they have.
            placed[:] = order
            first = 0
            while first < modalities:
                last = first
                while last + 1 < modalities and costs[last + 1] - costs[first] <= _TIED:
                    last += 1
                for place in range(first, last):
                    take = place
                    for other in range(place + 1, last + 1):
                        is_wanted = placed[other] == preferred[point] and place == first
                        is_held = placed[take] == preferred[point] and place == first
                        if is_wanted or (not is_held and ahead[placed[other]] < ahead[placed[take]]):
                            take = other
                    placed[place], placed[take] = placed[take], placed[place]
                first = last + 1
            missing = 0.0
            for place in range(modalities):
                trial[placed[place]] = x[place]
            for a in range(modalities):
                missing += (ahead[a] + trial[a] - 1) ** 2
            if missing < best:
                best = missing
                dealt[:, point] = trial
        for a in range(modalities):
            ahead[a] += dealt[a, point] - 1
