"""Positive pairs: matched embeddings of two modalities, projected to the sphere, and the potentials they imply."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fieldsolve import threads
from fieldsolve.arrays import Array
from fieldsolve.errors import InputError
from fieldsolve.potentials import Potential

_BLOCK = 1 << 22  # weights held at a time by the kernel regression


@dataclass(frozen=True, eq=False)
class Pairs:
    """Matched points (z_1, z_2) of two modalities on S^1 or S^2.

    points: (2, n, d) unit vectors, d = 2 or 3. retained_fraction: the share of the embeddings' squared length that
    lies in the d leading directions. norms: least and largest length of the embeddings as they were given.
    """

    points: Array
    retained_fraction: float
    norms: tuple[float, float]

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
        return _regressed(first, second, h, "pairs 1 to 2"), _regressed(second, first, h, "pairs 2 to 1")


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


def from_embeddings(first: Array, second: Array) -> Pairs:
    """Pairs from matched embeddings (n, d) each: normalised rows, projected to S^2 if d > 3.

    The projection is on the top three right singular vectors of both modalities' rows stacked, uncentred (their
    mean is what a modality gap shows in), renormalised.
    Raises InputError for unequal shapes, fewer than 2 columns, no rows, values that are not finite, and zero rows.
    """
    first, second = (np.asarray(rows, dtype=np.float64) for rows in (first, second))
    if first.ndim != 2 or second.ndim != 2:
        raise InputError(f"embeddings must be two arrays (n, d), not of shape {first.shape} and {second.shape}")
    if len(first) != len(second):
        raise InputError(f"{len(first)} and {len(second)} embeddings are no pairs; both modalities need the same number")
    if first.shape[1] != second.shape[1] or first.shape[1] < 2 or len(first) == 0:
        raise InputError(f"pairs need embeddings of one dimension d >= 2, not of shape {first.shape} and {second.shape}")
    stacked = np.concatenate([first, second])
    if not np.all(np.isfinite(stacked)):
        raise _refusal(~np.isfinite(stacked).all(axis=1), "have values that are not finite")
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(stacked, axis=1)
    if norms.min() == 0 or not np.all(np.isfinite(norms)):
        raise _refusal((norms == 0) | ~np.isfinite(norms), "are zero (or too large) and have no direction")
    stacked /= norms[:, None]
    retained = 1.0
    if stacked.shape[1] > 3:
        with threads.one_blas_thread():
            values, vectors = np.linalg.eigh(stacked.T @ stacked)
        leading = vectors[:, :-4:-1]
        # The sign of a singular vector is arbitrary: make the data's larger side positive, so that results repeat.
        leading *= np.where((stacked @ leading).sum(axis=0) < 0, -1.0, 1.0)
        retained = float(values[-3:].sum() / values.sum())
        stacked = stacked @ leading
        lengths = np.linalg.norm(stacked, axis=1)
        if lengths.min() < 1e-12:
            raise InputError("an embedding is orthogonal to the three leading directions and cannot be projected")
        stacked /= lengths[:, None]
    points = stacked.reshape(2, len(first), stacked.shape[1])
    return Pairs(points, retained, (float(norms.min()), float(norms.max())))


def _refusal(bad: NDArray[np.bool_], what: str) -> InputError:
    """The error for rows of both modalities, stacked, that cannot be used."""
    modality, row = divmod(int(np.argmax(bad)), len(bad) // 2)
    return InputError(
        f"{int(bad.sum())} of {len(bad)} embeddings {what} (first: modality {modality + 1}, row {row}); leave those pairs out"
    )


def read_pairs(paths: tuple[Path, ...]) -> Pairs:
    """Pairs from one .npy file of shape (2, n, d), or from two of shape (n, d) with matching rows.

    Nothing is unpickled. Raises InputError for files that cannot be read and for all that `from_embeddings` refuses.
    """
    arrays = [_read(path) for path in paths]
    if len(arrays) == 1:
        if arrays[0].ndim != 3 or arrays[0].shape[0] != 2:
            raise InputError(f"{paths[0]}: one file of pairs must have the shape (2, n, d), not {arrays[0].shape}")
        arrays = [arrays[0][0], arrays[0][1]]
    if len(arrays) != 2:
        raise InputError(f"pairs come in one file (2, n, d) or in two (n, d), not in {len(arrays)}")
    return from_embeddings(*arrays)


def _read(path: Path) -> Array:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as a numpy array of numbers (.npy); is it one, and whole?") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise InputError(f"{path}: pairs must be one array of real numbers in .npy")
    return np.asarray(array, dtype=np.float64)
