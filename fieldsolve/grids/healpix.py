"""HEALPix grids of S^2 (RING ordering), with harmonic smoothing."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, log2, pi, sqrt
from typing import Any

import ducc0
import numpy as np

from fieldsolve.arrays import Array, Indices

from fieldsolve import threads
from fieldsolve.errors import InputError
from fieldsolve.grids.base import Grid
from fieldsolve.kernels import Kernel


LARGEST_NSIDE = 2048

_SUBDIVISION = 8  # pixels cut by the rim of a cap are divided into so many parts a side


@dataclass(frozen=True)
class Healpix(Grid):
    """The 12 nside^2 equal-area pixel centres of HEALPix, in RING order.

    nside: a power of two from 1 to 2048. Raises InputError for any other.
    """

    nside: int

    def __post_init__(self) -> None:
        if self.nside not in {2**k for k in range(int(log2(LARGEST_NSIDE)) + 1)}:
            raise InputError(f"nside must be a power of two from 1 to {LARGEST_NSIDE}, not {self.nside}")

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
        pixels = np.arange(first, self.size if last is None else last)
        return np.asarray(self._pixels.pix2vec(pixels, nthreads=1))

    def nearest(self, points: Array) -> Indices:
        return np.asarray(self._pixels.vec2pix(np.asarray(points, dtype=np.float64), nthreads=1))

    def coverage(self, centres: Array, radius: float) -> Array:
        centres = np.asarray(centres, dtype=np.float64)
        distance = self.evaluate(lambda points: _distance_to_nearest(points, centres))
        width = 2 * self.spacing / _SUBDIVISION
        reach = float(self._pixels.max_pixrad()) + width
        covered = (distance <= radius).astype(np.float64)
        rim = np.flatnonzero(np.abs(distance - radius) <= reach)
        for chunk in np.array_split(rim, max(1, len(rim) // 512)):
            # A part counts by its distance from the rim, smoothly: counted as wholes, parts would err by rings of them.
            depth = np.clip((radius - _distance_to_nearest(self._parts(chunk), centres)) / width, -1, 1)
            inside = (1 + depth + np.sin(np.pi * depth) / np.pi) / 2
            covered[chunk] = inside.reshape(len(chunk), -1).mean(axis=1)
        return covered

    def _parts(self, pixels: Indices) -> Array:
        """Centres of the _SUBDIVISION^2 equal parts of each pixel, a pixel's parts in a row."""
        order = int(log2(_SUBDIVISION))
        nested = self._pixels.ring2nest(pixels)
        fine = ducc0.healpix.Healpix_Base(self.nside * _SUBDIVISION, "NEST")
        children = (nested[:, None] << 2 * order) + np.arange(_SUBDIVISION**2)
        return np.asarray(fine.pix2vec(children.ravel(), nthreads=1))

    def rotate(self, field: Array, rotation: Array) -> Array:
        import healpy  # slow to import: 0.8 s

        field = np.asarray(field, dtype=np.float64)
        if field.ndim > 1:
            return np.stack([self.rotate(one, rotation) for one in field])

        def interpolated(points: Array) -> Array:
            theta, phi = healpy.vec2ang(points @ rotation)
            return np.asarray(healpy.get_interp_val(field, theta, phi))

        return self.evaluate(interpolated)

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
        _, order = _orders(lmax)
        zonal, cosine, sine = np.split(coefficients, [lmax + 1, (len(coefficients) + lmax + 1) // 2])
        alm = np.empty((1, len(order)), dtype=np.complex128)
        alm[0, order == 0] = zonal
        alm[0, order > 0] = (cosine - 1j * sine) / sqrt(2)
        field = ducc0.sht.experimental.synthesis(
            alm=alm, spin=0, lmax=lmax, nthreads=threads.count(10 * self.size), **_rings(self.nside)
        )
        return np.asarray(sqrt(4 * pi) * field[0])

    def analysis(self, field: Array, lmax: int) -> Array:
        _, order = _orders(lmax)
        alm = ducc0.sht.experimental.adjoint_synthesis(
            map=field[None], spin=0, lmax=lmax, nthreads=threads.count(10 * self.size), **_rings(self.nside)
        )[0] * (sqrt(4 * pi) / self.size)
        rest = sqrt(2) * alm[order > 0]
        return np.concatenate([alm[order == 0].real, rest.real, -rest.imag])

    def has_short_spectrum(self, kernel: Kernel) -> bool:
        return _harmonics(kernel) is not None

    def smoothing_error(self, kernel: Kernel) -> float:
        # Measured: the error is a quarter of this at most, for random, constant and concentrated fields.
        return float(4 * np.finfo(np.float64).eps * (_harmonics(kernel) or 8))

    def _fast_sum(self, field: Array, kernel: Kernel) -> None:
        lmax = _harmonics(kernel)
        assert lmax is not None
        workers = threads.count(10 * self.size)
        rings = _rings(self.nside)
        alm = ducc0.sht.experimental.adjoint_synthesis(map=field[None], spin=0, lmax=lmax, nthreads=workers, **rings)
        alm *= _factors(kernel, lmax) * (4 * pi / self.size)
        ducc0.sht.experimental.synthesis(alm=alm, map=field[None], spin=0, lmax=lmax, nthreads=workers, **rings)


@lru_cache(maxsize=16)
def _orders(lmax: int) -> tuple[Indices, Indices]:
    """Degree and order of every coefficient a_lm in ducc0's order."""
    degree = np.concatenate([np.arange(m, lmax + 1) for m in range(lmax + 1)])
    order = np.concatenate([np.full(lmax + 1 - m, m) for m in range(lmax + 1)])
    return degree, order


@lru_cache(maxsize=16)
def _rings(nside: int) -> dict[str, Any]:
    return dict(ducc0.healpix.Healpix_Base(nside, "RING").sht_info())


@lru_cache(maxsize=16)
def _harmonics(kernel: Kernel) -> int | None:
    return kernel.harmonics(2)


@lru_cache(maxsize=16)
def _factors(kernel: Kernel, lmax: int) -> Array:
    """k_l for every coefficient a_lm in ducc0's order: all l from m for m = 0, then for m = 1, and so on."""
    spectrum = kernel.spectrum(2, lmax)
    return np.concatenate([spectrum[m:] for m in range(lmax + 1)])


def _distance_to_nearest(points: Array, centres: Array) -> Array:
    """Angle to the nearest of the centres, accurate at small angles."""
    chord = np.min([np.linalg.norm(points - centre, axis=1) for centre in centres], axis=0)
    return np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1.0)))
