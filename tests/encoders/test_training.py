"""Training of free encoders: gradients, what flow keeps, how batch noise drifts."""

from pathlib import Path

import numpy as np
import pytest

from fieldsolve.encoders.drift import DriftPlan, _centroids, _orbit, _random, run_drift
from fieldsolve.encoders.laws import JointLaw, law_named
from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.solve import solve_encoders
from fieldsolve.encoders.training import train
from fieldsolve.encoders.windows import window_by_program
from fieldsolve.numerics.errors import InputError
from fieldsolve.runs import in_this_process


def test_one_step_is_the_gradient_s(wide: JointLaw) -> None:
    start, rate, tau = _random(wide, 0.5, 3), 1e-4, 0.3
    rows = np.concatenate(start)
    _, _, product = Objective(EncoderProblem(wide, tau)).slopes(Point(rows, 1 / tau))
    slope = 2 / tau * product
    slope -= np.sum(slope * rows, axis=1, keepdims=True) * rows
    moved = train(wide, start, tau, rate, 1)
    np.testing.assert_allclose(np.concatenate([moved.first, moved.second]) - rows, -rate * slope, atol=1e-7)
    gap = wide.first @ moved.first - wide.second @ moved.second
    assert abs(moved.squared_gaps[0] - gap @ gap) < 1e-14


def test_a_batch_is_a_law(wide: JointLaw) -> None:
    """One step of a batch is a step of the law of its counts."""
    start = _random(wide, 0.5, 3)
    counts = np.random.default_rng(11).multinomial(8, wide.table.ravel(), 1).reshape(wide.table.shape)
    found = train(wide, start, 0.3, 0.1, 1, 8, 11)
    rows, columns = counts.sum(axis=1) > 0, counts.sum(axis=0) > 0
    part = JointLaw(counts[rows][:, columns] / 8, "counts")
    expected = train(part, (start[0][rows], start[1][columns]), 0.3, 0.1, 1)
    assert not rows.all() or not columns.all()
    np.testing.assert_allclose(found.first[rows], expected.first, atol=1e-14)
    np.testing.assert_allclose(found.second[columns], expected.second, atol=1e-14)
    np.testing.assert_allclose(found.first[~rows], start[0][~rows], atol=1e-15)


def test_flow_ends_at_the_certified_optimum(wide: JointLaw) -> None:
    tau = 0.45
    found = train(wide, _random(wide, 0.5, 0), tau, 0.5, 60_000)
    least = solve_encoders(EncoderProblem(wide, tau), 1e-10)
    rows = np.concatenate([found.first, found.second])
    assert Objective(EncoderProblem(wide, tau)).slopes(Point(rows, 1 / tau))[0] - least.value < 1e-7
    assert abs(np.sqrt(found.squared_gaps[-1]) - least.centroid_gap) < 2e-3


@pytest.mark.parametrize(("name", "tau"), [("simplex:6,.2", 0.18), ("ring:8,5", 0.1)])
def test_flow_of_orbits_keeps_its_direction(name: str, tau: float) -> None:
    """Z^T Z - W^T W keeps its direction, to the order of the rate: centroids their angle and the ratio of their lengths."""
    law = law_named(name)
    start = _orbit(law, 1.0, 1)
    before, errors = _centroids(law, *start), []
    for rate in (0.02, 0.01):
        found = train(law, start, tau, rate, int(600 / rate))
        after = _centroids(law, found.first, found.second)
        assert abs(after["angle"] - before["angle"]) < 1e-9
        assert abs(after["gap"] - before["gap"]) > 0.1
        errors.append(abs(after["ratio"] / before["ratio"] - 1))
    assert errors[0] < 1e-3
    assert 1.6 < errors[0] / errors[1] < 2.4
    tensors = [z.T @ z - w.T @ w for z, w in (start, (found.first, found.second))]
    cosine = np.vdot(*tensors) / np.prod([np.linalg.norm(one) for one in tensors])
    assert 1 - cosine < 1e-6


def test_batch_noise_drifts_in_proportion_to_one_over_the_batch() -> None:
    """Halfway up the window outwards, like rate^2/B; at its upper end, two opposite cones, not at all."""
    law, tau, rate, steps = law_named("simplex:6,.2"), 0.18, 0.05, 3000
    window = window_by_program(law, tau)
    assert window is not None
    drifts = {}
    for share in (0.5, 1.0):
        start = window.encoders(share * window.high, 6)
        for batch in (32, 128):
            runs = [train(law, start, tau, rate, steps, batch, seed).squared_gaps for seed in range(16)]
            each = np.array([(one[-500:].mean() - one[500:1000].mean()) / (steps - 1000) for one in runs])
            drifts[share, batch] = each.mean() * batch / rate**2, each.std(ddof=1) / 4 * batch / rate**2
    for batch in (32, 128):
        value, error = drifts[0.5, batch]
        assert value > 20 * error
        assert 0.3 < value < 0.7
        value, error = drifts[1.0, batch]
        assert abs(value) < 3.5 * error + 0.02
    assert abs(drifts[0.5, 32][0] / drifts[0.5, 128][0] - 1) < 0.15


def test_drift_studies_are_taken_up_again(tmp_path: Path) -> None:
    plan = DriftPlan("simplex:4,.3", 0.1, batches=(16, 64), steps=640, seeds=3)
    found = run_drift(plan, tmp_path / "drift", in_this_process)
    assert not isinstance(found, list)
    assert len(found.noise["drift"]) == 6
    assert set(found.flows["kind"]) == {"random", "orbit"}
    counted = []
    again = run_drift(plan, tmp_path / "drift", lambda tasks, perform: iter(counted.append(len(tasks)) or ()))
    assert counted == [0]
    assert not isinstance(again, list)
    assert again.summary() == found.summary()
    with pytest.raises(InputError, match="another spec"):
        run_drift(DriftPlan("simplex:4,.3", 0.1, seeds=4), tmp_path / "drift", in_this_process)


def test_drift_is_of_gaps_that_are_free() -> None:
    with pytest.raises(InputError, match=r"tau\* = 0\.2"):
        DriftPlan("ring:8,5", 0.25).check()
    with pytest.raises(InputError, match="at most 48"):
        DriftPlan("ring:48,5", 0.1).check()
