"""Pair laws: disintegration, marginals, conditionals, samples, and what is refused."""

from math import inf

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.embeddings.pairs import Pairs, from_embeddings
from fieldsolve.grids import Circle, Grid, Healpix, Smoother
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.laws import PairLaw, augmented, empirical, two_modalities


def content(grid: Grid) -> np.ndarray:
    return np.exp(2 * grid.evaluate(lambda points: points[:, 0] - 0.3 * points[:, 1] ** 2))


def some_pairs(dim: int, rng: np.random.Generator) -> Pairs:
    first = rng.standard_normal((60, dim)) + 1.5
    return from_embeddings(first, first + 0.3 * rng.standard_normal((60, dim)), normalize=True)


@pytest.fixture(params=["augmented", "two modalities", "anchored", "pairs"])
def law(request: pytest.FixtureRequest, grid: Grid, rng: np.random.Generator) -> PairLaw:
    if request.param == "augmented":
        return augmented(grid, content(grid), 12.0)
    if request.param == "two modalities":
        return two_modalities(grid, content(grid), (8.0, 15.0), 40.0)
    if request.param == "anchored":
        return two_modalities(grid, content(grid), (inf, 15.0))
    return empirical(grid, some_pairs(grid.dim + 1, rng), 0.4)


@pytest.mark.parametrize("critic", ["cosine", "rbf"])
def test_disintegration(law: PairLaw, critic: str) -> None:
    """int U_1 dq_1 = int U_2 dq_2 = -E[s]: to rounding, because smoothing is self-adjoint."""
    q, potentials = law.marginals, law.potentials(critic)
    np.testing.assert_allclose(q.mean(axis=1), 1, atol=1e-12)
    means = law.grid.mean(q * potentials)
    np.testing.assert_allclose(means, -law.expected_similarity(critic), atol=1e-7)


def test_conditionals_give_marginals_and_potentials_back(law: PairLaw) -> None:
    """Two routes: int pi(.|z) q_1 = q_2, and U_1 from the conditional's own mean."""
    grid, everywhere = law.grid, np.arange(law.grid.size)
    for given in (0, 1):
        rows = law.conditional(given, everywhere)
        own, other = law.marginals[given], law.marginals[1 - given]
        np.testing.assert_allclose(own @ rows / grid.size, other, atol=1e-9 * other.max())
        means = rows @ grid.points() / grid.size
        potential = -np.sum(grid.points() * means, axis=1)
        heavy = own > 1e-3
        np.testing.assert_allclose(law.potentials()[given][heavy], potential[heavy], atol=1e-8)


def test_the_joint_law_is_the_same_from_either_side(law: PairLaw) -> None:
    everywhere = np.arange(law.grid.size)
    forth = law.marginals[0][:, None] * law.conditional(0, everywhere)
    back = law.marginals[1][:, None] * law.conditional(1, everywhere)
    np.testing.assert_allclose(forth, back.T, atol=1e-9 * forth.max())


def test_samples_have_the_law_s_moments(law: PairLaw, rng: np.random.Generator) -> None:
    points = law.grid.points()
    first, second = (points[at] for at in law.sample(6000, rng))
    products = np.sum(first * second, axis=1)
    assert abs(products.mean() - law.expected_similarity()) < 4 * products.std() / np.sqrt(len(products))
    for a, drawn in enumerate((first, second)):
        alone = points[law.sample_marginal(a, 6000, rng)]
        centroid = law.grid.centroid(law.marginals[a])
        for sample in (drawn, alone):
            assert np.abs(sample.mean(axis=0) - centroid).max() < 4 / np.sqrt(6000)


def test_the_augmentation_of_a_density_is_its_smoothing(grid: Grid) -> None:
    """Views are exchangeable, and their mean similarity is A(kappa)^2 with the mean resultant length A."""
    kappa = 10.0
    law = augmented(grid, content(grid), kappa)
    density = content(grid) / content(grid).mean()
    np.testing.assert_allclose(law.marginals[0], Smoother(grid, Kernel("cosine", 1 / kappa)).smooth(density), rtol=1e-9)
    np.testing.assert_array_equal(law.marginals[0], law.marginals[1])
    np.testing.assert_array_equal(*law.potentials())
    resultant = Kernel("cosine", 1 / kappa).spectrum(grid.dim, 1)[1]
    assert law.expected_similarity() == pytest.approx(resultant**2, abs=2e-3)
    np.testing.assert_allclose(law.potentials("rbf"), 2 + 2 * law.potentials(), atol=1e-12)


def test_misalignment_turns_the_second_modality_as_it_turns_potentials() -> None:
    grid = Healpix(32)
    law = two_modalities(grid, content(grid), (inf, inf), 40.0)
    first, second = grid.centroid(law.marginals)
    np.testing.assert_allclose(second, Healpix(1).rotation(40.0) @ first, atol=1e-3)


def test_potentials_where_the_law_has_next_to_nothing_are_summed_directly(rng: np.random.Generator) -> None:
    """Two tight clusters: on the far side harmonic moments are noise. Against sums over all contents, in logarithms."""
    grid = Healpix(16)
    first = np.array([1.0, 0.0, 0.0]) + 0.05 * rng.standard_normal((40, 3))
    mirrored = first @ np.diag([1.0, -1.0, 1.0])
    law = empirical(grid, from_embeddings(first, mirrored, normalize=True), 0.11)
    points = grid.points()
    far = np.flatnonzero(points[:, 0] < -0.5)[::37]
    exponents = Smoother(law.grid, law.spreads[0]).log_rows(far, law.places[0])
    shares = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    partners = law._mean_points(1)[:, law.places[1]]
    means = shares @ partners.T / shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(law.potentials()[0][far], -np.sum(points[far] * means, axis=1), atol=1e-9)


def test_laws_give_potentials_to_the_solvers() -> None:
    grid = Healpix(8)
    law = two_modalities(grid, content(grid), (8.0, 15.0), 30.0, label="mine")
    solution = fs.Problem(law.as_potentials(), tau=0.2, floor=0.01, coupling=0.3, grid=grid).solve()
    np.testing.assert_array_equal(solution.potentials, law.potentials())
    assert solution.labels == ("mine, 1 to 2", "mine, 2 to 1")
    finer = law.as_potentials()[0].on(Healpix(16))
    assert 0 < np.abs(finer - law.potentials()[0][grid.nearest(Healpix(16).points())]).max() < 0.1


def test_laws_refuse_what_they_cannot_be() -> None:
    grid = Healpix(8)
    with pytest.raises(InputError, match=r"at most 27"):
        augmented(grid, np.ones(grid.size), 100.0)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="positive number"):
            augmented(grid, np.ones(grid.size), wrong)
    with pytest.raises(InputError, match="density"):
        augmented(grid, -np.ones(grid.size), 5.0)
    for shape in (5, (2, grid.size)):
        with pytest.raises(InputError, match=r"shape \(768,\)"):
            augmented(grid, np.ones(shape), 5.0)
    with pytest.raises(InputError, match="finite angle"):
        two_modalities(grid, np.ones(grid.size), (5.0, 5.0), inf)
    with pytest.raises(InputError, match="geodesic"):
        augmented(grid, np.ones(grid.size), 5.0).potentials("geodesic")
    pairs = from_embeddings(np.eye(3), np.eye(3))
    with pytest.raises(InputError, match="S\\^2"):
        empirical(Circle(64), pairs)
    with pytest.raises(InputError, match="bandwidth"):
        empirical(grid, pairs, 0.0)
