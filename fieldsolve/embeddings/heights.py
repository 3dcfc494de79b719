"""Potentials from matched embeddings in their own dimension: functions of the height along the axis between the centroids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.embeddings.pairs import matched_modalities, two_modalities
from fieldsolve.equilibrium.potentials import Potential
from fieldsolve.grids.zonal import LARGEST_DIMENSION, LEAST_DIMENSION
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_LEAST_GAP = 1e-9  # of centroids, below which they have no axis
_LEAST_SPREAD = 1e-3  # of heights, that bandwidths are taken from


@dataclass(frozen=True, eq=False)
class Heights:
    """Matched embeddings of two modalities, seen along the unit vector from the second centroid to the first.

    dimension: d; heights: z_a.e of the pairs, (2, n); similarities: z_1.z_2, (n,); gap: the distance of the centroids. notes:
    what was left out of their files.
    """

    dimension: int
    heights: Array
    similarities: Array
    gap: float
    notes: tuple[str, ...] = ()

    def bandwidth(self, a: int) -> float:
        """Of the kernel regression over heights: their spread times n^(-1/5), Scott's rule."""
        return float(max(self.heights[a].std(), _LEAST_SPREAD) * self.heights.shape[1] ** -0.2)

    def potentials(self, bandwidth: float | None = None) -> tuple[Potential, Potential]:
        """U_a(t) = -E[z_1.z_2 | z_a.e = t] [Def 4.1], averaged over all points of one height, by kernel regression.

        Functions of the height along a zonal grid's axis; far from all data the nearest pairs decide. bandwidth: in heights.
        Raises InputError for one that is not positive.
        """
        if bandwidth is not None and not (np.isfinite(bandwidth) and bandwidth > 0):
            raise InputError(f"the bandwidth must be a positive number, not {bandwidth}")
        note = f"potentials are those of heights along the axis between the centroids, which are {self.gap:.3g} apart"
        made = []
        for a, label in enumerate(("heights of 1", "heights of 2")):
            width = self.bandwidth(a) if bandwidth is None else bandwidth
            own = _regressed(self.heights[a], -self.similarities, width, self.dimension)
            made.append(replace(own, label=label, notes=(*self.notes, note)))
        first, second = made
        return first, second


def _regressed(heights: Array, values: Array, bandwidth: float, dimension: int) -> Potential:
    def potential(points: Array) -> Array:
        exponents = -0.5 * ((points[:, -1:] - heights) / bandwidth) ** 2
        weights = np.exp(exponents - exponents.max(axis=1, keepdims=True))
        return np.asarray(np.einsum("ij,j->i", weights, values) / weights.sum(axis=1))

    return Potential(potential, "heights", dimension=dimension)


def heights_of(first: Any, second: Any, normalize: bool = False) -> Heights:
    """The heights of matched embeddings (n, d) each, or Modalities: unit rows, 3 <= d <= 4096.

    Raises InputError for unequal shapes, centroids at one place, and what `modality` refuses.
    """
    both = matched_modalities(first, second, normalize)
    rows = [one.rows.astype(np.float64) for one in both]
    width = rows[0].shape[1]
    if not LEAST_DIMENSION <= width <= LARGEST_DIMENSION:
        raise InputError(f"heights are of embeddings with {LEAST_DIMENSION} to {LARGEST_DIMENSION} components, not {width}")
    apart = rows[0].mean(axis=0) - rows[1].mean(axis=0)
    gap = float(np.linalg.norm(apart))
    if gap < _LEAST_GAP:
        raise InputError("the modalities' centroids are at one place: there is no axis between them")
    heights = np.stack([np.einsum("nd,d->n", one, apart / gap) for one in rows])
    notes = tuple(note for one in both for note in one.notes)
    return Heights(width, heights, np.einsum("nd,nd->n", *rows), gap, notes)


def read_heights(sources: Sequence[str | Path], normalize: bool = False) -> Heights:
    """The heights of matched embeddings in files: two modalities as `read_modalities` reads them, with matching rows.

    Raises InputError for files that cannot be read, more than two modalities, and all that `heights_of` refuses.
    """
    return heights_of(*two_modalities(sources, normalize))
