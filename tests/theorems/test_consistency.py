"""Large-batch consistency: exact expectations against brute force, asymptotic rates, bounds, and the command."""

import json
from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner

from fieldsolve.cli import main
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.grids import Circle, Healpix
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems import pictures as charts
from fieldsolve.theorems.consistency import Consistency, consistency, gradient_bound
from fieldsolve.theorems.directions import Side
from fieldsolve.theorems.expectations import law_bias
from fieldsolve.theorems.infonce import infonce
from fieldsolve.theorems.laws import augmented, two_modalities


def content(grid: Circle | Healpix) -> np.ndarray:
    return np.exp(2 * grid.evaluate(lambda points: points[:, 0] - 0.3 * points[:, 1] ** 2))


@pytest.fixture(scope="module")
def unimodal() -> Consistency:
    grid = Healpix(8)
    return consistency(augmented(grid, content(grid), 15.0), Kernel("cosine", 0.5))


@pytest.fixture(scope="module")
def multimodal() -> Consistency:
    grid = Healpix(8)
    return consistency(two_modalities(grid, content(grid), (10.0, 20.0), 40.0), Kernel("rbf", 0.5), 2)


@pytest.mark.parametrize(("critic", "tau"), [("cosine", 1.0), ("cosine", 0.05), ("rbf", 0.3)])
def test_the_exact_bias_is_brute_force_s(critic: str, tau: float) -> None:
    """Over every anchor, positive and pair of negatives of a law on five points."""
    grid = Circle(5)
    law = two_modalities(grid, content(grid), (float("inf"), float("inf")), 72.0)
    points, kernel = grid.points(), Kernel(critic, tau)
    partner = law.conditional(0, np.arange(5))
    q, masses = law.marginals[0] / 5, law.marginals[1] / 5
    fields = np.log(np.exp(kernel.concentration * (points @ points.T - 1)) @ masses)
    total = 0.0
    for z, plus, first, second in product(range(5), repeat=4):
        weight = q[z] * partner[z, plus] / 5 * masses[first] * masses[second]
        if weight == 0:
            continue
        loss = infonce(points[[z]], points[[plus]], points[[first, second]], kernel).value
        own = kernel.concentration * (points[z] @ points[plus] - 1)
        total += weight * (loss + own - np.log(2) - fields[z])
    back = law_bias(law, kernel, 2, np.array([2]))[0]
    swapped = type(law)(grid, law.places[::-1], law.weights, law.spreads, "swapped")
    assert law_bias(swapped, kernel, 2, np.array([2]))[0] == pytest.approx(back, abs=1e-12)
    other = brute_back(law, kernel)
    assert back == pytest.approx((total + other) / 2, abs=1e-9)


def brute_back(law: object, kernel: Kernel) -> float:
    """The other direction of the brute force, by its own conditional."""
    points = law.grid.points()  # type: ignore[attr-defined]
    partner = law.conditional(1, np.arange(5))  # type: ignore[attr-defined]
    q, masses = law.marginals[1] / 5, law.marginals[0] / 5  # type: ignore[attr-defined]
    ratios = np.exp(kernel.concentration * (points @ points.T - 1))
    field = ratios @ masses
    total = 0.0
    for z, plus, first, second in product(range(5), repeat=4):
        weight = q[z] * partner[z, plus] / 5 * masses[first] * masses[second]
        total += weight * np.log((ratios[z, plus] + ratios[z, first] + ratios[z, second]) / (2 * field[z]))
    return float(total)


@pytest.mark.parametrize("which", ["unimodal", "multimodal"])
def test_rates(which: str, request: pytest.FixtureRequest) -> None:
    """The value's bias falls like 1/N and the gradient's error like 1/sqrt(N); what is measured is what is predicted."""
    found: Consistency = request.getfixturevalue(which)
    assert found.value_slope is not None
    assert found.value_slope.value == pytest.approx(-1, abs=0.05)
    assert found.gradient_slope is not None
    assert found.gradient_slope.value == pytest.approx(-0.5, abs=0.05)
    deviation = (found.bias - found.expected_bias) / found.bias_error
    assert np.abs(deviation).max() < 4
    assert np.mean(deviation**2) < 4
    late = found.negatives >= found.gradient_slope.since
    np.testing.assert_allclose(found.gradient_error[late], found.expected_gradient_error[late], rtol=0.35)
    assert found.expected_bias[-1] * found.negatives[-1] == pytest.approx(found.leading, rel=1e-3)
    assert found.law_bias is not None
    assert found.law_bias[-1] * found.negatives[-1] == pytest.approx(found.leading, rel=0.3)
    assert abs(found.limit - found.log_volume - found.energy) < 4 * found.limit_error


@pytest.mark.parametrize("which", ["unimodal", "multimodal"])
def test_gradients_stay_below_their_uniform_bound(which: str, request: pytest.FixtureRequest) -> None:
    found: Consistency = request.getfixturevalue(which)
    assert 0 < found.gradient_largest < found.gradient_bound
    assert found.gradient_bound == pytest.approx({1: 4.0, 2: 8**0.5}[found.modalities] * found.kernel.concentration)


def test_the_gradient_bound_holds_for_the_worst_batches(rng: np.random.Generator) -> None:
    """Sharp kernels and opposed positives come within a factor 4 of it, and never above it."""
    kernel, identity = Kernel("cosine", 0.01), np.eye(3)
    largest = 0.0
    for _ in range(200):
        points = [rng.standard_normal((count, 3)) for count in (1, 1, 3)]
        points = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in points]
        loss = infonce(*points, kernel)
        parts = zip((loss.anchors, loss.positives, loss.negatives), points, strict=True)
        largest = max(largest, float(np.linalg.norm(sum((g.T @ x for g, x in parts), 0 * identity))))
    assert gradient_bound(kernel, 1) / 4 < largest < gradient_bound(kernel, 1)


def test_the_energy_is_that_of_the_solvers(unimodal: Consistency, multimodal: Consistency) -> None:
    """J from the points' partition field, and from `Energy`, whose smoothing is balanced: equal up to the volume's spread."""
    grid = Healpix(8)
    for found, law in (
        (unimodal, augmented(grid, content(grid), 15.0)),
        (multimodal, two_modalities(grid, content(grid), (10.0, 20.0), 40.0)),
    ):
        count = found.modalities
        energy = Energy(grid, law.potentials(found.kernel.critic)[:count], found.kernel.tau, 1.0, found.kernel)
        assert energy.evaluate(law.marginals[:count])[0].value == pytest.approx(found.energy, abs=1e-3)


def test_slopes_are_not_given_before_the_asymptotic_regime() -> None:
    grid = Circle(96)
    found = consistency(augmented(grid, content(grid), 30.0), Kernel("cosine", 0.02), negatives=(4, 8, 16), batch=16, seeds=4)
    assert found.value_slope is None
    assert found.gradient_slope is None
    assert "does not reach" in charts.plot_consistency(found).axes[0].get_title()


def test_the_predicted_gradient_error_counts_the_positive_s_own_term() -> None:
    """Misaligned modalities at few negatives: the own term moves the gradient by as much as the noise does."""
    grid = Healpix(16)
    law = two_modalities(grid, content(grid), (100.0, 100.0), 15.0)
    found = consistency(law, Kernel("cosine", 0.1), 2, negatives=(64, 128), batch=512, seeds=12)
    np.testing.assert_allclose(found.gradient_error, found.expected_gradient_error, rtol=0.15)


def test_exact_biases_at_temperatures_whose_ratios_exceed_every_number() -> None:
    grid = Circle(1100)
    law = augmented(grid, content(grid), 1000.0)
    found = consistency(law, Kernel("cosine", 1e-3), negatives=(64, 4096), batch=8, seeds=3)
    assert np.all(np.isfinite(found.expected_bias))
    assert np.abs(found.bias[1] - found.expected_bias[1]) < 5 * found.bias_error[1]


def test_same_seed_same_figures() -> None:
    grid = Circle(64)
    law = augmented(grid, content(grid), 10.0)
    one, two, other = (consistency(law, Kernel("cosine", 0.5), negatives=(4, 16), batch=4, seeds=3, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.bias, two.bias)
    assert not np.array_equal(one.bias, other.bias)


@pytest.mark.parametrize("modalities", [1, 2])
def test_encoder_gradients_are_differences_of_the_loss(modalities: int, rng: np.random.Generator) -> None:
    """Of z -> A z/|A z| at A = 1, by central differences in every entry of every encoder."""
    grid = Healpix(4)
    law = two_modalities(grid, content(grid), (5.0, 5.0), 0.0 if modalities == 1 else 40.0)
    kernel, points = Kernel("rbf", 0.5), grid.points()
    side = Side(law, kernel, law.sample(6, rng), 0, modalities - 1)
    negatives = points[law.sample_marginal(modalities - 1, 50, rng)]
    gradient = side.gradient(side.loss(negatives), negatives, modalities)

    def value(encoders: np.ndarray) -> float:
        own, other = encoders[0], encoders[modalities - 1]
        moved = [rows @ encoder.T for rows, encoder in ((side.anchors, own), (side.positives, other), (negatives, other))]
        return infonce(*(rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in moved), kernel).value

    for index in np.ndindex(gradient.shape):
        step = np.zeros(gradient.shape)
        step[index] = 1e-5
        identity = np.stack([np.eye(3)] * modalities)
        assert (value(identity + step) - value(identity - step)) / 2e-5 == pytest.approx(gradient[index], abs=1e-8)


def test_what_does_not_fit_is_refused() -> None:
    grid = Circle(32)
    law, kernel = augmented(grid, content(grid), 5.0), Kernel("cosine", 0.5)
    with pytest.raises(InputError, match="rise"):
        consistency(law, kernel, negatives=(8, 4))
    with pytest.raises(InputError, match="whole numbers"):
        consistency(law, kernel, negatives=(4.5, 8.0))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at most 4194304"):
        consistency(law, kernel, negatives=(4, 2**23))
    with pytest.raises(InputError, match="seed"):
        consistency(law, kernel, seed=-1)
    with pytest.raises(InputError, match="circle of"):
        consistency(law, Kernel("cosine", 1e-3))
    with pytest.raises(InputError, match="error bars"):
        consistency(law, kernel, seeds=1)
    with pytest.raises(InputError, match="symmetric form"):
        consistency(law, kernel, 3)
    with pytest.raises(InputError, match="same law"):
        consistency(two_modalities(grid, content(grid), (5.0, 8.0)), kernel, 1)
    with pytest.raises(InputError, match="geodesic"):
        consistency(law, Kernel("geodesic", 0.5))


def test_the_command(tmp_path: object) -> None:
    arguments = ["consistency", "--nside", "4", "--concentration", "5", "--tau", "0.5", "--largest", "256", "--batch", "8"]
    arguments += ["--seeds", "3", "-o", f"{tmp_path}/out"]
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["schema"] == "fieldsolve/consistency/1"
    assert figures["negatives"] == [4, 8, 16, 32, 64, 128, 256]
    assert figures["gradient_largest"] < figures["gradient_bound"]
    assert len(figures["law_bias"]) == 7
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 3
    assert "--force" in again.stderr
    printed = CliRunner().invoke(main, [*arguments, "--force"])
    assert "theory -1" in printed.stdout or "no slope" in printed.stdout
    shown = CliRunner().invoke(main, ["show", f"{tmp_path}/out"])
    assert shown.stdout == printed.stdout
    assert json.loads(CliRunner().invoke(main, ["show", f"{tmp_path}/out", "--json"]).stdout)["negatives"][-1] == 256
    assert CliRunner().invoke(main, ["consistency", "--largest", "7"]).exit_code == 2
    assert "of at least 1e-09" in CliRunner().invoke(main, ["consistency", "--nside", "4", "--at", "0"]).stderr
    for wrong in (
        ["--modalities", "1", "--misalign", "10"],
        ["--concentration", "1", "--concentration", "2"],
        ["--pairs", "x.npy", "--modalities", "1"],
    ):
        assert CliRunner().invoke(main, ["consistency", *wrong]).exit_code == 2
    too_sharp = CliRunner().invoke(main, ["consistency", "--nside", "4", "--concentration", "100"])
    assert too_sharp.exit_code == 3
    assert "at most" in too_sharp.stderr
