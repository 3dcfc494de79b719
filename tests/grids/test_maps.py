"""FITS maps: orderings, marks of missing values, and columns of pixel numbers."""

from pathlib import Path
from typing import Any

import healpy
import numpy as np
import pytest
from astropy.io import fits

import fieldsolve as fs
from fieldsolve.equilibrium.potentials import read_map
from fieldsolve.grids import Healpix
from fieldsolve.numerics.errors import InputError

NSIDE = 4
SIZE = 12 * NSIDE**2
FULL = {"PIXTYPE": "HEALPIX", "NSIDE": NSIDE, "INDXSCHM": "IMPLICIT"}
MAP = 0.01 * np.arange(SIZE) ** 1.5 - 1

Columns = list[tuple[str, np.ndarray, str, dict[str, Any]]]


def written(path: Path, columns: Columns, **header: Any) -> Path:
    table = fits.BinTableHDU.from_columns([fits.Column(name=n, array=a, format=f, **more) for n, a, f, more in columns])
    table.header.update(FULL | header)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)
    return path


def values(path: Path) -> np.ndarray:
    return read_map(path, Healpix(NSIDE)).on(Healpix(NSIDE))


@pytest.mark.parametrize(
    ("ordering", "nested"),
    [("RING", False), ("ring", False), (" Ring ", False), ("NESTED", True), ("nested", True), ("NEST", True), ("nest", True)],
)
def test_orderings_in_any_spelling(ordering: str, nested: bool, tmp_path: Path) -> None:
    stored = healpy.reorder(MAP, r2n=True) if nested else MAP
    path = written(tmp_path / "x.fits", [("T", stored, "D", {})], ORDERING=ordering)
    np.testing.assert_array_equal(values(path), MAP)
    assert read_map(path, Healpix(NSIDE)).notes == ()


def test_no_ordering_is_said_and_a_foreign_one_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.fits", [("T", MAP, "D", {})])
    np.testing.assert_array_equal(values(path), MAP)
    assert "no ORDERING in its header: it is read as RING" in read_map(path, Healpix(NSIDE)).notes[0]
    with pytest.raises(InputError, match="ORDERING is 'SPIRAL'"):
        values(written(path, [("T", MAP, "D", {})], ORDERING="SPIRAL"))


def test_marks_of_missing_values_are_none(tmp_path: Path) -> None:
    def refused(array: np.ndarray, kind: str, more: dict[str, Any] | None = None, **header: Any) -> None:
        path = written(tmp_path / "x.fits", [("T", array, kind, more or {})], ORDERING="RING", **header)
        with pytest.raises(InputError, match=r"x.fits: 5 of 192 pixels are .*marked as missing \(first: pixel 0 "):
            values(path)

    def marked(mark: float) -> np.ndarray:
        return np.where(np.arange(SIZE) < 5, mark, MAP)

    refused(marked(-9999.0), "D", BAD_DATA=-9999.0)
    refused(marked(-9999.25), "E", BAD_DATA=-9999.25)
    refused(marked(-32768).astype("i4"), "J", {"null": -32768})
    refused(marked(-32768).astype("i4"), "J", BLANK=-32768)
    refused(marked(-123_456_789).astype("i4"), "J", {"null": -123_456_789})  # more digits than single precision has
    refused(marked(float(-np.finfo("f4").max)), "E")
    refused(marked(float(-np.finfo("f8").max)), "D")
    refused(marked(-1.6375e30), "E")
    refused(marked(np.nan), "D")
    np.save(tmp_path / "x.npy", marked(float(np.finfo("f4").min)))
    with pytest.raises(InputError, match="5 of 192 pixels"):
        values(tmp_path / "x.npy")


@pytest.mark.parametrize("name", ["PIX", "PIXEL", "HPXINDEX", "pixel_index", "N"])
@pytest.mark.parametrize("begin", [0, 1])
def test_pixel_numbers_are_no_map(name: str, begin: int, tmp_path: Path) -> None:
    numbers = np.arange(SIZE) + begin
    path = written(tmp_path / "x.fits", [(name, numbers, "J", {}), ("T", MAP, "D", {})], ORDERING="RING")
    np.testing.assert_array_equal(values(path), MAP)
    assert any(f"column {name} holds pixel numbers" in note for note in read_map(path, Healpix(NSIDE)).notes)
    with pytest.raises(InputError, match=f"none of its columns \\({name}\\) holds values"):
        values(written(path, [(name, numbers, "J", {})], ORDERING="RING"))


def test_the_column_that_is_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    healpy.write_map(path, [MAP, 2 * MAP, 3 * MAP], column_names=["T", "Q", "U"], nest=False, dtype=np.float64)
    np.testing.assert_array_equal(values(path), MAP)
    solution = fs.Problem(str(path), nside=NSIDE).solve()
    assert "x.fits: column T of T, Q, U is read" in solution.notes


def test_maps_of_some_pixels_are_whole_or_refused(tmp_path: Path) -> None:
    path, order = tmp_path / "x.fits", np.random.default_rng(0).permutation(SIZE)

    def listed(pixels: np.ndarray) -> Path:
        columns: Columns = [("PIXEL", pixels, "J", {}), ("SIGNAL", MAP[pixels % SIZE], "D", {})]
        return written(path, columns, ORDERING="RING", INDXSCHM="EXPLICIT")

    np.testing.assert_array_equal(values(listed(order)), MAP)
    with pytest.raises(InputError, match="92 of 192 pixels"):
        values(listed(order[:100]))
    with pytest.raises(InputError, match="list of pixels does not fit"):
        values(listed(order + 5))


def test_headers_are_compared_with_the_values(tmp_path: Path) -> None:
    path, later = tmp_path / "x.fits", np.arange(100, 100 + SIZE)
    with pytest.raises(InputError, match="576 of 768 pixels"):  # a part of a finer map
        values(written(path, [("T", MAP, "D", {})], ORDERING="RING", NSIDE=8, FIRSTPIX=100, LASTPIX=291))
    with pytest.raises(InputError, match="does not fit 192 values on 48 pixels"):
        values(written(path, [("T", MAP, "D", {})], ORDERING="RING", NSIDE=2))
    for more in ({"OBJECT": "PARTIAL"}, {}):
        with pytest.raises(InputError, match="576 of 768 pixels"):
            values(written(path, [("PIXEL", later, "J", {}), ("T", MAP, "D", {})], ORDERING="RING", NSIDE=8, **more))
    order = np.random.default_rng(1).permutation(SIZE)  # a list of pixels that the header does not speak of
    found = values(written(path, [("PIXEL", order, "J", {}), ("T", MAP[order], "D", {})], ORDERING="RING"))
    np.testing.assert_array_equal(found, MAP)


def test_what_is_no_map_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    complex_too: Columns = [("C", MAP + 1j * MAP, "M", {}), ("T", MAP, "D", {}), ("NAME", np.array(["a"] * SIZE), "3A", {})]
    np.testing.assert_array_equal(values(written(path, complex_too, ORDERING="RING")), MAP)
    assert any("no real numbers are left out: C, NAME" in note for note in read_map(path, Healpix(NSIDE)).notes)
    catalogue = fits.BinTableHDU.from_columns([fits.Column(name="RA", array=np.linspace(0, 1, 48), format="D")])
    table = fits.BinTableHDU.from_columns([fits.Column(name="T", array=healpy.reorder(MAP, r2n=True), format="D")])
    table.header.update(FULL)
    primary = fits.PrimaryHDU()
    primary.header["ORDERING"] = "NESTED"
    fits.HDUList([primary, catalogue, table]).writeto(path, overwrite=True)
    np.testing.assert_array_equal(values(path), MAP)
    assert "x.fits: table 2 of 2 is read" in read_map(path, Healpix(NSIDE)).notes


def test_values_close_to_a_mark_are_values(tmp_path: Path) -> None:
    numbers = np.arange(SIZE, dtype="i4")[::-1] + 9_999_800
    columns: Columns = [("T", numbers, "J", {"null": 9_999_999})]
    np.testing.assert_array_equal(values(written(tmp_path / "x.fits", columns, ORDERING="RING")), numbers)


def test_vectors_a_row_are_maps(tmp_path: Path) -> None:
    path = written(tmp_path / "x.fits", [("T", MAP.reshape(-1, 16), "16D", {})], ORDERING="RING")
    np.testing.assert_array_equal(values(path), MAP)


def test_a_saved_potential_that_counts_comes_back(tmp_path: Path) -> None:
    problem = fs.Problem(np.arange(float(SIZE)), tau=1e3, nside=NSIDE)
    fs.save(problem.solve(), tmp_path / "run")
    np.testing.assert_array_equal(fs.load(tmp_path / "run").problem.values, problem.values)
