"""Experiments D.1 and D.2, and reproductions as a whole: studies, folders that are taken up again, the command."""

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import kstest

from fieldsolve import InputError, Kernel
from fieldsolve.cli import main
from fieldsolve.equilibrium.gibbs import gibbs as gibbs_density
from fieldsolve.grids import Healpix, Smoother
from fieldsolve.numerics import threads
from fieldsolve.reproduce import EXPERIMENTS, Plan, make_plan, open_study, plan, run_plan
from fieldsolve.reproduce.gap import study as gap_study
from fieldsolve.reproduce.gap.study import GapStudy
from fieldsolve.reproduce.gibbs import model as gibbs
from fieldsolve.reproduce.gibbs import particles
from fieldsolve.reproduce.gibbs import study as gibbs_study
from fieldsolve.reproduce.gibbs.pictures import figures
from fieldsolve.reproduce.gibbs.study import GibbsStudy
from fieldsolve.reproduce.gradient import model as gradient
from fieldsolve.reproduce.writing import write
from fieldsolve.runs import Task, in_this_process
from fieldsolve.theorems.infonce import infonce

# By quadrature, to 1e-10.
CAP_MASSES = (0.1286327598, 0.1349755024, 0.1480117059, 0.1893464213, 0.2620628235, 0.4675284987, 0.7063853515)


# D.1


def loss(batch: gradient.Batch, encoder: np.ndarray, critic: str) -> float:
    """InfoNCE of a batch as D.1 words it: cosine of unit vectors at tau 0.1, or -|z - w|^2/128 of tanh at tau 1."""

    def encoded(rows: np.ndarray) -> np.ndarray:
        raw = rows @ encoder.T
        return np.tanh(raw) if critic == "rbf" else raw / np.linalg.norm(raw, axis=1, keepdims=True)

    z, partners, w = (encoded(side.inputs) for side in (batch.anchors, batch.positives, batch.pool))
    if critic == "cosine":
        own, others = np.sum(z * partners, axis=1) / 0.1, z @ w.T / 0.1
    else:
        own, others = -np.sum((z - partners) ** 2, axis=1) / 128, -np.sum((z[:, None] - w) ** 2, axis=-1) / 128
    return float(np.mean(np.log(np.exp(own) + np.exp(others).sum(axis=1)) - own))


@pytest.mark.parametrize("critic", gradient.CRITICS)
def test_gradients_in_the_encoder_are_those_of_the_loss(critic: str) -> None:
    batch = gradient.draw_batch(critic, 3).first(40)
    rng = np.random.default_rng(3)
    means = rng.standard_normal((4, 64))
    encoder = rng.standard_normal((128, 64)) / 8
    np.testing.assert_allclose(np.linalg.norm(4 * means / np.linalg.norm(means, axis=1, keepdims=True), axis=1), 4)
    found = gradient.gradient(batch)
    for seed in range(3):
        direction = np.random.default_rng(seed).standard_normal(encoder.shape)
        above, below = (loss(batch, encoder + sign * 1e-5 * direction, critic) for sign in (1, -1))
        assert np.vdot(found, direction) == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-8)


def test_the_cosine_gradient_is_that_of_infonce() -> None:
    batch = gradient.draw_batch("cosine", 0).first(64)
    found = infonce(batch.anchors.points, batch.positives.points, batch.pool.points, Kernel("cosine", 0.1))
    sides = ((batch.anchors, found.anchors), (batch.positives, found.positives), (batch.pool, found.negatives))
    expected = sum(side.in_weights(vectors) for side, vectors in sides)
    np.testing.assert_allclose(gradient.gradient(batch), expected, atol=1e-15)


def test_the_prediction_is_the_mean_square_error_over_pools() -> None:
    batch = gradient.draw_batch("rbf", 1)
    found = gradient.compare_batch(batch)
    whole = gradient.gradient(batch)
    rng = np.random.default_rng(0)
    for count, accuracy in ((4, 0.08), (16, 0.05), (1024, 0.05)):
        squares = []
        for _ in range(60):
            rows = rng.permutation(4096)[:count]
            pool = replace(batch.pool, inputs=batch.pool.inputs[rows], points=batch.pool.points[rows])
            squares.append(np.sum((gradient.gradient(replace(batch, pool=pool)) - whole) ** 2))
        error = math.sqrt(np.mean(squares)) / np.linalg.norm(whole)
        assert error == pytest.approx(found.predicted_error[gradient.COUNTS.index(count)], rel=accuracy)
    assert np.all(np.diff(found.share) < 0)


@pytest.mark.parametrize("critic", gradient.CRITICS)
def test_influences_are_what_one_more_negative_adds(critic: str) -> None:
    batch = gradient.draw_batch(critic, 2).first(256)
    own, others = batch.exponents()
    top = np.maximum(own, others.max(axis=1))
    kernels, positive = np.exp(others - top[:, None]), np.exp(own - top)
    before, share = gradient._mean_field_gradient(batch, kernels, positive, 256)
    added = []
    with threads.one_blas_thread():
        for n in range(256):
            rows = [*range(256), n]
            lengths = None if batch.pool.lengths is None else batch.pool.lengths[rows]
            pool = replace(batch.pool, inputs=batch.pool.inputs[rows], points=batch.pool.points[rows], lengths=lengths)
            added.append(256 * (gradient.gradient(replace(batch, pool=pool)) - before).ravel())
    # A difference of one in 256 is not quite a derivative.
    assert gradient._influences(batch, kernels, [share])[0] == pytest.approx(np.sum(np.var(added, axis=0, ddof=1)), rel=0.02)


# D.2


def test_particles_descend_the_objective_that_is_written() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((60, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points[1] = -points[0] + 1e-5 * points[2]  # the antipode
    points[1] /= np.linalg.norm(points[1])

    def dense(points: np.ndarray) -> float:
        angles = np.arccos(np.clip(points @ points.T, -1, 1))
        density = np.exp(-(angles**2) / (2 * 0.35**2)).mean(axis=1)
        return float(np.mean(gibbs.potential().function(points)) / 0.5 + np.mean(np.log(density)))

    value, slope = particles.objective(points, 0.5, gibbs.wells(), gibbs.CONCENTRATION)
    assert value == pytest.approx(dense(points), abs=1e-12)
    assert np.abs(np.sum(slope * points, axis=1)).max() < 1e-15
    for i in (0, 1, 7):
        for k in range(3):
            shifted = []
            for sign in (1, -1):
                moved = points.copy()
                moved[i, k] += sign * 1e-6
                shifted.append(dense(moved / np.linalg.norm(moved, axis=1, keepdims=True)))
            assert slope[i, k] == pytest.approx((shifted[0] - shifted[1]) / 2e-6, abs=1e-8)


def test_particles_settle_and_repeat_themselves() -> None:
    first = particles.settle_particles(0.5, gibbs.wells(), gibbs.CONCENTRATION, 0, 150, 200)
    np.testing.assert_array_equal(first, particles.settle_particles(0.5, gibbs.wells(), gibbs.CONCENTRATION, 0, 150, 200))
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1)
    rng = np.random.default_rng(0)
    start = rng.standard_normal((3, 200)).T
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    before, after = (particles.objective(one, 0.5, gibbs.wells(), gibbs.CONCENTRATION)[0] for one in (start, first))
    assert after < before - 0.3
    # The first step of Adam has the learning rate in every coordinate, and the noise comes on top.
    rng = np.random.default_rng(4)
    start, noise = rng.standard_normal((3, 50)), rng.standard_normal((3, 50))
    start /= np.linalg.norm(start, axis=0)
    slope = particles.objective(start.T, 0.5, gibbs.wells(), gibbs.CONCENTRATION)[1].T
    moved = start + 0.06 * noise - 0.05 * np.sign(slope)
    stepped = particles.settle_particles(0.5, gibbs.wells(), gibbs.CONCENTRATION, 4, 1, 50)
    np.testing.assert_allclose(stepped.T, moved / np.linalg.norm(moved, axis=0), atol=1e-4)
    # Only the potential pulls a single particle: it ends in a well.
    alone = particles.settle_particles(0.01, gibbs.wells(), gibbs.CONCENTRATION, 1, 600, 1)
    assert gibbs.in_cap(alone)[0] == 1


def test_the_field_has_the_exact_cap_masses() -> None:
    masses, errors = gibbs.cap_masses()
    assert np.abs(masses - CAP_MASSES).max() < 1e-6
    assert np.all(np.abs(masses - CAP_MASSES) < errors)


def test_importance_sampling_agrees_within_its_errors() -> None:
    found = [gibbs.importance_sampled(seed) for seed in range(40)]
    deviations = np.array([(mass - CAP_MASSES) / error for mass, error in found])
    assert np.abs(deviations).max() < 4.5
    # At one temperature the seeds are independent, and errors of the stated size have variance 1 (to 0.22 of 40 seeds).
    np.testing.assert_allclose(np.mean(deviations**2, axis=0), 1, atol=0.7)
    assert kstest(deviations[:, 3], "norm").pvalue > 0.01


def test_what_particles_minimise_is_above_gibbs_in_the_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fieldsolve.reproduce.gibbs.model._SMOOTHED_NSIDE", 8)
    monkeypatch.setattr("fieldsolve.reproduce.gibbs.model._MOST_STEPS", 1000)
    found = gibbs.smooth_state(0.5)
    assert found.cap_mass == pytest.approx(0.274, abs=0.006)
    grid, tau = Healpix(8), 2 * particles.BANDWIDTH**2
    kernel = Kernel("geodesic", tau)
    values = gibbs.potential().on(grid)

    def energy(density: np.ndarray) -> float:
        return float(grid.mean(values * density / 0.5 + density * Smoother(grid, kernel).log_smooth(density)))

    exact = gibbs_density(values[None], 0.5, 0.0).density()[0]
    assert found.energy == pytest.approx(energy(found.density), abs=1e-9)
    assert found.energy < energy(exact) - 1e-3


# Studies


def gibbs_results(steps: int) -> list[tuple[Task, dict[str, Any]]]:
    """Outcomes of the experiment's tasks with stand-ins for what takes long."""
    results = []
    for task in gibbs_study.tasks(2, quick=True):
        if task.kind == "particles":
            points = particles.settle_particles(task.config["tau"], gibbs.wells(), 12.0, task.config["seed"], 1, 50)
            found = {"cap_mass": 0.2, "points": points.tolist() if task.config["seed"] == 0 else None}
        elif task.kind == "smoothed":
            found = {
                "nside": 1,
                "density": [1.0] * 12,
                "cap_mass": 0.3,
                "early_cap_mass": 0.25,
                "energy": -1.0,
                "stationarity": 1e-5,
                "steps": 1,
            }
        else:
            found = gibbs_study.COMPUTED[task.kind](task.config)
        results.append((Task.of(task.kind, {**task.config, "steps": steps} if "steps" in task.config else task.config), found))
    return results


def test_the_gibbs_study_splits_what_is_off() -> None:
    study = GibbsStudy.of(gibbs_results(1000))
    table = study.table
    np.testing.assert_allclose(np.array(table["bandwidth_bias"]) + table["rest"], 0.2 - study.exact)
    assert len(study.runs["particles"]) == len(study.runs["tau"]) == 14
    assert "1000 steps (the paper: 5000)" in study.report[0]
    assert "the paper" not in GibbsStudy.of(gibbs_results(5000)).report[0]
    assert set(figures(study)) == {"figure3", "figure4"}


@pytest.fixture(scope="module")
def gap() -> GapStudy:
    """A study of the gap with two starts, a coarse branch, and two runs a scale of which one at 0.7 is made to be separated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gap_study, "_STARTS", 2)
        patch.setattr(gap_study, "_OFFSETS", 1)
        patch.setattr(gap_study, "_FOLLOWED", [0.3, 0.4, 1.0, 1.2])
        patch.setattr("fieldsolve.reproduce.gap.branches._END_ERROR", 0.05)
        results = []
        for task in gap_study.tasks(2, quick=True):
            if task.kind != "trained":
                results.append((task, gap_study.COMPUTED[task.kind](task.config)))
                continue
            apart = (task.config["sigma"], task.config["seed"], task.config["batch"]) == (0.7, 1, 256)
            run = {
                "encoders": np.diag([1.0, 0.5])[None].repeat(2, axis=0).tolist(),
                "gap": 0.1,
                "exact_gap": 0.05,
                "energy": -12.0,
            }
            run |= {"ratio": 0.5, "phase": "aligned"}
            if apart:
                run |= {"gap": 30.0, "exact_gap": None, "energy": None, "ratio": 0.001, "phase": "separated"}
            results.append((task, run))
        return GapStudy.of(results)


def test_the_gap_study_tells_the_phases_apart(gap: GapStudy, tmp_path: Path) -> None:
    table = gap.table
    assert table["population_phase"] == ["aligned"] * 6 + ["separated"] * 2
    assert table["trained_mean"][-1] == pytest.approx(15.05)
    assert table["trained_sem"][-1] == pytest.approx(29.9 / 2)
    assert table["trained_separated"] == [0] * 7 + [1]
    assert table["aligned_median_at_256"] == [0.1] * 8
    assert table["median_at_256"][-1] == pytest.approx(15.05)
    # Found by others: energies at 0, 0.3 and 0.7 of one phase, at 0.7 of the other, to what their quadrature resolved.
    np.testing.assert_allclose(np.array(table["aligned_energy"])[[0, 3, 7]], [-14.131, -13.170, -11.639], atol=1e-3)
    assert table["separated_energy"][7] == pytest.approx(-12.449, abs=5e-3)
    assert table["separated_gap"][7] == pytest.approx(35.6, abs=0.05)
    assert table["aligned_gap"][7] == pytest.approx(0.165, abs=0.01)
    report = "\n".join(gap.report)
    assert "sigma 0.7: seed 1" in report
    assert "cross at sigma = 0.5192" in report
    write(Plan("gap", 2, True), gap, tmp_path)
    pictures = {"figure5", "figure6", "figure7", "figure8", "phases", "batches"}
    assert {path.stem for path in tmp_path.glob("*.png")} == pictures
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[3]["aligned_gap"]) == table["aligned_gap"][3]
    with (tmp_path / "runs.csv").open() as file:
        assert sum(row["exact_gap"] == "" for row in csv.DictReader(file)) == 1
    assert (tmp_path / "table.md").read_text().startswith("| sigma | 0 | 0.1 |")


# Folders


def test_plans_are_the_papers_and_refuse_others() -> None:
    assert EXPERIMENTS == ("gradient", "gibbs", "gap", "captions")
    for experiment in EXPERIMENTS[:3]:
        full = make_plan(experiment)
        assert full.seeds == 20
        assert make_plan(experiment, quick=True).seeds < 20
        assert make_plan(experiment, quick=True, seeds=7).seeds == 7
        assert Plan.from_json(full.to_json()) == full
        assert len({task.key for task in full.tasks}) == len(full.tasks)
    assert len(make_plan("gibbs").tasks) == 20 * 7 + 7 + 20 + 1
    assert len(make_plan("gap").tasks) == 20 * 8 * 3 + 8 + 1
    with pytest.raises(InputError, match="unknown experiment"):
        make_plan("clip")
    with pytest.raises(InputError, match="at least one seed"):
        make_plan("gap", seeds=0)


def test_failed_parts_are_said_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make_plan("gradient", seeds=1)

    def broken(config: dict[str, Any]) -> dict[str, Any]:
        raise InputError("no luck")

    with monkeypatch.context() as patch:
        patch.setitem(plan._COMPUTED, "gradient", broken)
        failed = run_plan(one, tmp_path / "d", in_this_process)
        assert isinstance(failed, list)
        assert [outcome.reason for _, outcome in failed] == ["no luck"] * 2
    study = run_plan(one, tmp_path / "d", in_this_process)
    assert not isinstance(study, list)
    assert len(study.table["negatives"]) == 18


def test_the_command_resumes_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, runner = str(tmp_path / "d"), CliRunner()
    command = ["reproduce", "gradient", "-o", folder, "--workers", "1", "--seeds"]
    first = runner.invoke(main, [*command, "1", "--json"])
    assert first.exit_code == 0, first.stderr
    summary = json.loads(first.stdout)
    assert summary["schema"] == "fieldsolve/reproduce/1"
    assert summary["alignment_std"] == [None] * 18  # of one seed
    assert {path.name for path in Path(folder).iterdir()} >= {"table.csv", "table.md", "runs.csv", "report.md", "figure2.png"}
    computed = []
    compute = plan._COMPUTED["gradient"]
    monkeypatch.setitem(plan._COMPUTED, "gradient", lambda config: computed.append(config["seed"]) or compute(config))
    again = runner.invoke(main, [*command, "1", "--json"])
    assert again.stdout == first.stdout
    assert computed == []
    refused = runner.invoke(main, [*command, "2"])
    assert refused.exit_code == 3
    assert "--force" in refused.stderr
    more = runner.invoke(main, [*command, "2", "--force"])
    assert more.exit_code == 0, more.stderr
    assert computed == [1, 1]
    assert "alignment rises with every N" in more.stdout
    shown = runner.invoke(main, ["show", folder])
    assert shown.stdout == more.stdout
    assert (Path(folder) / "report.md").read_text().count("fieldsolve reproduce gradient --seeds 2") == 1
    for other in (["phase-diagram", "examples/coupling_tau.toml"], ["reproduce", "gap"]):
        foreign = runner.invoke(main, [*other, "-o", folder, "--force"])
        assert foreign.exit_code == 3
        assert "holds something else" in foreign.stderr
    assert runner.invoke(main, ["show", folder]).stdout == more.stdout
    shutil.rmtree(folder)


def test_what_is_not_there_yet_is_said(tmp_path: Path) -> None:
    one = make_plan("gradient", seeds=1)

    def stops(tasks: Any, perform: Any) -> Any:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        run_plan(one, tmp_path / "d", stops)
    with pytest.raises(InputError, match="2 of 2 parts are not computed yet"):
        open_study(tmp_path / "d")
