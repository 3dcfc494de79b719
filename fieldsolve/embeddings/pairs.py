"""Positive pairs: matched embeddings of two modalities, projected to the sphere, and the potentials they imply."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.embeddings.files import read_modalities
from fieldsolve.embeddings.modality import Modality, check_widths, modality
from fieldsolve.equilibrium.potentials import Potential
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_NOTABLE = 0.01  # a length that is off 1 by more is no rounding
_BLOCK = 1 << 22  # weights held at a time by the kernel regression


@dataclass(frozen=True, eq=False)
class Pairs:
    """Matched points (z_1, z_2) of two modalities on S^1 or S^2.

    points: (2, n, d) unit vectors, d = 2 or 3. retained_fraction: the share of the embeddings' squared length that
    lies in the d leading directions. norms: least and largest length of the embeddings as they were given. notes: what was left
    out of their files.
    """

    points: Array
    retained_fraction: float
    norms: tuple[float, float]
    notes: tuple[str, ...] = ()

    @property
    def bandwidth(self) -> float:
        """The default bandwidth of the kernel regression in radians: spread n^(-1/6), Scott's rule in two dimensions.

        The spread is sqrt(1 - R^2), R the mean resultant length, averaged over the modalities.
        """
        resultant = np.linalg.norm(self.points.mean(axis=1), axis=1)
        spread = float(np.mean(np.sqrt(np.maximum(1 - resultant**2, 0.0))))
        return float(max(spread, 1e-3) * self.points.shape[1] ** (-1 / 6))

    def potentials(self, bandwidth: float | None = None) -> tuple[Potential, Potential]:
        """The directional alignment potentials U_1, U_2 [Def 4.1] of the cosine critic.

        U_1(z) = -z . E[z_2 | z_1 = z] with the conditional mean by kernel regression: weights
        exp((z.z_1 - 1)/h^2), h the bandwidth in radians; far from all data the nearest pairs decide. U_2 mirrored.
        Raises InputError for a bandwidth that is not positive.
        """
        h = self.bandwidth if bandwidth is None else bandwidth
        if not (np.isfinite(h) and h > 0):
            raise InputError(f"the bandwidth must be a positive number of radians, not {bandwidth}")
        first, second = self.points
        forth, back = _regressed(first, second, h, "pairs 1 to 2"), _regressed(second, first, h, "pairs 2 to 1")
        return replace(forth, **self._origin(first)), replace(back, **self._origin(second))

    def _origin(self, points: Array) -> dict[str, Any]:
        """What a potential keeps of the embeddings behind it."""
        lengths = f"the embeddings have lengths from {self.norms[0]:.3g} to {self.norms[1]:.3g}; only directions count"
        notes = (lengths,) if max(abs(norm - 1) for norm in self.norms) > _NOTABLE else ()
        return {"points": points, "retained_fraction": self.retained_fraction, "notes": self.notes + notes}


def _regressed(own: Array, partner: Array, bandwidth: float, label: str) -> Potential:
    def potential(points: Array) -> Array:
        result = np.empty(len(points))
        step = max(1, _BLOCK // len(own))
        with threads.one_blas_thread():
            for first in range(0, len(points), step):
                chunk = points[first : first + step]
                exponents = (chunk @ own.T - 1) / bandwidth**2
                exponents -= exponents.max(axis=1, keepdims=True)
                np.exp(exponents, out=exponents)
                mean = exponents @ partner / exponents.sum(axis=1, keepdims=True)
                result[first : first + step] = -np.einsum("id,id->i", chunk, mean)
        return result

    return Potential(potential, label, dimension=own.shape[1])


def from_embeddings(first: Any, second: Any, normalize: bool = False) -> Pairs:
    """Pairs from matched embeddings (n, d) each, or Modalities: unit rows, projected to S^2 if d > 3.

    The projection is on the top three right singular vectors of both modalities' rows stacked, uncentred (their
    mean is what a modality gap shows in), renormalised. normalize: scale rows to unit length instead of refusing others.
    Raises InputError for unequal shapes, and what `modality` refuses.
    """
    both = matched_modalities(first, second, normalize)
    count, width = both[0].rows.shape
    stacked = np.concatenate([one.rows for one in both]).astype(np.float64)
    retained = 1.0
    if width > 3:
        with threads.one_blas_thread():
            values, vectors = np.linalg.eigh(stacked.T @ stacked)
        leading = vectors[:, :-4:-1]
        # The sign of a singular vector is arbitrary: make the data's larger side positive, so that results repeat.
        leading *= np.where((stacked @ leading).sum(axis=0) < 0, -1.0, 1.0)
        retained = float(values[-3:].sum() / values.sum())
        stacked = stacked @ leading
        norms = np.linalg.norm(stacked, axis=1)
        if norms.min() < 1e-12:
            raise InputError("an embedding is orthogonal to the three leading directions and cannot be projected")
        stacked /= norms[:, None]
    points = stacked.reshape(2, count, stacked.shape[1])
    lengths = min(one.lengths[0] for one in both), max(one.lengths[1] for one in both)
    return Pairs(points, retained, lengths, tuple(note for one in both for note in one.notes))


def read_pairs(sources: Sequence[str | Path], normalize: bool = False) -> Pairs:
    """Pairs from files: two modalities as `read_modalities` reads them, with matching rows.

    Raises InputError for files that cannot be read, more than two modalities, and all that `from_embeddings` refuses.
    """
    return from_embeddings(*two_modalities(sources, normalize))


def matched_modalities(first: Any, second: Any, normalize: bool = False) -> tuple[Modality, Modality]:
    """Two modalities with as many rows each, and as wide, of embeddings (n, d) or Modalities.

    Raises InputError for unequal shapes, and what `modality` refuses.
    """
    given = ("modality 1", first), ("modality 2", second)
    check_widths([(name, np.shape(one.rows if isinstance(one, Modality) else one)) for name, one in given])
    one, other = (
        rows if isinstance(rows, Modality) else modality(name, rows, normalize, precision=np.float64) for name, rows in given
    )
    if len(one.rows) != len(other.rows):
        counts = f"{len(one.rows)} and {len(other.rows)}"
        raise InputError(f"{counts} embeddings are no pairs; both modalities need the same number")
    return one, other


def two_modalities(sources: Sequence[str | Path], normalize: bool = False) -> tuple[Modality, Modality]:
    """The two modalities in files, in double precision, as `read_modalities` reads them.

    Raises InputError for files that cannot be read, and for one modality or more than two.
    """
    found = read_modalities(sources, normalize, np.float64)
    if len(found) != 2:
        names = ", ".join(map(str, sources))
        raise InputError(f"{names}: pairs are of two modalities, not of {len(found)}; name two of them with FILE::NAME")
    return found[0], found[1]
