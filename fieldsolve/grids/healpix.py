"""HEALPix grids of S^2 (RING ordering), with harmonic smoothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from math import ceil, log2, pi, sqrt
from pathlib import Path
from typing import Any

import ducc0
import numpy as np

from fieldsolve.grids.grid import Access, Grid, Rings, Shape, distance_to_nearest, scale_of
from fieldsolve.grids.kernels import Kernel
from fieldsolve.grids.maps import read_fits
from fieldsolve.grids.shells import Shells
from fieldsolve.grids.transforms import kernel_sum, rings
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices, whole
from fieldsolve.numerics.errors import InputError

LARGEST_NSIDE = 2048

_MOST_DEGREES = 16  # per nside of fast sums: kernels that the grid resolves have at most 7, and others are for small grids
_PIXELS = 1 << 16  # whose distances are found at a time
_RASTER = (360, 720)  # latitudes and longitudes of a sky picture
_SUBDIVISION = 8  # pixels cut by the rim of a cap are divided into so many parts a side


@dataclass(frozen=True)
class Healpix(Grid):
    """The 12 nside^2 equal-area pixel centres of HEALPix, in RING order.

    nside: a power of two from 1 to 2048. Raises InputError for any other.
    """

    nside: int

    name = "healpix"
    projection = "mollweide"

    def __post_init__(self) -> None:
        if whole(self.nside) not in {2**k for k in range(int(log2(LARGEST_NSIDE)) + 1)}:
            raise InputError(f"nside must be a power of two from 1 to {LARGEST_NSIDE}, not {self.nside}")
        object.__setattr__(self, "nside", int(self.nside))

    @property
    def dim(self) -> int:  # type: ignore[override]
        return 2

    @property
    def size(self) -> int:  # type: ignore[override]
        return 12 * self.nside**2

    @property
    def spacing(self) -> float:
        return sqrt(4 * pi / self.size)

    @cached_property
    def _pixels(self) -> Any:
        return ducc0.healpix.Healpix_Base(self.nside, "RING")

    def points(self, first: int = 0, last: int | None = None) -> Array:
        last = self.size if last is None else last
        result = np.empty((last - first, 3))

        def fill(at: slice) -> None:
            result[at] = self._pixels.pix2vec(np.arange(first + at.start, first + at.stop), nthreads=1)

        threads.over_chunks(fill, last - first)
        return result

    @property
    def axis(self) -> Array:
        return np.array([0.0, 0.0, 1.0])

    def nearest(self, points: Array) -> Indices:
        return np.asarray(self._pixels.vec2pix(np.asarray(points, dtype=np.float64), nthreads=1))

    def coverage(self, centres: Array, radius: float) -> Array:
        if radius >= pi:
            return np.ones(self.size)
        centres = np.asarray(centres, dtype=np.float64)
        width = 2 * self.spacing / _SUBDIVISION
        reach = float(self._pixels.max_pixrad()) + width
        covered = np.zeros(self.size)
        near = self._within(centres, min(radius + reach, pi))
        rims = []
        for pixels in np.array_split(near, max(1, len(near) // _PIXELS)):
            distance = distance_to_nearest(self._pixels.pix2vec(pixels, nthreads=1), centres)
            covered[pixels[distance <= radius]] = 1.0
            rims.append(pixels[np.abs(distance - radius) <= reach])
        rim = np.concatenate(rims)
        for chunk in np.array_split(rim, max(1, len(rim) // 512)) if len(rim) else ():
            # A part counts by its distance from the rim, smoothly: counted as wholes, parts would err by rings of them.
            depth = np.clip((radius - distance_to_nearest(self._parts(chunk), centres)) / width, -1, 1)
            inside = np.clip((1 + depth + np.sin(np.pi * depth) / np.pi) / 2, 0, 1)
            covered[chunk] = inside.reshape(len(chunk), -1).mean(axis=1)
        return covered

    def _within(self, centres: Array, radius: float) -> Indices:
        """The pixels, rising, whose centre is within a radius of one of the points, and perhaps a few more."""
        angles = np.stack([np.arccos(np.clip(centres[:, 2], -1, 1)), np.arctan2(centres[:, 1], centres[:, 0])], axis=1)
        is_near = np.zeros(self.size, dtype=np.bool_)
        for angle in angles:
            for first, last in self._pixels.query_disc(angle, min(radius * (1 + 1e-9) + 1e-12, pi)).tolist():
                is_near[first:last] = True
        return np.flatnonzero(is_near)

    def _parts(self, pixels: Indices) -> Array:
        """Centres of the _SUBDIVISION^2 equal parts of each pixel, a pixel's parts in a row."""
        order = int(log2(_SUBDIVISION))
        nested = self._pixels.ring2nest(pixels)
        fine = ducc0.healpix.Healpix_Base(self.nside * _SUBDIVISION, "NEST")
        children = (nested[:, None] << 2 * order) + np.arange(_SUBDIVISION**2)
        return np.asarray(fine.pix2vec(children.ravel(), nthreads=1))

    def coarser(self) -> "Healpix | None":
        return Healpix(self.nside // 2) if self.nside > 1 else None

    def coarsened(self, field: Array) -> Array:
        coarse, field = self.coarser(), np.asarray(field)
        assert coarse is not None
        nested = coarse._pixels.ring2nest(np.arange(coarse.size))
        return np.asarray(sum(field[..., self._pixels.nest2ring(4 * nested + part)] for part in range(4)) / 4)

    def rotation(self, degrees: float) -> Array:
        """About the y axis, from z to x."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])

    def rotate(self, field: Array, rotation: Array) -> Array:
        field = np.asarray(field, dtype=np.float64)
        if field.ndim > 1:
            return np.stack([self.rotate(one, rotation) for one in field])

        return self.evaluate(lambda points: interpolate(field, points @ rotation))

    def finer(self, spacing: float) -> str:
        nside = 2 ** max(0, ceil(log2(sqrt(pi / 3) / spacing)))
        return f"nside {nside}" if nside <= LARGEST_NSIDE else f"no HEALPix grid up to nside {LARGEST_NSIDE}"

    @property
    def largest_degree(self) -> int:
        return 2 * self.nside

    def degrees(self, lmax: int) -> Indices:
        degree, order = _orders(lmax)
        return np.concatenate([degree[order == 0], degree[order > 0], degree[order > 0]])

    def synthesis(self, coefficients: Array, lmax: int) -> Array:
        return synthesis(coefficients, lmax, rings(self.nside), self.size)

    def analysis(self, field: Array, lmax: int) -> Array:
        return adjoint_synthesis(field / self.size, lmax, rings(self.nside))

    def zonal(self, degree: int) -> Array:
        """The Legendre polynomial of z."""
        coefficients = np.zeros(degree + 1)
        coefficients[degree] = 1.0
        legendre = np.polynomial.legendre.legval
        return self.evaluate(lambda points: np.asarray(legendre(points[:, -1], coefficients), dtype=np.float64))

    def log_peak(self, kernel: Kernel) -> float:
        return kernel.log_peak(2)

    def spectrum(self, kernel: Kernel, lmax: int) -> Array:
        return kernel.spectrum(2, lmax)

    def has_fast_sum(self, kernel: Kernel) -> bool:
        lmax = _harmonics(kernel)
        return lmax is not None and lmax <= _MOST_DEGREES * self.nside

    def sum_error(self, kernel: Kernel) -> float:
        # Measured: the error is a quarter of this at most, for random, constant and concentrated fields.
        return float(4 * np.finfo(np.float64).eps * (_harmonics(kernel) or 8))

    def fast_sum(self, kernel: Kernel, read: Access, write: Access, shape: Shape | None = None) -> None:
        lmax = _harmonics(kernel)
        assert lmax is not None
        factors = _factors(kernel, lmax)
        kernel_sum(self.nside, lmax, factors if shape is None else shape(factors), read, write)

    def shells(self) -> Shells:
        return Shells(3, 3)

    def interpolate(self, field: Array, points: Array) -> Array:
        return interpolate(field, points)

    def rings(self) -> Rings:
        geometry = rings(self.nside)
        first, count = (geometry[name].astype(np.int64) for name in ("ringstart", "nphi"))
        return Rings(geometry["theta"], geometry["phi0"], first, count)

    def places(self, points: Array) -> tuple[Array, Array]:
        """Longitude and latitude in radians."""
        return np.arctan2(points[:, 1], points[:, 0]), np.arcsin(np.clip(points[:, 2], -1, 1))

    def sky(self, ax: Any, field: Array, label: str = "", norm: Any = None, cmap: Any = "cividis") -> None:
        latitude = np.linspace(-np.pi / 2, np.pi / 2, _RASTER[0] + 1)
        longitude = np.linspace(-np.pi, np.pi, _RASTER[1] + 1)
        lat = (latitude[:-1] + latitude[1:])[:, None] / 2
        lon = (longitude[:-1] + longitude[1:])[None, :] / 2
        points = np.stack(np.broadcast_arrays(np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), axis=-1)
        image = field[self.nearest(points.reshape(-1, 3))].reshape(_RASTER)
        mesh = ax.pcolormesh(longitude, latitude, image, norm=norm, cmap=cmap, rasterized=True)
        ax.set(xticklabels=[], yticklabels=[])
        ax.grid(color="white", lw=0.3, alpha=0.5)
        bar = ax.figure.colorbar(mesh, ax=ax, orientation="horizontal", shrink=0.8, aspect=40, pad=0.09, label=label)
        if scale_of(norm) == "linear":
            bar.ax.locator_params(nbins=6)

    def write_fields(self, folder: Path, fields: Mapping[str, Array]) -> None:
        """In FITS format, as columns of a map in RING order; where healpy is not installed, as .npz."""
        if find_spec("healpy") is None:
            super().write_fields(folder, fields)
            return
        import healpy  # slow to import: 0.8 s

        columns = list(fields.values())
        healpy.write_map(folder / "fields.fits", columns, nest=False, dtype=np.float64, column_names=list(fields))

    def read_fields(self, folder: Path, names: list[str]) -> Array:
        if (folder / "fields.npz").exists():
            return super().read_fields(folder, names)
        if not (folder / "fields.fits").exists():
            raise FileNotFoundError(2, "missing", str(folder / "fields.fits"))
        columns = list(read_fits(folder / "fields.fits").columns.values())
        if [len(one) for one in columns] != [self.size] * len(names):
            raise ValueError(f"{len(columns)} fields instead of {len(names)} of {self.size} values")
        return np.stack(columns)


def synthesis(coefficients: Array, lmax: int, geometry: Mapping[str, Array], size: int) -> Array:
    """sum_j c_j Y_j at the points of rings, as ducc0 describes them; coefficients: of real harmonics, as of `Grid.synthesis`."""
    _, order = _orders(lmax)
    zonal, cosine, sine = np.split(coefficients, [lmax + 1, (len(coefficients) + lmax + 1) // 2])
    alm = np.empty((1, len(order)), dtype=np.complex128)
    alm[0, order == 0] = zonal
    alm[0, order > 0] = (cosine - 1j * sine) / sqrt(2)
    field = ducc0.sht.experimental.synthesis(alm=alm, spin=0, lmax=lmax, nthreads=threads.count(10 * size), **geometry)
    return np.asarray(sqrt(4 * pi) * field[0])


def adjoint_synthesis(field: Array, lmax: int, geometry: Mapping[str, Array]) -> Array:
    """sum_i Y_j(x_i) f_i over the points of rings, for every real harmonic up to lmax."""
    _, order = _orders(lmax)
    alm = ducc0.sht.experimental.adjoint_synthesis(
        map=field[None], spin=0, lmax=lmax, nthreads=threads.count(10 * len(field)), **geometry
    )[0] * sqrt(4 * pi)
    rest = sqrt(2) * alm[order > 0]
    return np.concatenate([alm[order == 0].real, rest.real, -rest.imag])


def interpolate(field: Array, points: Array) -> Array:
    """A HEALPix map in RING order between its pixels' centres, bilinearly, at unit vectors (n, 3)."""
    try:
        import healpy  # slow to import: 0.8 s
    except ImportError:
        raise InputError("interpolating a map needs healpy: pip install healpy, where it has a wheel") from None
    theta, phi = healpy.vec2ang(points)
    return np.asarray(healpy.get_interp_val(field, theta, phi))


@lru_cache(maxsize=16)
def _orders(lmax: int) -> tuple[Indices, Indices]:
    """Degree and order of every coefficient a_lm in ducc0's order."""
    degree = np.concatenate([np.arange(m, lmax + 1) for m in range(lmax + 1)])
    order = np.concatenate([np.full(lmax + 1 - m, m) for m in range(lmax + 1)])
    return degree, order


@lru_cache(maxsize=16)
def _harmonics(kernel: Kernel) -> int | None:
    return kernel.harmonics(2)


@lru_cache(maxsize=16)
def _factors(kernel: Kernel, lmax: int) -> Array:
    """k_l for every coefficient a_lm in ducc0's order: all l from m for m = 0, then for m = 1, and so on."""
    spectrum = kernel.spectrum(2, lmax)
    return np.concatenate([spectrum[m:] for m in range(lmax + 1)])
