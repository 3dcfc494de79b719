"""Two densities made of the minimisers of their dual: which of its cheapest pairs each point takes, so that masses fit."""

import numpy as np
from numpy.typing import NDArray

from fieldsolve.equilibrium import local_passes
from fieldsolve.equilibrium.densities import LogDensity
from fieldsolve.equilibrium.dual import Dual, point_box
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.local_passes import MASS_1, MASS_2, RESPONSE_11, WORK
from fieldsolve.equilibrium.local_problem import FIRST, Box
from fieldsolve.equilibrium.starts import tilts
from fieldsolve.grids import Grid
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices

_TIED = 1e-6  # pairs whose values differ by so little of the mass between them cost the same
_MOST_EXCHANGED = 4096  # points next to a cut: with more there is less than a pixel missing by far
_MOST_ITERATIONS = 20  # of Newton's method for the multipliers; four are usual
_BALANCED = 1e-13  # mass that may be missing


def of_dual(energy: Energy, floor: float, found: Dual) -> tuple[LogDensity, LogDensity]:
    """The pairs that minimise the dual of two coupled densities, with ties shared so that masses fit: to rounding, and nearly.

    With equal potentials every separated pair costs the same as its mirror image: the first modality gets one side of the
    sphere and the second the other, cut across a generic direction. What mass is missing then, as far as it can be, is
    made up by exchanging pairs that cost the same, next to the cut. The rest, less than a pixel has, is made up by
    the multipliers, at which every pair stays on its sheet: a stationary state. Where another choice of sheets is better, as it
    may be on coarse grids, a descent from the state before that may find it.
    """
    linear = energy.potentials / energy.tau
    grid = energy.grid
    box = point_box(energy.potentials, floor, energy.strength or 0.0, grid.weights)
    sheets = _chosen(grid, linear, found.multipliers, box)
    met, nearly = (
        LogDensity(fields, np.zeros(2), floor, grid.log_weights)
        for fields in _on_sheets(linear, found.multipliers, box, sheets, grid.weights)
    )
    return met, nearly


def _chosen(grid: Grid, linear: Array, multipliers: tuple[float, float], box: Box) -> NDArray[np.int8]:
    size = linear.shape[1]
    sheets, is_mirrored, is_tied = np.empty(size, dtype=np.int8), np.empty(size, dtype=bool), np.empty(size, dtype=bool)
    gains, sums, weights = np.empty((2, size)), local_passes.partial_sums(size), grid.weights
    threads.over_blocks(
        local_passes.choice_pass, len(sums), WORK * size,
        linear, *multipliers, box, weights, _TIED, sheets, is_mirrored, is_tied, gains, sums,
    )  # fmt: skip
    missing = size - sums.sum(axis=0)[[MASS_1, MASS_2]]
    gains *= weights
    height, cut = tilts(grid, 1, 1.0)[0], 0.0
    across = np.flatnonzero(is_mirrored)
    across = across[np.argsort(-height[across], kind="stable")]
    if len(across):
        gained = np.cumsum(np.insert(gains[:, across], 0, 0.0, axis=1), axis=1)
        count = int(np.argmin(((missing[:, None] - gained) ** 2).sum(axis=0)))
        sheets[across[:count]] = FIRST
        missing = missing - gained[:, count]
        cut = float(height[across[max(count - 1, 0)]])
        nearest = max(0, count - _MOST_EXCHANGED // 2)
        is_tied[across[nearest : nearest + _MOST_EXCHANGED]] = True
    tied = np.flatnonzero(is_tied)
    if len(tied):
        tied = tied[np.argsort(np.abs(height[tied] - cut), kind="stable")]
        _exchange(linear, multipliers, box, tied, missing, sheets, weights)
    return sheets


def _exchange(
    linear: Array,
    multipliers: tuple[float, float],
    box: Box,
    tied: Indices,
    missing: Array,
    sheets: NDArray[np.int8],
    weights: Array,
) -> None:
    """Make up for missing mass by exchanging sheets of tied points, in their order."""
    values, pairs = np.empty((3, len(tied))), np.empty((2, 3, len(tied)))
    there = np.ascontiguousarray(linear[:, tied])
    blocks, work = local_passes.blocks_of(len(tied)), WORK * len(tied)
    here = weights if weights.size == 1 else weights[tied]
    among = here if weights.size == 1 else here * (len(tied) / weights.size)  # the passes take these points for all
    threads.over_blocks(local_passes.minima_pass, blocks, work, there, *multipliers, box, among, values, pairs)
    values *= here
    pairs *= here
    own = sheets[tied]
    left = local_passes.exchange(values, pairs, _TIED, *missing.tolist(), own)
    few = slice(0, _MOST_EXCHANGED)
    local_passes.exchange_best(values[:, few], pairs[:, :, few], _TIED, *left, own[few])
    sheets[tied] = own


def _on_sheets(
    linear: Array, multipliers: tuple[float, float], box: Box, sheets: NDArray[np.int8], weights: Array
) -> tuple[Array, Array]:
    """The logarithms of the pairs on given sheets: at multipliers close by at which masses are 1, and at those given."""
    size = linear.shape[1]
    sums = local_passes.partial_sums(size)
    best, first, least, at = None, None, np.inf, np.array(multipliers)
    for _ in range(_MOST_ITERATIONS):
        fields = np.empty_like(linear)
        threads.over_blocks(
            local_passes.sheets_pass, len(sums), WORK * size, linear, *at.tolist(), box, weights, sheets, fields, sums
        )
        means = sums.sum(axis=0) / size
        lack = 1 - means[[MASS_1, MASS_2]]
        missing = float(np.abs(lack).max())
        if best is not None and not missing < least:
            break
        best, least = fields, missing
        first = fields if first is None else first
        r11, r12, r22 = means[RESPONSE_11:].tolist()
        response = np.array([[r11, r12], [r12, r22]])
        if missing <= _BALANCED or not np.linalg.cond(response) < 1e12:
            break
        at = at + np.linalg.solve(response, lack)
    assert best is not None
    assert first is not None
    return best, first
