"""Losses and penalties of encoders: contracts, plain sums, and the theory's expectation of few negatives."""

from itertools import product

import numpy as np
import pytest
from conftest import symmetric_law

from fieldsolve.encoders.laws import JointLaw, law_named
from fieldsolve.encoders.losses import (
    Every,
    FewNegatives,
    InModalNegatives,
    InModalPositives,
    JointSoftmax,
    Logits,
    OneEncoder,
    OneSided,
    Sigmoid,
    Slopes,
    Symmetric,
)
from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.encoders.penalties import FormPenalty, GapPenalty, UniformityPenalty
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.grids import Circle, Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.testing import check_loss
from fieldsolve.theorems.expectations import law_bias
from fieldsolve.theorems.laws import two_modalities

EVERY: list[Every] = [
    Symmetric(),
    OneSided(),
    OneEncoder(),
    InModalNegatives(0.7),
    InModalPositives(0.7),
    JointSoftmax(0.3),
    Sigmoid(3.0),
    Sigmoid(3.0, "-1.5"),
    FewNegatives(1),
    FewNegatives(20),
]


@pytest.mark.parametrize("loss", EVERY, ids=str)
def test_contracts(loss: Every, mirrored: JointLaw, wide: JointLaw) -> None:
    check_loss(loss, mirrored)
    if not isinstance(loss, OneEncoder | InModalPositives):
        check_loss(loss, wide)


def plain(law: JointLaw, loss: Every, first: Array, second: Array, tau: float) -> float:
    """Losses by sums over symbols, one after the other."""
    p, q, joint = law.first, law.second, law.table
    cross, own, other = first @ second.T / tau, first @ first.T / tau, second @ second.T / tau
    binding = float(np.sum(joint * cross))

    def logs(block: Array, of_rows: Array, of_columns: Array) -> float:
        return sum(
            of_rows[i] * np.log(sum(of_columns[j] * np.exp(block[i, j]) for j in range(block.shape[1])))
            for i in range(block.shape[0])
        )

    symmetric = -binding + 0.5 * logs(cross, p, q) + 0.5 * logs(cross.T, q, p)
    if isinstance(loss, Symmetric):
        return symmetric
    if isinstance(loss, OneSided | OneEncoder):
        return -binding + logs(cross, p, q)
    if isinstance(loss, InModalNegatives):
        return symmetric + loss.weight * (-binding + 0.5 * logs(own, p, p) + 0.5 * logs(other, q, q))
    if isinstance(loss, InModalPositives):
        within = logs(own, p, p) + logs(other, q, q) - float(np.sum(joint * (own + other)))
        return symmetric + 0.5 * loss.weight * within
    if isinstance(loss, JointSoftmax):
        stacked = np.hstack([own, cross]), np.hstack([other, cross.T])
        weights = np.concatenate([loss.own * p, (1 - loss.own) * q]), np.concatenate([loss.own * q, (1 - loss.own) * p])
        return -binding + 0.5 * logs(stacked[0], p, weights[0]) + 0.5 * logs(stacked[1], q, weights[1])
    raise AssertionError(loss)


@pytest.mark.parametrize("loss", EVERY[:6], ids=str)
@pytest.mark.parametrize("tau", [1.0, 0.1, 0.01])
def test_losses_are_their_sums(loss: Every, tau: float, rng: np.random.Generator) -> None:
    law = symmetric_law(1)
    rows = rng.standard_normal((12, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if isinstance(loss, OneEncoder):
        rows = rows[:6]
    value, _, _ = Objective(EncoderProblem(law, tau, loss)).slopes(Point(rows, 1 / tau))
    expected = plain(law, loss, rows[:6], rows[:6] if isinstance(loss, OneEncoder) else rows[6:], tau)
    assert abs(value - expected) < 1e-12 * (1 + abs(expected)) / tau


@pytest.mark.parametrize("negatives", [1, 2, 3])
def test_few_negatives_by_enumeration(negatives: int, wide: JointLaw, rng: np.random.Generator) -> None:
    block = rng.uniform(-3, 3, wide.table.shape)

    def one_way(table: Array, values: Array) -> float:
        weights, total = table.sum(axis=0), 0.0
        for i, j in np.ndindex(*table.shape):
            for drawn in map(list, product(range(table.shape[1]), repeat=negatives)):
                mean = (np.exp(values[i, j]) + np.exp(values[i, drawn]).sum()) / negatives
                total += table[i, j] * np.prod(weights[drawn]) * (np.log(mean) - values[i, j])
        return total

    found = FewNegatives(negatives).evaluate(wide, Logits(block.copy, block.copy, block.copy, 3.0)).value
    assert abs(found - 0.5 * (one_way(wide.table, block) + one_way(wide.table.T, block.T))) < 1e-12


def test_few_negatives_are_the_theorems() -> None:
    """Against the expected bias of batches on a grid, another quadrature of another integrand."""
    grid, tau = Circle(12), 0.4
    content = 1 + 0.3 * np.cos(np.arange(12) * np.pi / 6)
    views = two_modalities(grid, content, (1.5, 1.5), 30.0, "views")
    joint = views.conditional(0, np.arange(12)) * views.marginals[0][:, None] / 144
    law = JointLaw(joint / joint.sum(), "views")
    points = grid.points()
    rows = np.concatenate([points, points])
    limit = Objective(EncoderProblem(law, tau)).slopes(Point(rows, 1 / tau))[0]
    numbers = np.array([1, 4, 32])
    bias = law_bias(views, Kernel("cosine", tau), 2, numbers)
    for number, expected in zip(numbers.tolist(), bias, strict=True):
        value = Objective(EncoderProblem(law, tau, FewNegatives(number))).slopes(Point(rows, 1 / tau))[0]
        assert abs(value - limit - expected) < 1e-10


def test_many_negatives_tend_to_infinitely_many(wide: JointLaw, rng: np.random.Generator) -> None:
    block = rng.uniform(-2, 2, wide.table.shape)
    logits = Logits(block.copy, block.copy, block.copy, 2.0)
    limit = Symmetric().evaluate(wide, logits)
    errors = [FewNegatives(number).evaluate(wide, logits).value - limit.value for number in (1000, 2000)]
    assert abs(errors[0] / errors[1] - 2) < 0.02
    slope = FewNegatives(1_000_000).evaluate(wide, logits).cross
    assert slope is not None
    assert limit.cross is not None
    assert np.abs(slope - limit.cross).max() < 1e-5


def test_contracts_see_what_would_break_a_certificate(wide: JointLaw) -> None:
    class Deaf(Sigmoid):
        """Its bias has no derivative."""

        name = "deaf"

        def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
            return super().evaluate(law, logits)._replace(bias=0.0)

    class Shifted(Sigmoid):
        """Its best bias is not where it says."""

        name = "shifted"

        def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
            return super().evaluate(law, logits._replace(bias=logits.bias + 50))

    class Concave(Symmetric):
        name = "concave"

        def least(self, law: JointLaw) -> float:
            return -np.inf

        def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
            found = super().evaluate(law, logits)
            assert found.cross is not None
            return Slopes(-found.value, -found.cross)

    check_loss(Sigmoid(2.0), wide)
    for loss, message in ((Deaf(2.0), "bias"), (Shifted(2.0), "bias"), (Concave(), "convex")):
        with pytest.raises(AssertionError, match=message):
            check_loss(loss, wide)


def test_many_negatives_keep_their_digits(wide: JointLaw) -> None:
    """E L_N - L falls like 1/N, to the last digits of the difference."""
    block = 2 * np.cos(np.arange(20.0)).reshape(5, 4)
    logits = Logits(block.copy, block.copy, block.copy, 2.0)
    limit = Symmetric().evaluate(wide, logits).value
    scaled = [number * (FewNegatives(number).evaluate(wide, logits).value - limit) for number in (10_000, 100_000, 1_000_000)]
    assert abs(scaled[1] - scaled[2]) < 1e-4 * abs(scaled[2])
    assert abs(scaled[0] - scaled[1]) < 1e-3 * abs(scaled[1])


def test_the_sigmoid_loss_is_least_at_the_information(wide: JointLaw) -> None:
    loss = Sigmoid(4.0, "0.0")
    best = wide.pmi - np.log(4.0)
    found = loss.evaluate(wide, Logits(best.copy, best.copy, best.copy, 9.0))
    assert abs(found.value - loss.least(wide)) < 1e-14
    assert found.cross is not None
    assert np.abs(found.cross).max() < 1e-15


@pytest.mark.parametrize("penalty", [GapPenalty(0.7), GapPenalty(-0.2), UniformityPenalty(0.4)], ids=str)
def test_penalties_have_their_derivatives(
    penalty: GapPenalty | UniformityPenalty, wide: JointLaw, rng: np.random.Generator
) -> None:
    objective = Objective(EncoderProblem(wide, 0.3, penalties=(penalty,)))
    _check_derivative(objective, rng)


def test_forms_are_penalties(wide: JointLaw, rng: np.random.Generator) -> None:
    vector = np.concatenate([wide.first, -wide.second])
    form = FormPenalty(np.multiply.outer(vector, vector), 0.7)
    points = Point(_unit(rng.standard_normal((9, 4))), 2.0)
    by_form, by_name = (
        Objective(EncoderProblem(wide, 0.5, penalties=(one,))).slopes(points)[0] for one in (form, GapPenalty(0.7))
    )
    assert abs(by_form - by_name) < 1e-14
    _check_derivative(Objective(EncoderProblem(wide, 0.5, penalties=(form,))), rng)
    with pytest.raises(InputError, match="symmetric matrix"):
        FormPenalty(np.triu(np.ones((9, 9))), 1.0)
    with pytest.raises(InputError, match="the form is of 3"):
        EncoderProblem(wide, 0.5, penalties=(FormPenalty(np.eye(3), 1.0),))


def _check_derivative(objective: Objective, rng: np.random.Generator) -> None:
    """M U against differences along encoders, and M against M U."""
    rows, sharpness = _unit(rng.standard_normal((9, 4))), 1 / objective.problem.tau
    _, _, product = objective.slopes(Point(rows, sharpness))
    np.testing.assert_allclose(objective.matrix(Point(rows, sharpness)) @ rows, product, atol=1e-13)
    direction = rng.standard_normal(rows.shape)
    direction -= np.sum(direction * rows, axis=1, keepdims=True) * rows
    ahead, behind = (objective.slopes(Point(_unit(rows + s * 1e-5 * direction), sharpness))[0] for s in (1, -1))
    assert abs((ahead - behind) / 2e-5 - 2 * sharpness * np.vdot(product, direction)) < 1e-7


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda: InModalNegatives(-1.0),
        lambda: InModalPositives(float("nan")),
        lambda: JointSoftmax(1.0),
        lambda: Sigmoid(0.0),
        lambda: Sigmoid(1.0, "high"),
        lambda: FewNegatives(0),
        lambda: GapPenalty(float("inf")),
        lambda: UniformityPenalty(-1.0),
        lambda: EncoderProblem(law_named("ring:6,2"), 0.001),
        lambda: EncoderProblem(law_named("ring:6,2"), 0.1, dimension=1),
        lambda: EncoderProblem(law_named("ring:6,2"), 0.1, OneEncoder(), penalties=(GapPenalty(1.0),)),
        lambda: EncoderProblem(law_named("ring:6,2"), 0.1, penalties=(GapPenalty(1.0),), learn_tau=True),
    ],
)
def test_what_makes_no_problem_is_refused(make: object) -> None:
    with pytest.raises(InputError):
        make()  # type: ignore[operator]


def test_one_encoder_needs_a_symmetric_law(wide: JointLaw) -> None:
    for loss in (OneEncoder(), InModalPositives(1.0)):
        with pytest.raises(InputError, match="symmetric law"):
            EncoderProblem(wide, 0.1, loss)
