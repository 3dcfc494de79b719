"""The effective rank of a sample: how many directions it uses, and how sure that is."""

import numpy as np

from fieldsolve.diagnose.statistics.estimate import Estimate
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.numerics import threads

_CHUNK = 4096  # rows at a time


def effective_rank(pooled: Matched, side: int) -> Estimate:
    """exp of the entropy of the centred rows' singular values, scaled to sum 1 [Roy and Vetterli 2007].

    A row z adds to the variance l_k along the direction v_k what (v_k.z)^2 is above it [delta method: first-order perturbation of
    eigenvalues]. The value is that of so many rows: it rises with their number. 0 for a sample without spread.
    """
    cloud, design = pooled.cloud, pooled.design
    part = cloud.parts[side]
    rows = cloud.rows[part]
    groups = design.group_of_row[part]
    with threads.one_blas_thread():
        variances, vectors = cloud.spectra[side]
        kept = variances > variances[-1] * len(variances) * np.finfo(np.float64).eps
        if not (variances[-1] > 0 and kept.any()):
            return Estimate(0.0, np.zeros(design.groups))
        variances, vectors = variances[kept], vectors[:, kept]
        scales = np.sqrt(variances)
        shares = scales / scales.sum()
        entropy = -float(np.sum(shares * np.log(shares)))
        # dH = -sum (log p_k + H) ds_k/sum s, and ds_k = dl_k/(2 s_k).
        slopes = -(np.log(shares) + entropy) / (2 * scales * scales.sum())
        added = np.zeros(design.groups)
        for at in range(0, len(rows), _CHUNK):
            along = rows[at : at + _CHUNK] @ vectors.astype(rows.dtype)
            added += np.bincount(groups[at : at + _CHUNK], (along.astype(np.float64) ** 2 - variances) @ slopes, design.groups)
    value = float(np.exp(entropy))
    return Estimate(value, value * added / len(rows))
