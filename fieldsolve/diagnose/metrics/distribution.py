"""Distribution: whether the modalities are alike. Energy distance, MMD, sliced transport, a classifier."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fieldsolve.diagnose.metrics.metric import FEWER, Definition, Family, Metric, exchanges, of_estimate, of_square
from fieldsolve.diagnose.statistics import separability, sliced
from fieldsolve.diagnose.statistics.estimate import Estimate, mean, noise_level, p_value, share_interval
from fieldsolve.diagnose.statistics.pairwise import DISTANCE, DOUBLE, FACTORS, HALF, ONE
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.numerics.arrays import Array

SZEKELY = "Szekely and Rizzo 2013, doi 10.1016/j.jspi.2013.03.018"
GRETTON = "Gretton et al. 2012, JMLR 13:723"
BONNEEL = "Bonneel et al. 2015, doi 10.1007/s10851-014-0506-3"

#: The Gaussians exp(-factor r^2/sigma^2) by name: their place among the kernels, and the factor.
GAUSSIANS = dict(zip(("mmd2_half", "mmd2_one", "mmd2_double"), zip((HALF, ONE, DOUBLE), FACTORS, strict=True), strict=True))

DEFINITIONS = (
    Definition(
        "energy_distance",
        "energy distance",
        "2 E|X - Y| - E|X - X'| - E|Y - Y'| over pairs of strangers",
        SZEKELY,
        "0 if and only if both modalities have one distribution. Offsets dominate it: compare the centred one.",
        in_picture=True,
    ),
    Definition(
        "energy_cross",
        "its part across",
        "E|X - Y| over pairs of strangers across modalities",
        SZEKELY,
        "The mean distance across; sqrt(2) for orthogonal modalities.",
        least=0.0,
        most=2.0,
    ),
    *(
        Definition(
            f"energy_within_{one}",
            f"its part within {one}",
            f"E|{letter} - {letter}'| over pairs of strangers",
            SZEKELY,
            "The mean distance within a modality: its spread.",
            moves=False,
            least=0.0,
            most=2.0,
        )
        for one, letter in zip("ab", "XY", strict=True)
    ),
    *(
        Definition(
            f"mmd2_{name}",
            f"MMD^2, bandwidth {factor}",
            f"E k(X, X') + E k(Y, Y') - 2 E k(X, Y) over pairs of strangers, k = exp(-|x - y|^2/(2 sigma^2)), sigma = {factor} "
            "times the median distance across",
            GRETTON,
            "0 for one distribution; at most 2. Small bandwidths see fine structure, large ones the offset.",
            in_picture=True,
            most=2.0,
        )
        for name, factor in (("half", "0.5"), ("one", "1"), ("double", "2"))
    ),
    Definition(
        "sliced_w2",
        "sliced Wasserstein-2",
        "root of (centroid gap)^2/d plus the mean over orthonormal directions of W_2^2 of the centred projections; a whole basis "
        "for up to 640 000 projections, at least 64 directions",
        BONNEEL,
        "How far mass has to move along a direction; of order (centroid gap)/sqrt(d) for a pure offset. It falls with n to that "
        "of the populations. Its interval includes the error of its directions; its p-value is from 12.",
        moves=False,
        of_n=True,
        in_picture=True,
    ),
    Definition(
        "linear_separability",
        "linear separability",
        "balanced accuracy of ridge classification (penalty 1) of the modality, 5-fold cross-validated by cluster, not below 0.5",
        "Lopez-Paz and Oquab 2017, arXiv 1610.06545",
        "1 if a hyperplane tells the modalities apart, 0.5 if nothing linear does. It stays at 1 for offsets far smaller than "
        "those that matter elsewhere.",
        of_n=True,
    ),
)


def measure(pooled: Pooled, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    found, sums, centred = {}, pooled.passed.kernels, pooled.passed.centred_kernels
    across = pooled.across(sums[DISTANCE])
    control = pooled.shuffled_across(sums[DISTANCE], np.sqrt)
    found["energy_distance"] = of_estimate(
        energy := pooled.contrast(sums[DISTANCE]),
        exchanges(pooled, sums[DISTANCE], centred[DISTANCE]),
        energy.value + 2 * (control - across.value),
        across.value,
    )
    found["energy_cross"] = of_estimate(across, shuffled=control)
    for side, letter in enumerate("ab"):
        found[f"energy_within_{letter}"] = of_estimate(pooled.within(sums[DISTANCE], side))
    for name, squared in with_bandwidth(
        pooled, {name: -1.0 * pooled.contrast(sums[at]) for name, (at, _) in GAUSSIANS.items()}
    ).items():
        kernel, factor = GAUSSIANS[name]
        control = pooled.shuffled_across(sums[kernel], gaussian(factor, pooled.bandwidth.value))
        found[name] = of_estimate(
            squared,
            exchanges(pooled, sums[kernel], centred[kernel], -1.0),
            squared.value - 2 * (control - pooled.across(sums[kernel]).value),
            1.0,
        )
    found |= transport(pooled, rng)
    found["linear_separability"] = classified(pooled)
    return found


def with_bandwidth(pooled: Pooled, squared: dict[str, Estimate]) -> dict[str, Estimate]:
    """MMD^2 at three bandwidths with what groups contribute through the median that the bandwidths are of.

    The slopes by log sigma are those of the parabola through the values at sigma/2, sigma and 2 sigma.
    """
    half, one, double = (squared[name].value for name in GAUSSIANS)
    slopes = {"mmd2_half": 4 * one - 3 * half - double, "mmd2_one": double - half, "mmd2_double": half - 4 * one + 3 * double}
    share = pooled.bandwidth.through(0.0, 0.5 / np.log(2) / pooled.bandwidth.value)
    return {name: one + slopes[name] * share for name, one in squared.items()}


def gaussian(factor: float, bandwidth: float) -> Callable[[Array], Array]:
    """exp(-factor r^2/bandwidth^2) as a function of squared distances."""
    return lambda squares: np.asarray(np.exp(-factor / bandwidth**2 * squares))


def transport(pooled: Pooled, rng: np.random.Generator) -> dict[str, Metric]:
    """Sliced transport as it is and centred.

    W^2 along a direction u is that of the centred projections plus (u.(m_a - m_b))^2, whose mean over the sphere is |m_a -
    m_b|^2/d: so an offset has no error of its directions.
    """
    dimension, cloud = pooled.cloud.rows.shape[1], pooled.cloud
    number = sliced.number_of_directions(dimension, max(cloud.first_rows, len(cloud.rows) - cloud.first_rows))
    centred, error = sliced.transport(pooled, sliced.orthonormal_directions(dimension, number, rng))
    offset = (0.5 / dimension) * pooled.contrast(pooled.squares)
    whole = centred + offset.through(float(np.sum(cloud.shift**2)) / dimension, 1.0)
    found = {"sliced_w2": of_square(whole.with_error(error)), "sliced_w2_centred": of_square(centred.with_error(error))}
    costs = sliced.exchanged(pooled, pooled.exchanges.few(FEWER), rng)
    for name, (tested, noise) in zip(found, ((costs.given, costs.centred), (costs.recentred, costs.recentred)), strict=True):
        p, level = p_value(float(tested[0]), tested[1:]), float(np.sqrt(noise_level(noise[1:])))
        found[name] = replace(found[name], p_value=p, noise_level=level)
    return found


def classified(pooled: Pooled) -> Metric:
    """Linear separability; its interval holds the classifiers fixed, its p-value trains them anew."""
    design = pooled.design
    both = design.given_and(pooled.exchanges.few(FEWER))
    correct = separability.classify(pooled, both)
    given, accuracies = correct[0], separability.balanced_accuracy(correct, design.counts, both)[1:]
    sides = [
        mean(design.by_group(given * (design.side == side)), design.by_group(design.counts * (design.side == side)))
        for side in (0, 1)
    ]
    share = 0.5 * (sides[0] + sides[1])
    value, low, high = (max(one, 0.5) for one in (share.value, *share_interval(share, design.independent)))
    return Metric(value, low, high, p_value(share.value, accuracies, 1.0), max(noise_level(accuracies), 0.5))


FAMILY = Family("distribution", "Distribution: whether the modalities are alike", DEFINITIONS, measure)
