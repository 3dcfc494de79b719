"""Experiment D.3 in the limit of large batches: the energy of linear encoders, without samples, and its regular minima."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gap.modes import dispersal, spectrum

TAU = 0.07
KERNEL = Kernel("cosine", TAU)

_LEAST_RATIO = 0.02  # of an encoder's singular values, for the angles' grid to resolve its densities
_STATIONARY = 1e-5  # nats: below it the energy is within 1e-10 of the minimum
_SHIFT = 1e-4  # of parameters, for second derivatives: their errors of 1e-8 balance those of rounding


@dataclass(frozen=True, eq=False)
class Encoded:
    """The energy J of two linear encoders, its gradient (2, 2, 2), and the alignment E cos(a1 - a2)."""

    energy: float
    gradient: Array
    alignment: float


def encode(law: Misaligned, encoders: Array) -> Encoded:
    """J = -E cos(a1 - a2)/tau + (E log K rho2(a1) + E log K rho1(a2))/2 [(9)] of encoders W, a the angle of W x.

    What the symmetric CLIP loss less log N V tends to in value and gradient as the batch grows [Thm 4.1]. encoders: (2, 2, 2),
    not singular; exact to rounding while the ratio of singular values is above 0.02 (`is_resolved`).
    """
    inputs = np.stack([np.cos(law.angles), np.sin(law.angles)], axis=1)
    raw = np.einsum("aij,nj->ani", encoders, inputs)
    lengths = np.linalg.norm(raw, axis=-1)
    points = raw / lengths[..., None]
    weights = law.observed / law.count
    waves = points[..., 0] + 1j * points[..., 1]
    slopes = np.empty((2, law.count))
    spread = dispersal(points[0], points[1], weights[0], weights[1], spectrum(KERNEL), slopes[0], slopes[1])
    # E[exp(i a2) | phi1] rho(phi1), and the other way round
    partners = np.stack([law.given_other(waves[1 - a], a_from) for a, a_from in ((0, 1), (1, 0))])
    pull = waves.conj() * partners / law.count
    slopes -= pull.imag / TAU
    normals = np.stack([-points[..., 1], points[..., 0]], axis=-1)
    gradient = np.einsum("an,ani,nj->aij", slopes / lengths, normals, inputs)
    alignment = float(pull[0].real.sum())
    return Encoded(-alignment / TAU + spread, gradient, alignment)


def ratios(encoders: Array) -> Array:
    """Smallest over largest singular value of each encoder, (2,)."""
    values = np.linalg.svd(encoders, compute_uv=False)
    return np.asarray(values[:, 1] / values[:, 0])


def is_resolved(encoders: Array) -> bool:
    """Whether the densities of the encoded angles are broad enough for the grid of angles."""
    return bool(ratios(encoders).min() >= _LEAST_RATIO)


def minimise(law: Misaligned, start: Array) -> Array | None:
    """The regular local minimum that a start leads to, at unit Frobenius norms, or None if an encoder becomes singular there.

    start: (2, 2, 2). The energy depends on each encoder up to a factor, and on both up to a common rotation. Raises RuntimeError
    if the descent ends where the gradient is not small.
    """
    from scipy.optimize import minimize  # slow to import: 0.4 s

    def value_and_gradient(parameters: Array) -> tuple[float, Array]:
        found = encode(law, parameters.reshape(2, 2, 2))
        return found.energy, found.gradient.ravel()

    def watch(intermediate_result: object) -> None:
        if not is_resolved(intermediate_result.x.reshape(2, 2, 2)):  # type: ignore[attr-defined]
            raise StopIteration

    found = minimize(
        value_and_gradient,
        normalise_encoders(start).ravel(),
        jac=True,
        method="BFGS",
        callback=watch,
        options={"gtol": 1e-11, "maxiter": 500},
    )
    encoders = normalise_encoders(found.x.reshape(2, 2, 2))
    if not is_resolved(encoders):
        return None
    slope = float(np.abs(encode(law, encoders).gradient).max())
    if slope > _STATIONARY:
        raise RuntimeError(f"the descent at sigma = {law.sigma:g} ended where the gradient is {slope:.1e}: {found.message}")
    return encoders


def lowest_curvature(law: Misaligned, encoders: Array) -> float:
    """The smallest eigenvalue of J's Hessian at unit Frobenius norms, across the directions that do nothing.

    These are the two factors and the common rotation. Central differences of the analytic gradient.
    """
    encoders = normalise_encoders(encoders)
    turned = np.einsum("ij,ajk->aik", np.array([[0.0, -1.0], [1.0, 0.0]]), encoders)
    first, second = encoders * np.array([1.0, 0.0])[:, None, None], encoders * np.array([0.0, 1.0])[:, None, None]
    idle = np.stack([first.ravel(), second.ravel(), turned.ravel()], axis=1)
    free = np.linalg.svd(idle)[0][:, 3:]
    columns = []
    for direction in free.T.reshape(5, 2, 2, 2):
        above, below = (encode(law, encoders + sign * _SHIFT * direction).gradient for sign in (1, -1))
        columns.append(free.T @ (above - below).ravel() / (2 * _SHIFT))
    hessian = np.array(columns)
    return float(np.linalg.eigvalsh((hessian + hessian.T) / 2)[0])


def normalise_encoders(encoders: Array) -> Array:
    """Encoders of unit Frobenius norms: factors do nothing."""
    return np.asarray(encoders / np.linalg.norm(encoders, axis=(1, 2), keepdims=True))
