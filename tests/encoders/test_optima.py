"""Optima over all encoders: the theory's numbers, bounds that no encoders pass, and what a limited dimension costs."""

import numpy as np
import pytest
from conftest import cyclic_law, random_law

from fieldsolve.encoders.certificate import certify
from fieldsolve.encoders.laws import JointLaw, law_named
from fieldsolve.encoders.losses import (
    Every,
    FewNegatives,
    InModalNegatives,
    InModalPositives,
    JointSoftmax,
    OneEncoder,
    OneSided,
    Sigmoid,
    Symmetric,
)
from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.encoders.penalties import GapPenalty, UniformityPenalty
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.solve import solve_encoders
from fieldsolve.equilibrium.descent import Status
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array

STAR = {"wide": 0.31081659, "square": 0.3001958, "mirrored": 0.2343017}


def random_rows(count: int, width: int, rng: np.random.Generator) -> Array:
    rows = rng.standard_normal((count, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("name", "tau", "excess", "gap"),
    [
        ("wide", 1.5 * STAR["wide"], 0.002964563, 0.240430),
        ("wide", 2 * STAR["wide"], 0.012496, 0.18848),
        ("square", 1.5 * STAR["square"], 0.017044943, 0.179853),
        ("mirrored", 1.3 * STAR["mirrored"], None, 0.8353),
        ("ring:24,5", 0.3, 0.015672, 0.0),
        ("ring:24,5", 0.5, 0.155839, 0.0),
    ],
)
def test_optima_above_the_critical_temperature(
    name: str, tau: float, excess: float | None, gap: float, request: pytest.FixtureRequest
) -> None:
    law = law_named(name) if ":" in name else request.getfixturevalue(name)
    found = solve_encoders(EncoderProblem(law, tau), 1e-10)
    assert found.status is Status.CERTIFIED
    assert 0 <= found.gap <= 1e-10
    assert excess is None or abs(found.excess - excess) < 10.0 ** -len(str(excess).split(".")[1])
    assert abs(found.centroid_gap - gap) < 1e-4


def test_losses_by_closed_form() -> None:
    """The simplex at any temperature above its critical one, and the two-by-two law whose marginals alone make a gap."""
    n, noise, tau = 6, 0.2, 2 * 0.3728009607
    found = solve_encoders(EncoderProblem(law_named("simplex:6,.2"), tau), 1e-11)
    closed = -(1 - noise) / tau + np.log((np.exp(1 / tau) + (n - 1) * np.exp(-1 / ((n - 1) * tau))) / n)
    assert abs(found.loss - closed) < 1e-11
    assert abs(found.loss + 0.8303726366) < 1e-10
    blocks = solve_encoders(EncoderProblem(law_named("blocks:6,2,.2"), tau), 1e-11)
    assert abs(blocks.loss - closed) < 1e-10


@pytest.mark.parametrize("tau", [0.05, 0.2])
def test_below_it_the_mutual_information_is_reached(tau: float, wide: JointLaw) -> None:
    found = solve_encoders(EncoderProblem(wide, tau), 1e-10)
    assert found.status is Status.CERTIFIED
    assert found.bound == -wide.mutual_information
    assert 0 <= found.excess <= 1e-10
    spread = found.similarity / tau - wide.pmi
    assert np.ptp(spread) < 1e-3  # the loss is quadratic in it


LOSSES: list[Every] = [
    Symmetric(), OneSided(), OneEncoder(), InModalNegatives(0.1), InModalPositives(1.0), JointSoftmax(0.05), Sigmoid(4.0),
    Sigmoid(1.0, "2.0"), FewNegatives(2),
]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_every_loss_is_certified(loss: Every, mirrored: JointLaw, rng: np.random.Generator) -> None:
    problem = EncoderProblem(mirrored, 0.3, loss)
    found = solve_encoders(problem, 1e-9)
    assert found.status is Status.CERTIFIED
    objective = Objective(problem)
    size = len(objective.weights)
    for _ in range(100):
        rows = random_rows(size, int(rng.integers(2, size + 1)), rng)
        bias = float(rng.normal()) if loss.has_bias else found.bias
        assert objective.slopes(Point(rows, 1 / 0.3, bias))[0] >= found.bound - 1e-12


def test_a_certificate_never_exceeds_the_loss_of_any_encoders(wide: JointLaw, square: JointLaw, rng: np.random.Generator) -> None:
    """1000 points, each with the bound that it proves; the least value is known."""
    for law, tau in ((wide, 0.5), (square, 0.45), (wide, 0.1), (square, 2.0)):
        objective = Objective(EncoderProblem(law, tau))
        size = len(objective.weights)
        least = solve_encoders(EncoderProblem(law, tau), 1e-11)
        bounds = []
        for _ in range(250):
            point = Point(random_rows(size, int(rng.integers(2, size + 1)), rng), 1 / tau)
            value = objective.slopes(point)[0]
            bounds.append(certify(objective, point, value, 1 / tau, 0.0, 0.0).bound)
            assert least.bound <= value
        assert max(bounds) <= least.value
        assert certify(objective, least.point, least.value, 1 / tau, 0.0, 0.0).bound > max(bounds)


def test_the_objective_is_convex_along_segments_of_gram_matrices(square: JointLaw, rng: np.random.Generator) -> None:
    """Encoders [sqrt(1 - s) U, sqrt(s) V] have the Gram matrix (1 - s) U U^T + s V V^T."""
    for loss in (Symmetric(), InModalNegatives(0.5), JointSoftmax(0.4), FewNegatives(3)):
        objective = Objective(EncoderProblem(square, 0.2, loss, penalties=(GapPenalty(0.3), UniformityPenalty(0.2))))
        for _ in range(20):
            ends = random_rows(12, 4, rng), random_rows(12, 7, rng)
            values = [
                objective.slopes(Point(np.hstack([np.sqrt(1 - s) * ends[0], np.sqrt(s) * ends[1]]), 5.0))[0]
                for s in np.linspace(0, 1, 9)
            ]
            assert np.all(np.diff(values, 2) >= -1e-11)


def test_swapping_the_modalities_changes_nothing(wide: JointLaw) -> None:
    swapped = JointLaw(np.ascontiguousarray(wide.table.T), "swapped")
    one, other = (solve_encoders(EncoderProblem(law, 0.5), 1e-11) for law in (wide, swapped))
    assert abs(one.loss - other.loss) < 1e-10
    assert abs(one.centroid_gap - other.centroid_gap) < 1e-5


@pytest.mark.parametrize(("dimension", "tau", "excess"), [(2, 0.1, 0.17137), (2, 0.3, 0.04339), (3, 0.1, 0.0), (3, 0.3, 0.02174)])
def test_rings_in_few_dimensions(dimension: int, tau: float, excess: float) -> None:
    found = solve_encoders(EncoderProblem(law_named("ring:24,5"), tau, dimension=dimension))
    assert found.dimension == dimension
    assert abs(found.excess - excess) < 1e-5
    assert found.status is Status.CONVERGED
    free = solve_encoders(EncoderProblem(law_named("ring:24,5"), tau))
    assert abs(found.gap - (found.value - free.bound)) < 1e-15


def test_bad_minima_in_two_dimensions_are_seen_by_their_gap() -> None:
    found = solve_encoders(EncoderProblem(law_named("ring:24,5"), 0.1, dimension=2))
    assert len(found.ends) == 16
    assert found.ends[0] == found.value
    assert found.ends[-1] - found.value > 0.2
    assert found.ends[-1] - found.bound > 0.4
    assert found.steps > 500  # of all descents
    few = solve_encoders(EncoderProblem(law_named("ring:24,5"), 0.1, dimension=2), max_steps=60)
    assert few.steps <= 61
    assert len(few.ends) < 16


def test_the_dimension_is_that_of_the_encoders() -> None:
    assert [solve_encoders(EncoderProblem(law_named("ring:24,5"), tau)).dimension for tau in (0.3, 2.0)] == [4, 2]
    assert solve_encoders(EncoderProblem(law_named("ring:24,5"), 0.3, dimension=30)).ends != ()


def test_dimensions_that_suffice_cost_nothing(wide: JointLaw) -> None:
    prices = [solve_encoders(EncoderProblem(wide, 0.4, dimension=d), 1e-9).gap for d in (2, 3, 9, 20)]
    assert prices[0] > prices[1] > 0
    assert max(prices[2:]) < 1e-8


@pytest.mark.parametrize(
    ("penalty", "excess", "gap"), [(0.0, 0.012496, 0.18848), (0.03, 0.012609, 0.16214), (3.0, 0.020356, 0.01699)]
)
def test_the_price_of_a_smaller_gap(penalty: float, excess: float, gap: float, wide: JointLaw) -> None:
    problem = EncoderProblem(wide, 2 * STAR["wide"], penalties=(GapPenalty(penalty),))
    found = solve_encoders(problem, 1e-10)
    assert abs(found.excess - excess) < 1e-6
    assert abs(found.centroid_gap - gap) < 1e-5
    assert abs(found.value - found.loss - penalty * found.centroid_gap**2) < 1e-14


@pytest.mark.parametrize(("weight", "gap"), [(0.1, 0.85), (1.0, 0.84), (10.0, 0.66)])
def test_in_modal_positives_leave_gaps(weight: float, gap: float, mirrored: JointLaw) -> None:
    found = solve_encoders(EncoderProblem(mirrored, 0.5 * STAR["mirrored"], InModalPositives(weight)), 1e-9)
    assert abs(found.centroid_gap - gap) < 0.005
    even = law_named("ring:8,5")
    reached = solve_encoders(EncoderProblem(even, 0.1, InModalPositives(weight)), 1e-9)
    assert abs(reached.loss + (1 + weight) * even.mutual_information) < 1e-8
    assert reached.bound == -(1 + weight) * even.mutual_information


@pytest.mark.parametrize("loss", [InModalNegatives(1e-3), InModalNegatives(0.5), JointSoftmax(1e-3), JointSoftmax(0.5)], ids=str)
def test_any_weight_of_in_modal_negatives_closes_the_gap_of_transitive_laws(loss: Every) -> None:
    found = solve_encoders(EncoderProblem(law_named("ring:8,5"), 0.1, loss), 1e-10)
    assert found.status is Status.CERTIFIED
    assert found.centroid_gap < 2e-3
    assert np.abs(found.first - found.second).max() < 0.02
    plain = Objective(EncoderProblem(law_named("ring:8,5"), 0.1)).slopes(found.point)[0]
    assert abs(plain + law_named("ring:8,5").mutual_information) < 1e-6


def test_one_encoder(mirrored: JointLaw) -> None:
    for tau, excess in ((0.5, 0.0294), (0.1, 0.0176)):
        found = solve_encoders(EncoderProblem(mirrored, tau, OneEncoder()), 1e-10)
        assert abs(found.excess - excess) < 5e-5
        assert found.centroid_gap == 0
    ring = solve_encoders(EncoderProblem(law_named("ring:12,5"), 0.1, OneEncoder()), 1e-13)
    assert abs(ring.centroid**2 - 0.5) < 1e-5


def test_learned_temperature(wide: JointLaw) -> None:
    """The least loss does not increase with 1/tau, its slope is -tau times the multipliers' sum, and it is flat below tau*."""
    clamped = solve_encoders(EncoderProblem(wide, 0.4, learn_tau=True), 1e-10)
    assert clamped.status is Status.CERTIFIED
    assert abs(clamped.tau - 0.4) < 1e-6
    taus = 1 / (1 / 0.4 + 1e-3 * np.array([-1, 0, 1]))
    values = []
    for tau in taus.tolist():
        problem = EncoderProblem(wide, tau)
        found = solve_encoders(problem, 1e-12)
        values.append(found.value)
        if tau == taus[1]:
            multipliers = certify(Objective(problem), found.point, found.value, 1 / tau, 0.0, 0.0).multipliers
    assert values[0] > values[1] > values[2]
    # Multipliers are those of X/tau.
    assert abs((values[2] - values[0]) / 2e-3 + multipliers.sum()) < 1e-6
    free = solve_encoders(EncoderProblem(wide, 0.01, learn_tau=True), 1e-9)
    assert free.excess < 1e-9
    assert free.tau < STAR["wide"]
    narrow = solve_encoders(EncoderProblem(law_named("ring:24,5"), 0.01, dimension=2, learn_tau=True))
    assert abs(narrow.tau - 0.2) < 1e-5
    assert narrow.excess < 1e-9


def test_learned_bias_frees_the_loss(wide: JointLaw) -> None:
    learned = solve_encoders(EncoderProblem(wide, 0.2, Sigmoid(5.0)), 1e-10)
    assert learned.excess < 1e-10
    centred = wide.first @ learned.similarity @ wide.second
    assert abs(centred - 0.2 * (-np.log(5.0) - learned.bias - wide.lautum)) < 1e-4
    fixed = solve_encoders(EncoderProblem(wide, 0.2, Sigmoid(5.0, "4.0")), 1e-9)
    assert fixed.status is Status.CERTIFIED
    assert fixed.excess > 0.01
    warm = solve_encoders(EncoderProblem(wide, 0.6, Sigmoid(5.0)), 1e-9)
    assert warm.status is Status.CERTIFIED
    nearby = [solve_encoders(EncoderProblem(wide, 0.6, Sigmoid(5.0, f"{warm.bias + b}")), 1e-9).value for b in (-0.05, 0.05)]
    assert min(nearby) > warm.value + 1e-6


def test_same_bits_for_any_number_of_threads() -> None:
    law = law_named("ring:40,5")
    found = []
    for count in (1, 2):
        with threads.limit(count), threads.one_blas_thread():
            found.append(solve_encoders(EncoderProblem(law, 0.3), 1e-6))
    np.testing.assert_array_equal(found[0].first, found[1].first)
    assert found[0].value == found[1].value


def test_what_is_not_solved_says_so(wide: JointLaw) -> None:
    found = solve_encoders(EncoderProblem(wide, 0.5), 1e-12, max_steps=5)
    assert found.status is Status.STEPS
    assert found.gap > 1e-12
    assert found.bound <= solve_encoders(EncoderProblem(wide, 0.5), 1e-10).value


@pytest.mark.parametrize("make", [cyclic_law, lambda: random_law(30, 20, 1)])
def test_larger_laws_raise_their_dimension(make: object) -> None:
    law = make()  # type: ignore[operator]
    found = solve_encoders(EncoderProblem(law, 0.5), 1e-8)
    assert found.status is Status.CERTIFIED


def test_hundreds_of_symbols_begin_with_few_dimensions() -> None:
    law = law_named("ring:150,5")
    found = solve_encoders(EncoderProblem(law, 0.3), 1e-7)
    assert found.status is Status.CERTIFIED
    assert found.dimension < 150
    assert abs(found.excess - 0.015672298) < 1e-7
