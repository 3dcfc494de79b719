"""Kernels against scipy's Bessel functions, quadrature and closed forms."""

import numpy as np
import pytest
from scipy import integrate, special

from fieldsolve.grids import Healpix
from fieldsolve.grids.allpairs import sums
from fieldsolve.grids.critics import CRITICS, Cosine, Critic, Geodesic
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError


@pytest.mark.parametrize("tau", [5.0, 1.0, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("critic", ["cosine", "rbf"])
def test_spectrum_is_a_ratio_of_bessel_functions(critic: str, tau: float) -> None:
    kernel = Kernel(critic, tau)
    degrees, x = np.arange(40), kernel.concentration
    np.testing.assert_allclose(kernel.spectrum(2, 39), special.ive(degrees + 0.5, x) / special.ive(0.5, x), rtol=1e-13)
    np.testing.assert_allclose(kernel.spectrum(1, 39), special.ive(degrees, x) / special.ive(0, x), rtol=1e-13)


def test_spectrum_in_high_dimension_does_not_overflow() -> None:
    # k_1 = I_{d/2}(1/tau) / I_{d/2-1}(1/tau), here at d = 512, where scipy still manages.
    k = Kernel("cosine", 0.01).spectrum(511, 4)
    assert k[1] == pytest.approx(special.ive(256, 100) / special.ive(255, 100), rel=1e-12)
    assert np.all(np.isfinite(Kernel("cosine", 0.01).spectrum(4095, 50)))


@pytest.mark.parametrize(("dim", "tau"), [(1, 0.1), (3, 0.003), (7, 0.01), (63, 0.1), (511, 0.01), (511, 0.003)])
def test_volumes_are_bessel_functions_in_any_dimension(dim: int, tau: float) -> None:
    # V exp(-1/tau) = Gamma(d/2) (2 tau)^(d/2 - 1) I_{d/2-1}(1/tau) exp(-1/tau), d = dim + 1
    half = (dim + 1) / 2
    expected = special.gammaln(half) + (half - 1) * np.log(2 * tau) + np.log(special.ive(half - 1, 1 / tau))
    assert -Kernel("cosine", tau).log_peak(dim) == pytest.approx(expected, abs=1e-11)
    assert np.isfinite(Kernel("cosine", tau).log_peak(100_000))


def test_first_eigenvalue_on_the_sphere_is_langevin() -> None:
    tau = 0.3
    assert Kernel("cosine", tau).spectrum(2, 1)[1] == pytest.approx(1 / np.tanh(1 / tau) - tau, rel=1e-14)


@pytest.mark.parametrize("critic", ["cosine", "rbf", "geodesic"])
@pytest.mark.parametrize("tau", [2.0, 0.2, 0.02])
def test_profile_has_mean_one_and_the_volume_is_its_normaliser(critic: str, tau: float) -> None:
    kernel = Kernel(critic, tau)
    on_sphere, _ = integrate.quad(lambda a: np.exp(kernel.log_profile(a, 2)) * np.sin(a) / 2, 0, np.pi, epsabs=1e-13, limit=200)
    on_circle, _ = integrate.quad(lambda a: np.exp(kernel.log_profile(a, 1)) / np.pi, 0, np.pi, epsabs=1e-13, limit=200)
    assert on_sphere == pytest.approx(1, abs=1e-11)
    assert on_circle == pytest.approx(1, abs=1e-11)
    critic_at_zero = {"cosine": 1.0, "rbf": 0.0, "geodesic": 0.0}[critic]
    assert kernel.log_volume(2) == pytest.approx(critic_at_zero / tau - kernel.log_profile(0.0, 2), abs=1e-12)
    if critic == "cosine" and tau > 0.1:
        assert np.exp(kernel.log_volume(2)) == pytest.approx(tau * np.sinh(1 / tau), rel=1e-13)


@pytest.mark.parametrize("dim", [1, 2])
def test_geodesic_spectrum_is_the_projection_of_its_profile(dim: int) -> None:
    kernel = Kernel("geodesic", 0.3)
    k = kernel.spectrum(dim, 6)
    for degree in range(7):
        if dim == 2:
            zonal = lambda a, n=degree: special.eval_legendre(n, np.cos(a)) * np.sin(a) / 2  # noqa: E731
        else:
            zonal = lambda a, n=degree: np.cos(n * a) / np.pi  # noqa: E731
        exact, _ = integrate.quad(lambda a, z=zonal: np.exp(kernel.log_profile(a, dim)) * z(a), 0, np.pi, epsabs=1e-13, limit=400)
        assert k[degree] == pytest.approx(exact, abs=1e-11)


@pytest.mark.parametrize("tolerance", [1e-6, 1e-12])
@pytest.mark.parametrize("tau", [1.0, 0.05])
def test_harmonics_are_enough_and_not_more_than_needed(tau: float, tolerance: float) -> None:
    kernel = Kernel("cosine", tau)
    needed = kernel.harmonics(2, tolerance)
    assert needed is not None
    degrees = np.arange(400)
    size = (2 * degrees + 1) * kernel.spectrum(2, 399)
    assert size[needed + 1 :].sum() <= tolerance * size.sum()
    assert size[needed - 1 :].sum() > tolerance * size.sum()


def test_a_kink_has_no_short_spectrum() -> None:
    assert Kernel("geodesic", 1.0).harmonics(2) is None
    assert Kernel("geodesic", 0.1).harmonics(2) is not None


@pytest.mark.parametrize("tau", [0.0, -1.0, np.nan, np.inf])
def test_temperature_must_be_positive(tau: float) -> None:
    with pytest.raises(InputError, match="tau"):
        Kernel("cosine", tau)


def test_unknown_critic_is_refused() -> None:
    with pytest.raises(InputError, match="dot"):
        Kernel("dot", 1.0)


@pytest.mark.parametrize("critic", ["cosine", "rbf", "geodesic"])
def test_width_is_the_standard_deviation_along_a_direction(critic: str) -> None:
    kernel = Kernel(critic, 1e-3)
    angle = np.linspace(-0.5, 0.5, 20001)
    profile = np.exp(kernel.relative_profile(angle))
    assert kernel.width == pytest.approx(np.sqrt((profile * angle**2).sum() / profile.sum()), rel=1e-2)


def test_a_critic_that_is_derived_from_another_is_its_own() -> None:
    """Its profile is what is summed, and a name belongs to one critic."""

    class Wide(Geodesic):
        name = "wide"

        def profile(self, angle: Array) -> Array:
            return 0.5 * super().profile(angle)

        def slope(self, angle: Array) -> Array:
            return 0.5 * super().slope(angle)

    points = Healpix(4).points()
    weights = np.linspace(0, 1, len(points))
    try:
        derived = sums(points, points, weights, Kernel(Wide(), 0.3))
        np.testing.assert_allclose(derived, sums(points, points, weights, Kernel("geodesic", 0.6)), rtol=1e-12)
        with pytest.raises(InputError, match="parent's name 'cosine'"):
            type("Twice", (Cosine,), {})
        with pytest.raises(InputError, match="the name 'cosine' is the critic Cosine's"):
            type("Other", (Critic,), {"name": "cosine"})
        assert CRITICS["cosine"] is Cosine
    finally:
        CRITICS.pop("wide", None)
