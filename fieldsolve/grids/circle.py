"""Equally spaced points of the circle S^1, with smoothing by fast Fourier transform."""

from dataclasses import dataclass
from math import ceil, pi, sqrt
from typing import Any

import numpy as np

from fieldsolve.grids.grid import Access, Grid, Rings, Shape, scale_of
from fieldsolve.grids.kernels import Kernel
from fieldsolve.grids.shells import Shells
from fieldsolve.numerics.arrays import Array, Indices, whole
from fieldsolve.numerics.errors import InputError

LARGEST_COUNT = 100_000_000

_PARTS = 4096  # of a point's arc that the rim of a cap cuts


@dataclass(frozen=True)
class Circle(Grid):
    """The `count` points (cos t, sin t) of S^1 at t = 2 pi j / count, j = 0 ... count - 1.

    count: from 3 to 1e8. Raises InputError for any other.
    """

    count: int

    name = "circle"

    def __post_init__(self) -> None:
        if not 3 <= (whole(self.count) or 0) <= LARGEST_COUNT:
            raise InputError(f"a circle has from 3 to {LARGEST_COUNT} points, not {self.count}")
        object.__setattr__(self, "count", int(self.count))

    @property
    def dim(self) -> int:  # type: ignore[override]
        return 1

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.count

    @property
    def spacing(self) -> float:
        return 2 * pi / self.count

    def angles(self) -> Array:
        """The angles of the points in radians, from 0, shape (size,)."""
        return np.asarray(self.spacing * np.arange(self.count))

    def points(self, first: int = 0, last: int | None = None) -> Array:
        angle = self.angles()[first:last]
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def nearest(self, points: Array) -> Indices:
        points = np.asarray(points, dtype=np.float64)
        steps = np.arctan2(points[:, 1], points[:, 0]) / self.spacing
        return np.asarray(np.rint(steps).astype(np.int64) % self.count)

    def coverage(self, centres: Array, radius: float) -> Array:
        centre_angles = np.arctan2(centres[:, 1], centres[:, 0])
        covered = (self._distance(self.angles(), centre_angles) <= radius).astype(np.float64)
        rim = np.flatnonzero(np.abs(self._distance(self.angles(), centre_angles) - radius) <= self.spacing)
        offsets = self.spacing * ((np.arange(_PARTS) + 0.5) / _PARTS - 0.5)
        parts = self.angles()[rim][:, None] + offsets
        covered[rim] = (self._distance(parts, centre_angles) <= radius).mean(axis=1)
        return covered

    def _distance(self, angles: Array, centres: Array) -> Array:
        """Angle to the nearest of the centres."""
        return np.asarray(np.min([np.abs((angles - centre + pi) % (2 * pi) - pi) for centre in centres], axis=0))

    def coarser(self) -> "Circle | None":
        return Circle(self.count // 2) if self.count % 2 == 0 and self.count >= 6 else None

    def coarsened(self, field: Array) -> Array:
        even, odd = field[..., ::2], field[..., 1::2]
        return np.asarray(even / 2 + (odd + np.roll(odd, 1, axis=-1)) / 4)

    def rotate(self, field: Array, rotation: Array) -> Array:
        angle = np.arctan2(rotation[1, 0], rotation[0, 0])
        steps = angle / self.spacing
        if abs(steps - round(steps)) < 1e-9:
            return np.roll(field, round(steps), axis=-1)
        modes = np.arange(self.count // 2 + 1)
        coefficients = np.fft.rfft(field, axis=-1) * np.exp(-1j * modes * angle)
        return np.asarray(np.fft.irfft(coefficients, n=self.count, axis=-1))

    def finer(self, spacing: float) -> str:
        return f"a circle of {ceil(2 * pi / spacing)} points"

    @property
    def largest_degree(self) -> int:
        return max(1, (self.count - 1) // 2)

    def degrees(self, lmax: int) -> Indices:
        return np.concatenate([np.arange(lmax + 1), np.arange(1, lmax + 1)])

    def synthesis(self, coefficients: Array, lmax: int) -> Array:
        modes = np.zeros(self.count // 2 + 1, dtype=np.complex128)
        modes[0] = coefficients[0]
        modes[1 : lmax + 1] = (coefficients[1 : lmax + 1] - 1j * coefficients[lmax + 1 :]) / sqrt(2)
        return np.asarray(np.fft.irfft(modes * self.count, n=self.count))

    def analysis(self, field: Array, lmax: int) -> Array:
        modes = np.fft.rfft(field)[: lmax + 1] / self.count
        rest = sqrt(2) * modes[1:]
        return np.concatenate([modes[:1].real, rest.real, -rest.imag])

    def zonal(self, degree: int) -> Array:
        """cos(degree angle)."""
        return np.asarray(np.cos(degree * self.angles()))

    def log_peak(self, kernel: Kernel) -> float:
        return kernel.log_peak(1)

    def spectrum(self, kernel: Kernel, lmax: int) -> Array:
        return kernel.spectrum(1, lmax)

    def has_fast_sum(self, kernel: Kernel) -> bool:
        return True  # the transform of the sampled kernel serves every critic

    def sum_error(self, kernel: Kernel) -> float:
        return float(4 * np.finfo(np.float64).eps * (8 + 1 / kernel.width**2))

    def fast_sum(self, kernel: Kernel, read: Access, write: Access, shape: Shape | None = None) -> None:
        # The transform of the sampled kernel, not its spectrum: exact for every kernel, aliases included.
        angle = np.minimum(self.angles(), 2 * pi - self.angles())
        sampled = np.exp(kernel.log_profile(angle, 1))
        field = np.empty(self.count)
        read(slice(0, self.count), field)
        factors = np.fft.rfft(sampled).real / self.count
        product = np.fft.rfft(field) * (factors if shape is None else shape(factors))
        write(slice(0, self.count), np.fft.irfft(product, n=self.count))

    def shells(self) -> Shells:
        return Shells(2, 2)

    def rings(self) -> Rings:
        return Rings(np.array([pi / 2]), np.zeros(1), np.zeros(1, dtype=np.int64), np.array([self.count]))

    def sky(self, ax: Any, field: Array, label: str = "", norm: Any = None, cmap: Any = "cividis") -> None:
        ax.plot(np.degrees(self.angles()), field, color="black", lw=1.2)
        ax.set(xlabel="angle (degrees)", ylabel=label, yscale=scale_of(norm))
