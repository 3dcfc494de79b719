"""Spread: how many directions a modality uses."""

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.spectrum import effective_rank

#: Rows for each component from which on the first order describes eigenvalues; below, there is no interval.
ROWS_A_COMPONENT = 4

DEFINITIONS = tuple(
    Definition(
        f"effective_rank_{one}",
        f"effective rank of {one}",
        "exp of the entropy of the singular values of the centred rows, scaled to sum 1",
        "Roy and Vetterli 2007, EUSIPCO",
        "How many directions the modality uses, at most d or n - 1. Below a tenth of both is a dimensional collapse. It rises "
        "with n until n is far above d: value and interval are those of as many rows. No interval below n = 4 d.",
        moves=False,
        of_n=True,
    )
    for one in "ab"
)


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """Of both modalities."""
    found = {}
    for side, letter in enumerate("ab"):
        estimate = effective_rank(pooled, side)
        part = pooled.cloud.parts[side]
        is_known = part.stop - part.start >= ROWS_A_COMPONENT * pooled.cloud.rows.shape[1]
        found[f"effective_rank_{letter}"] = of_estimate(estimate) if is_known else Metric(estimate.value)
    return found


FAMILY = Family("spread", "Spread", DEFINITIONS, measure)
