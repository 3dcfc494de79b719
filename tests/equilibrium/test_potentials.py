"""Potentials: the paper's formula, rotations, maps, and what a user types."""

import healpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldsolve.equilibrium.mixtures import log_mixture
from fieldsolve.equilibrium.potentials import flat, from_map, mixture, potential_named, two_well
from fieldsolve.grids import Circle, Healpix
from fieldsolve.numerics.errors import InputError


def test_two_well_is_the_papers() -> None:
    z = Healpix(4).points()
    m2 = np.array([0.85, 0.15, -0.50]) / np.linalg.norm([0.85, 0.15, -0.50])
    expected = -np.log(0.5 * np.exp(12 * z[:, 2]) + 0.5 * np.exp(12 * z @ m2)) / 12
    np.testing.assert_allclose(two_well().on(Healpix(4)), expected, atol=1e-14)


def test_what_a_user_types() -> None:
    grid = Healpix(4)
    typed = potential_named("vmf:12@0,0,1+12@0.85,0.15,-0.5", grid).on(grid)
    np.testing.assert_allclose(typed, two_well().on(grid), atol=1e-15)
    weighted = potential_named("vmf:1e+1@0,0,2*3+5@-1,0,-1e-1*1", grid).on(grid)
    expected = mixture(np.array([[0, 0, 1.0], [-1, 0, -0.1]]), np.array([10.0, 5.0]), np.array([0.75, 0.25])).on(grid)
    np.testing.assert_allclose(weighted, expected, atol=1e-15)
    assert not potential_named("flat", grid).on(grid).any()
    np.testing.assert_array_equal(potential_named("two-well", grid).on(grid), two_well().on(grid))


@pytest.mark.parametrize(
    "text", ["three-well", "vmf:", "vmf:12", "vmf:x@0,0,1", "vmf:12@0,0,1+12@1,0", "vmf:-1@0,0,1", "vmf:1@0,0,0", "vmf:1@0,0,1*0"]
)
def test_what_nobody_can_mean_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        potential_named(text, Healpix(1))


def test_potentials_stay_on_their_sphere() -> None:
    with pytest.raises(InputError, match="circle"):
        two_well().on(Circle(10))
    assert mixture(np.array([[0.0, 1.0]]), 2.0).on(Circle(8)).argmin() == 2
    with pytest.raises(InputError, match="circle"):
        from_map(np.zeros(12)).on(Circle(12))
    with pytest.raises(InputError, match="circle"):
        mixture(np.array([[0.0, 1.0]]), 2.0).on(Healpix(1))
    np.testing.assert_array_equal(flat().misalign(30, Healpix(1)).on(Circle(8)), np.zeros(8))


def test_rotation_carries_the_wells_along() -> None:
    turned = two_well().misalign(90, Healpix(1))
    np.testing.assert_allclose(turned.wells[0], [1, 0, 0], atol=1e-15)
    grid = Healpix(16)
    lowest = grid.points()[turned.on(grid).argmin()]
    assert max(turned.wells @ lowest) > 0.998
    twice = two_well().misalign(30, Healpix(1)).misalign(60, Healpix(1))
    np.testing.assert_allclose(twice.on(grid), turned.on(grid), atol=1e-14)
    np.testing.assert_allclose(Circle(3).rotation(90) @ [1, 0], [0, 1], atol=1e-15)
    with pytest.raises(InputError, match="finite"):
        two_well().misalign(np.nan, Healpix(1))


def test_maps_on_their_own_grid_are_taken_as_they_are(rng: np.random.Generator) -> None:
    values = rng.standard_normal(768)
    np.testing.assert_array_equal(from_map(values).on(Healpix(8)), values)
    turned = from_map(two_well().on(Healpix(64))).misalign(25, Healpix(1)).on(Healpix(16))
    np.testing.assert_allclose(turned, two_well().misalign(25, Healpix(1)).on(Healpix(16)), atol=5e-4)


@pytest.mark.parametrize("ordering", ["RING", "NESTED"])
def test_fits_maps_in_either_ordering(ordering: str, tmp_path, rng: np.random.Generator) -> None:
    values = rng.standard_normal(768)
    stored = values if ordering == "RING" else healpy.reorder(values, r2n=True)
    healpy.write_map(tmp_path / "u.fits", stored, nest=ordering == "NESTED", dtype=np.float64)
    read = potential_named(str(tmp_path / "u.fits"), Healpix(8))
    np.testing.assert_array_equal(read.on(Healpix(8)), values)
    assert read.notes == ()


def test_maps_of_another_nside_are_regraded_and_it_is_said(tmp_path) -> None:
    fine = two_well().on(Healpix(32))
    np.save(tmp_path / "u.npy", fine)
    coarse = potential_named(str(tmp_path / "u.npy"), Healpix(8))
    assert "regraded from nside 32 to 8" in coarse.notes[0]
    np.testing.assert_allclose(coarse.on(Healpix(8)), healpy.ud_grade(fine, 8), atol=1e-14)
    finer = potential_named(str(tmp_path / "u.npy"), Healpix(64))
    assert "regraded from nside 32 to 64" in finer.notes[0]
    np.testing.assert_allclose(finer.on(Healpix(64)), two_well().on(Healpix(64)), atol=6e-3)


def test_maps_that_are_none_are_refused(tmp_path) -> None:
    grid = Healpix(8)
    for values, message in (
        (np.zeros(767), "767 values"),
        (np.zeros(108), "108 values"),
        (np.zeros((2, 768)), "one dimension"),
        (np.where(np.arange(768) == 5, np.nan, 0.0), "1 of 768"),
        (np.where(np.arange(768) < 3, healpy.UNSEEN, 0.0), "3 of 768"),
        (np.zeros(0), "0 values"),
    ):
        np.save(tmp_path / "u.npy", values)
        with pytest.raises(InputError, match=message):
            potential_named(str(tmp_path / "u.npy"), grid)
    for values in (np.zeros(768, dtype=complex), np.array(["0"] * 768), np.zeros(768, dtype=bool)):
        np.save(tmp_path / "u.npy", values)
        with pytest.raises(InputError, match="real numbers"):
            potential_named(str(tmp_path / "u.npy"), grid)
    (tmp_path / "u.fits").write_text("SIMPLE but no more")
    with pytest.raises(InputError, match=r"u\.fits: cannot be read as a HEALPix map"):
        potential_named(str(tmp_path / "u.fits"), grid)
    (tmp_path / "v.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"v\.npy: cannot be read"):
        potential_named(str(tmp_path / "v.npy"), grid)
    with pytest.raises(InputError, match="no such file"):
        potential_named(str(tmp_path / "missing.fits"), grid)
    assert not flat().on(grid).any()


def test_a_rotated_map_on_its_own_grid_is_not_the_map() -> None:
    grid = Healpix(16)
    stored = from_map(two_well().on(grid))
    assert np.abs(stored.misalign(60, Healpix(1)).on(grid) - two_well().misalign(60, Healpix(1)).on(grid)).max() < 0.02
    assert np.abs(stored.misalign(60, Healpix(1)).on(grid) - stored.on(grid)).max() > 0.3


def test_rotations_compose_in_the_order_they_are_made() -> None:
    about_y, about_z = Healpix(1).rotation(70), np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    both = two_well().rotate(about_y).rotate(about_z)
    grid = Healpix(8)
    np.testing.assert_allclose(both.on(grid), two_well().rotate(about_z @ about_y).on(grid), atol=1e-14)
    np.testing.assert_allclose(both.wells[0], about_z @ about_y @ [0, 0, 1], atol=1e-15)
    assert np.abs(both.on(grid) - two_well().rotate(about_y @ about_z).on(grid)).max() > 0.1


@given(seed=st.integers(0, 1000), count=st.integers(1, 5), dimension=st.sampled_from([2, 3, 7]))
def test_the_compiled_mixture_is_the_log_sum_exp(seed: int, count: int, dimension: int) -> None:
    rng = np.random.default_rng(seed)
    points, means = rng.standard_normal((700, dimension)), rng.standard_normal((count, dimension))
    kappa, log_weights = rng.uniform(0.1, 400, count), np.log(rng.uniform(1e-6, 1, count))
    expected = np.logaddexp.reduce(log_weights + kappa * (points @ means.T), axis=1)
    found = log_mixture(points, means, kappa, log_weights)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-12)
    np.testing.assert_array_equal(found[600:], log_mixture(points[600:], means, kappa, log_weights))
