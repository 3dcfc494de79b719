"""Critical temperatures, windows and critical weights: programs, closed forms, descents and bisections agree."""

import numpy as np
import pytest
from conftest import cyclic_law, random_law, two_by_two

from fieldsolve.encoders import temperatures
from fieldsolve.encoders.fronts import critical_weight, critical_weight_of_symmetric, front
from fieldsolve.encoders.laws import JointLaw, law_from_table, law_named
from fieldsolve.encoders.losses import Every, FewNegatives, InModalNegatives, Symmetric
from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.encoders.penalties import GapPenalty, UniformityPenalty
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.programs import Program
from fieldsolve.encoders.solve import solve_encoders
from fieldsolve.encoders.temperatures import Critical, tau_star, tau_zero
from fieldsolve.encoders.windows import window, window_by_program
from fieldsolve.equilibrium.descent import Status
from fieldsolve.numerics.errors import InputError


def both(law: JointLaw) -> tuple[Critical, Critical]:
    star = tau_star(law)
    return star, tau_zero(law, star)


def test_the_theory_s_temperatures(wide: JointLaw, square: JointLaw, mirrored: JointLaw) -> None:
    for law, star, zero in ((wide, 0.31081659, 0.0), (square, 0.3001958, 0.2447623), (mirrored, 0.2343017, 0.0)):
        found = both(law)
        assert abs(found[0].value - star) < 1e-7
        assert abs(found[1].value - zero) < 1e-7
        for one in found:
            assert one.low <= one.value <= one.high
            assert one.high - one.low < 1e-8


@pytest.mark.parametrize(
    ("law", "value"),
    [
        (law_named("simplex:6,.2"), 0.3728009607),
        (cyclic_law(), 0.4884936461),
        (law_named("ring:24,5"), 0.2),
        (law_named("ring:12,5"), 0.2),
        (law_named("blocks:6,2,.2"), 0.3728009607),
    ],
    ids=lambda one: getattr(one, "label", one),
)
def test_closed_forms_and_programs_agree(law: JointLaw, value: float) -> None:
    star, zero = both(law)
    assert star.route == zero.route == "closed form"
    assert abs(star.value - value) < 1e-9
    assert star.value == zero.value
    for is_matched in (False, True):
        assert abs(temperatures._by_program(law, is_matched).value - value) < 2e-8


def test_symmetric_laws_with_psd_information(mirrored: JointLaw) -> None:
    """tau* = 1/(PMI_ii + Laut) needs a constant diagonal: of a ring."""
    law = law_named("ring:9,2")
    assert abs(tau_star(law).value - 1 / (law.pmi[0, 0] + law.lautum)) < 1e-12
    assert np.ptp(np.diag(mirrored.pmi)) > 1


def test_laws_with_zeros_have_no_critical_temperature() -> None:
    law = law_from_table(np.array([[3, 1, 0], [1, 2, 1], [1, 1, 3]]))
    star, zero = both(law)
    assert star.value == zero.value == 0
    assert "never occur" in star.route
    assert window(law, 0.01, (star, zero)) is None
    assert window(law, 0.01, None) is None
    excess = [solve_encoders(EncoderProblem(law, tau)).excess for tau in (0.3, 0.1, 0.05)]
    assert excess[0] > excess[1] > excess[2] > 0


def test_a_marginal_above_one_half_forces_a_gap() -> None:
    law = two_by_two(0.9, 0.1, 0.009)
    star, zero = both(law)
    assert zero.value == 0
    assert temperatures._by_program(law, True).value == 0
    found = solve_encoders(EncoderProblem(law, 50 * star.value), 1e-10)
    assert abs(found.centroid_gap - 1.6) < 1e-4
    hot = solve_encoders(EncoderProblem(law, 5000 * star.value), 1e-12)
    assert abs(hot.centroid_gap - 2 * abs(0.9 - 0.1)) < 1e-3


def test_descents_bracket_what_programs_find(square: JointLaw) -> None:
    star, zero = both(square)
    found = temperatures._by_descents(square, None)
    assert found.low <= star.value <= found.high
    assert found.high - found.low < 2e-3 * star.value
    assert abs(found.value - star.value) < 1e-4
    matched = temperatures._matched_by_descents(square, found.high, None)
    assert matched.high >= zero.value
    assert abs(matched.value - zero.value) < 1e-4


def test_independent_modalities_reach_their_least_loss_at_any_temperature() -> None:
    for law in (law_named("simplex:4,1"), law_from_table(np.outer([0.2, 0.3, 0.5], [0.6, 0.4]), "independent")):
        star, zero = both(law)
        assert star.value == np.inf
        assert zero.value == np.inf
        found = solve_encoders(EncoderProblem(law, 0.1))
        assert found.status is Status.CERTIFIED
        assert abs(found.excess) < 1e-8


@pytest.mark.parametrize("strength", [0.05, 0.5])
def test_weak_laws_have_high_critical_temperatures(strength: float) -> None:
    """Above 1, where descents begin; ten symbols by program, and by descents as if they were many."""
    rng = np.random.default_rng(2)
    table = np.exp(strength * rng.standard_normal((5, 5)))
    law = law_from_table(table / table.sum(), "weak")
    program = tau_star(law)
    assert program.route == "program"
    assert program.value > 1 or strength > 0.1
    found = temperatures._by_descents(law, None)
    assert found.low <= program.value * (1 + 1e-7)
    assert found.high >= program.value * (1 - 1e-7)
    assert abs(found.value / program.value - 1) < 2e-3


def test_large_laws_take_descents() -> None:
    law = random_law(36, 36, 5)
    star = tau_star(law)
    assert star.route == "descents"
    assert star.low < star.high < 1.002 * star.low
    below = solve_encoders(EncoderProblem(law, 0.99 * star.low), 1e-8)
    above = solve_encoders(EncoderProblem(law, 1.05 * star.high), 1e-8)
    assert below.excess < 1e-8 < above.bound + law.mutual_information


@pytest.mark.parametrize(("share", "low", "high"), [(0.6, 0.169771, 1.321592), (0.9, 0.21536, 0.77126)])
def test_windows_of_a_rectangular_law(share: float, low: float, high: float, wide: JointLaw) -> None:
    critical = both(wide)
    found = window(wide, share * critical[0].value, critical)
    assert found is not None
    assert abs(found.low - low) < 5e-6
    assert abs(found.high - high) < 5e-6


def test_windows_close_at_the_critical_temperature(square: JointLaw) -> None:
    star, zero = both(square)
    found = window(square, 0.6 * star.value, (star, zero))
    assert found is not None
    assert found.low == 0
    assert abs(found.high - 1.297677) < 1e-6
    assert window(square, 1.001 * star.value, (star, zero)) is None
    between = window(square, 0.5 * (star.value + zero.value), (star, zero))
    assert between is not None
    assert 0.01 < between.low < between.high
    alone = window(square, 0.6 * star.value, None)
    assert alone is not None
    assert abs(alone.high - found.high) < 1e-7
    assert alone.low < 1e-3


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_windows_of_rings_by_closed_form_and_program(share: float) -> None:
    law = law_named("ring:8,5")
    star, zero = both(law)
    closed = window(law, share * star.value, (star, zero))
    program = window_by_program(law, share * star.value)
    assert closed is not None
    assert program is not None
    assert abs(closed.high - 2 * np.sqrt(1 - share)) < 1e-12
    assert abs(program.high - closed.high) < 1e-7
    assert program.low < 1e-3


def test_windows_by_descents(square: JointLaw, monkeypatch: pytest.MonkeyPatch) -> None:
    star, zero = both(square)
    exact = window(square, 0.6 * star.value, (star, zero))
    monkeypatch.setattr("fieldsolve.encoders.windows.MOST_IN_PROGRAM", 2)
    found = window(square, 0.6 * star.value, (star, zero))
    assert exact is not None
    assert found is not None
    assert found.route == "descents"
    assert abs(found.high - exact.high) < 2e-3


@pytest.mark.parametrize("loss", [FewNegatives(1), FewNegatives(2), FewNegatives(4), Symmetric()], ids=str)
def test_the_loss_does_not_see_the_gap(loss: Every, wide: JointLaw) -> None:
    """Along the whole window, at every number of negatives, to rounding."""
    star, zero = both(wide)
    tau = 0.6 * star.value
    found = window(wide, tau, (star, zero))
    assert found is not None
    objective, values, gaps = Objective(EncoderProblem(wide, tau, loss)), [], []
    for gap in np.linspace(found.low, found.high, 7).tolist():
        first, second = found.encoders(gap, 5)
        values.append(objective.slopes(Point(np.concatenate([first, second]), 1 / tau))[0])
        gaps.append(float(np.linalg.norm(wide.first @ first - wide.second @ second)) - gap)
    assert np.ptp(values) < 1e-12
    assert abs(values[0] - loss.least(wide)) < 1e-12
    assert np.abs(gaps).max() < 1e-7


@pytest.mark.parametrize("bias", [-2.0, 0.0, 1.5])
def test_sigmoid_windows_at_a_fixed_bias(bias: float) -> None:
    law, tau = law_named("ring:12,5"), 0.1
    found = window_by_program(law, tau, -bias)
    shift = tau * (-bias - law.lautum)
    assert found is not None
    assert abs(found.low - 2 * np.sqrt(max(0.0, -shift))) < 1e-6
    assert abs(found.high - np.sqrt(2 * (1 - tau / 0.2 - shift))) < 1e-6
    assert window_by_program(law, tau, -3.0) is None  # too large a bias


def test_critical_weights_by_formula_and_by_bisection(mirrored: JointLaw) -> None:
    tau = 0.5 * 0.2343017
    for remedy, value in (("in-modal-negatives", 0.02973825), ("gap", 0.17688)):
        formula = critical_weight_of_symmetric(mirrored, tau, remedy)
        assert abs(formula - value) < 5e-6
        assert abs(critical_weight(EncoderProblem(mirrored, tau), remedy) - formula) < 3e-4 * formula
    for weight, is_closed in ((0.95, False), (1.05, True)):
        loss = InModalNegatives(weight * 0.02973825)
        assert (solve_encoders(EncoderProblem(mirrored, tau, loss), 1e-11).centroid_gap < 1e-4) is is_closed


def test_asymmetric_laws_keep_a_small_gap(wide: JointLaw) -> None:
    assert critical_weight(EncoderProblem(wide, 0.2), "in-modal-negatives") == np.inf
    with pytest.raises(InputError, match="without penalties"):
        critical_weight(EncoderProblem(wide, 0.2, penalties=(GapPenalty(1.0),)))
    with pytest.raises(InputError, match="weights are of"):
        critical_weight(EncoderProblem(wide, 0.2), "hope")


def test_fronts_are_convex(wide: JointLaw) -> None:
    weights = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
    found = front(EncoderProblem(wide, 2 * 0.31081659), weights)
    losses, squares = np.array([one.loss for one in found]), np.array([one.centroid_gap**2 for one in found])
    assert np.all(np.diff(losses) > 0)
    assert np.all(np.diff(squares) < 0)
    slopes = -np.diff(losses) / np.diff(squares)
    assert np.all(np.diff(slopes) > 0)
    # Each slope lies between the weights on both sides.
    assert np.all((weights[:-1] <= slopes) & (slopes <= weights[1:]))


def test_fronts_of_other_penalties(mirrored: JointLaw) -> None:
    found = front(EncoderProblem(mirrored, 0.3), [0.0, 0.1, 1.0], UniformityPenalty)
    losses = [one.loss for one in found]
    assert losses == sorted(losses)
    assert all(one.gap <= 1e-9 for one in found)
    assert len({round(one.centroid_gap, 4) for one in found}) > 1


def test_programs_that_have_no_answer() -> None:
    empty = Program(np.array([1.0]))
    empty.at_most(np.array([0, 1]), np.array([0, 0]), np.array([1.0, -1.0]), np.array([0.0, -1.0]))
    assert empty.solve() is None
    endless = Program(np.array([1.0]))
    endless.at_most(np.array([0]), np.array([0]), np.array([1.0]), np.array([0.0]))
    with pytest.raises(InputError, match="not solved"):
        endless.solve()
