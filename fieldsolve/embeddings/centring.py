"""Means taken off, and scales: what makes rows of two modalities comparable in one index, from stored or from other rows."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.embeddings.files import read
from fieldsolve.numerics.arrays import Array, Rows
from fieldsolve.numerics.errors import InputError

#: What is done to rows before they are compared: nothing, the mean of their modality taken off, and its scales too.
TREATMENTS = ("raw", "centred", "standardised")

_CONSTANT = 1e-6  # of the largest standard deviation: below, a component is constant up to rounding

_LARGEST = 1e3  # no mean or scale of unit rows, nor the inverse of its square

_NAMES = ("mean_a", "mean_b", "scale_a", "scale_b")


@dataclass(frozen=True, eq=False)
class Means:
    """The mean (d,) of each of two modalities' unit rows, and each component's standard deviation, 1 where it is constant."""

    means: tuple[Array, Array]
    scales: tuple[Array, Array]

    @classmethod
    def of(cls, first: Rows, second: Rows) -> "Means":
        """Those of rows (n, d) and (m, d)."""
        means = [one.mean(axis=0, dtype=np.float64) for one in (first, second)]
        scales = [one.std(axis=0, dtype=np.float64) for one in (first, second)]
        return cls((means[0], means[1]), (_positive(scales[0]), _positive(scales[1])))

    @property
    def dimension(self) -> int:
        """d."""
        return len(self.means[0])

    def treat(self, rows: Rows, side: int, treatment: str) -> Rows:
        """Rows of the first (0) or second (1) modality as one of TREATMENTS has them, scaled to unit length; zeros stay zeros."""
        if treatment == "raw":
            return rows
        treated = rows - self.means[side].astype(rows.dtype)
        if treatment == "standardised":
            treated /= self.scales[side].astype(rows.dtype)
        lengths = np.linalg.norm(treated, axis=1, keepdims=True)
        treated /= np.where(lengths > 0, lengths, 1)
        return treated

    def content(self) -> bytes:
        """The means as the bytes of an .npz with mean_a, mean_b, scale_a and scale_b."""
        file = io.BytesIO()
        np.savez(file, mean_a=self.means[0], mean_b=self.means[1], scale_a=self.scales[0], scale_b=self.scales[1])
        return file.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> "Means":
        """The means that `content` wrote. Raises InputError for other files."""
        path = Path(path)
        return read(path, lambda: cls._loaded(path))

    @classmethod
    def _loaded(cls, path: Path) -> "Means":
        if not zipfile.is_zipfile(path):
            raise InputError(f"{path}: holds no means; diagnose --save-means writes them")
        with np.load(path, allow_pickle=False) as archive:
            if not set(_NAMES) <= set(archive.files):
                raise InputError(f"{path}: holds no means ({', '.join(_NAMES)}); diagnose --save-means writes them")
            found: list[Any] = [archive[name] for name in _NAMES]
        if any(one.ndim != 1 or one.shape != found[0].shape or one.dtype.kind != "f" for one in found):
            raise InputError(f"{path}: means and scales are four vectors of one length; fit them again")
        if not found[0].size or not all(np.isfinite(one).all() for one in found):
            raise InputError(f"{path}: holds means or scales that are not finite, or none; fit them again")
        if max(np.abs(one).max() for one in found) > _LARGEST or min(one.min() for one in found[2:]) < 1 / _LARGEST**2:
            raise InputError(f"{path}: holds means or scales that unit rows do not have; fit them again")
        first, second, *scales = (one.astype(np.float64) for one in found)
        return cls((first, second), (scales[0], scales[1]))


def _positive(scales: Array) -> Array:
    return np.where(scales > _CONSTANT * scales.max(initial=0.0), scales, 1.0)
