"""Divergence: what the loss sees. Cross-entropies of smoothed densities and Kullback-Leibler divergences made of them."""

import numpy as np

from fieldsolve.diagnose.metrics.metric import FEWER, Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.statistics import entropies
from fieldsolve.diagnose.statistics.matching import Matching
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.arrays import Array

THEORY = "Cai et al. 2026, arXiv 2601.19597, Def. 4.3 and App. E"

_OF_N = (
    "Of as many rows as there are, as the loss of a batch is: at low temperatures only the nearest count, and more rows bring "
    "nearer ones."
)

DEFINITIONS = (
    *(
        Definition(
            f"cross_entropy_{one}_{other}",
            f"cross-entropy of {one} with {other if one != other else 'itself'}",
            f"-E_{one} log K q_{other}, K the von Mises-Fisher kernel exp(cos/tau)/V, over strangers",
            THEORY,
            f"What InfoNCE's denominator is to anchors of {one}, in nats against the uniform density. Low if {one} lies where "
            f"{other} is dense; the loss pushes it up: this is the barrier. {_OF_N}"
            if one != other
            else f"The smoothed entropy of modality {one} with its sign: low if it is concentrated. {_OF_N}",
            moves=one != other,
            of_n=True,
        )
        for one, other in ("ab", "aa", "ba", "bb")
    ),
    *(
        Definition(
            f"smoothed_kl_{one}_{other}",
            f"smoothed KL, {one} to {other}",
            f"E_{one} [log K q_{one} - log K q_{other}]",
            THEORY,
            "One direction of the symmetric KL, in nats. With smoothed densities a direction can be negative, where the other "
            "modality is the denser one.",
            of_n=True,
        )
        for one, other in ("ab", "ba")
    ),
    Definition(
        "smoothed_symmetric_kl",
        "smoothed symmetric KL",
        "sum of both directions, D_K = int (q_a - q_b)(log K q_a - log K q_b)",
        THEORY,
        "What symmetric InfoNCE carries with a negative sign: the larger, the lower the loss. 0 if the modalities coincide at "
        f"this temperature. It grows like 1/tau. {_OF_N}",
        of_n=True,
        in_picture=True,
    ),
)


def measure(pooled: Pooled, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    design, sums = pooled.design, pooled.passed
    peak = Kernel("cosine", pooled.tau).log_peak(pooled.cloud.rows.shape[1] - 1)
    own = pooled.own_entropies
    found = {
        (0, 1): entropies.cross_entropy(design, sums, 0, 1), (0, 0): own[0],
        (1, 0): entropies.cross_entropy(design, sums, 1, 0), (1, 1): own[1],
    }  # fmt: skip
    shuffled = {
        side: entropies.shuffled_entropy(
            design, sums, _kernels(pooled, pooled.matching, side), _kernels(pooled, pooled.shuffled, side), side
        )
        for side in (0, 1)
    }
    metrics = {}
    for (side, of), estimate in found.items():
        control = shuffled[side] - peak if side != of else None
        metrics[f"cross_entropy_{'ab'[side]}_{'ab'[of]}"] = of_estimate(
            estimate.through(estimate.value - peak, 1.0), None, control
        )
    forth, back = found[0, 1] - found[0, 0], found[1, 0] - found[1, 1]
    controls = shuffled[0] - found[0, 0].value, shuffled[1] - found[1, 1].value
    metrics["smoothed_kl_a_b"] = of_estimate(forth, shuffled=controls[0])
    metrics["smoothed_kl_b_a"] = of_estimate(back, shuffled=controls[1])
    few = pooled.exchanges.few(FEWER)
    exchanged = (
        entropies.exchanged_divergence(design, sums, few),
        entropies.exchanged_divergence(design, sums, few, centred=True),
    )
    # What the logarithms of kernels differ by.
    scale = min(1.0, pooled.bandwidth.value**2 / pooled.tau)
    metrics["smoothed_symmetric_kl"] = of_estimate(forth + back, exchanged, sum(controls), scale)
    return metrics


def _kernels(pooled: Pooled, matching: Matching, side: int) -> tuple[Array, Array]:
    """The places of one modality's rows in a matching, and their partners' kernels, 1 at distance 0."""
    return matching.partners[side], np.exp(-0.5 / pooled.tau * matching.squares)


FAMILY = Family("divergence", "Divergence: what the loss sees", DEFINITIONS, measure)
