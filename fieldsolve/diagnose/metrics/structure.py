"""Structure: whether rows have the neighbours, and the similarities, among their own that their partners have among theirs."""

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric
from fieldsolve.diagnose.statistics.estimate import Estimate, noise_level, p_value, share_interval
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.similarity import MOST_PAIRS, NEIGHBOURS, Pairs, debiased_cka, mutual_neighbours
from fieldsolve.numerics.arrays import Array

#: Of partners; more than costly exchanges have, so that all p-values of a diagnosis can hold together.
PERMUTATIONS = 499

_DRAWN = f"in pairs of at most {MOST_PAIRS} clusters, one of each"

DEFINITIONS = (
    Definition(
        "mutual_neighbours",
        "mutual nearest neighbours",
        f"mean share of a row's 10 nearest of its own modality whose partners are among the 10 nearest of its partner, {_DRAWN}",
        "Huh et al. 2024, arXiv 2405.07987",
        "1 if both modalities have the same neighbourhoods, whatever the gap; about 10/n by chance (shuffled). p: of partners "
        "passed on at random, not of modalities exchanged.",
        least=0.0,
        most=1.0,
        of_n=True,
    ),
    Definition(
        "debiased_cka",
        "debiased CKA",
        f"HSIC_1(K, L)/sqrt(HSIC_1(K, K) HSIC_1(L, L)), K and L the inner products within each modality, {_DRAWN}",
        "Song et al. 2012, JMLR 13:1393; Kornblith et al. 2019, arXiv 1905.00414",
        "1 if similarities within one modality are those within the other, 0 if partners share nothing; free of the offset and "
        "of rotations. Without its bias, which is large where n is not far above d. p: of partners passed on at random.",
        most=1.0,
    ),
)


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """Both, against partners passed on at random."""
    pairs = Pairs.drawn(pooled, PERMUTATIONS, rng)
    mutual, passed = mutual_neighbours(pooled, pairs)
    cka, permuted = debiased_cka(pooled, pairs)
    return {
        "mutual_neighbours": _metric(mutual, share_interval(mutual, len(pairs.first), NEIGHBOURS * len(pairs.first)), passed),
        "debiased_cka": _metric(cka, cka.interval(), permuted),
    }


def _metric(estimate: Estimate, interval: tuple[float, float], passed: Array) -> Metric:
    return Metric(estimate.value, *interval, p_value(estimate.value, passed, 1.0), noise_level(passed), float(passed.mean()))


FAMILY = Family("structure", "Structure: whether neighbourhoods agree", DEFINITIONS, measure)
