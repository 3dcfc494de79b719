"""The pooled rows of two modalities, each less the centroid of its own, and distances that keep their digits."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices, Rows

_CHUNK = 8192  # rows centred at a time
_FEW = 2048  # rows up to which products are taken in double precision: ranks may hang on digits that single does not have


@dataclass(frozen=True, eq=False)
class Cloud:
    """The pooled rows (N, d) in the slots' order, each less the centroid of its modality.

    centroids: (2, d); lengths: the centred rows' squared lengths, (N,); first_rows: how many are the first modality's. Distances
    are those of the rows that were given, which are unit vectors: taken from inner products of centred rows, they are rounded by
    what the modality's own spread loses, not by what 1 does.
    """

    rows: Rows
    centroids: Array
    lengths: Array
    first_rows: int

    @classmethod
    def of(cls, first: Rows, second: Rows) -> "Cloud":
        centroids = np.stack([one.mean(axis=0, dtype=np.float64) for one in (first, second)])
        count = len(first) + len(second)
        rows: Rows = np.empty((count, first.shape[1]), dtype=np.float64 if count <= _FEW else first.dtype)
        lengths = np.empty(len(rows))
        for one, centroid, start in ((first, centroids[0], 0), (second, centroids[1], len(first))):
            for at in range(0, len(one), _CHUNK):
                place = slice(start + at, start + min(at + _CHUNK, len(one)))
                rows[place] = one[at : at + _CHUNK] - centroid
                lengths[place] = np.einsum("nd,nd->n", rows[place], rows[place], dtype=np.float64)
        return cls(rows, centroids, lengths, len(first))

    @property
    def parts(self) -> tuple[slice, slice]:
        """The rows of the first and of the second modality."""
        return slice(0, self.first_rows), slice(self.first_rows, len(self.rows))

    def given(self, side: int) -> Rows:
        """The rows of a modality as they were given, up to rounding."""
        rows = self.rows[self.parts[side]]
        return np.asarray(rows + self.centroids[side].astype(rows.dtype))

    @cached_property
    def spectra(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Of each modality's covariance the eigenvalues, rising, and eigenvectors, one a column."""
        with threads.one_blas_thread():
            first, second = (np.linalg.eigh(_moments(self.rows[part])) for part in self.parts)
        return (first[0], first[1]), (second[0], second[1])

    @property
    def shift(self) -> Array:
        """What the first modality's centred rows lack against the second's, (d,)."""
        return np.asarray(self.centroids[0] - self.centroids[1])

    def offsets(self) -> Array:
        """alpha such that alpha_i + alpha_j - 2 c_i.c_j is the squared distance of rows of different modalities, (N,).

        |c_i + D - c_j|^2 with D the shift, in parts that depend on one row alone.
        """
        along = np.empty(len(self.rows))
        for at in range(0, len(along), _CHUNK):
            along[at : at + _CHUNK] = self.rows[at : at + _CHUNK].astype(np.float64) @ self.shift
        sign = np.where(np.arange(len(along)) < self.first_rows, 2.0, -2.0)
        return np.asarray(self.lengths + sign * along + np.sum(self.shift**2) / 2)

    def squares(self, first: Indices, second: Indices, shift: Array) -> Array:
        """Squared distances, a shift apart, of centred rows of the first modality and of the second, by places, (m,)."""
        result = np.empty(len(first))
        for at in range(0, len(result), _CHUNK):
            one, other = (self.rows[side[at : at + _CHUNK]].astype(np.float64) for side in (first, second))
            result[at : at + _CHUNK] = np.sum((one + shift - other) ** 2, axis=1)
        return result


def _moments(rows: Rows) -> Array:
    """Second moments of centred rows, (d, d)."""
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for at in range(0, len(rows), _CHUNK):
        block = rows[at : at + _CHUNK].astype(np.float64)
        total += block.T @ block
    return total / len(rows)
