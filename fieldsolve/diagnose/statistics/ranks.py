"""Retrieval: from ranks the chance that a partner is among the first k."""

import numpy as np

from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.matching import Matching
from fieldsolve.diagnose.statistics.pairwise import CLOSE, Counts
from fieldsolve.numerics.arrays import Array

DEPTHS = (1, 5, 10)

_TIES = {np.dtype(np.float32): 3e-6, np.dtype(np.float64): 1e-12}


def tolerances(cloud: Cloud, matching: Matching) -> Array:
    """By how much squared distances from each row may differ and be tied, (N,): what rounding can make of them.

    Inner products are rounded according to where in a tile they are, relative to both rows' squared lengths; those of rows so
    close that differences are taken keep the digits that they are stored with.
    """
    first = np.arange(len(cloud.rows)) < cloud.first_rows
    others = np.where(first, cloud.lengths[cloud.first_rows :].mean(), cloud.lengths[: cloud.first_rows].mean())
    of_products = _TIES[cloud.rows.dtype] * np.minimum(cloud.lengths + others, matching.closest / CLOSE)
    return np.asarray(of_products + np.finfo(cloud.rows.dtype).eps * matching.best)


def hits(ranks: Counts, matching: Matching, tolerance: Array) -> Array:
    """The probability that a partner is among the first k when ties are broken at random, for each depth and row: (3, N).

    Of e strangers and m partners that are tied behind g strangers, a partner is among the first k with probability
    1 - C(e, k - g)/C(e + m, k - g).
    ranks: (2, N), rows of the other modality nearer than the best partner, and at least as near; tolerance: (N,).
    """
    best = matching.best
    tied_partners = np.zeros(len(best))
    for side in matching.partners:
        np.add.at(tied_partners, side, matching.squares <= best[side] + tolerance[side])
    ahead = ranks[0].astype(np.float64)
    strangers = np.maximum(ranks[1] - ranks[0] - tied_partners, 0.0)
    result = np.empty((len(DEPTHS), len(best)))
    for index, depth in enumerate(DEPTHS):
        missed = np.ones(len(best))
        for draw in range(depth):
            is_drawn = ahead + draw < depth
            share = np.maximum(strangers - draw, 0.0) / np.maximum(strangers + tied_partners - draw, 1.0)
            missed = np.where(is_drawn, missed * share, missed)
        result[index] = np.where(ahead < depth, 1 - missed, 0.0)
    return result
