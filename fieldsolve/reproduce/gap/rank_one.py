"""Experiment D.3's separated phase: singular encoders send half of the circle to a point and half to its antipode."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gap.population import KERNEL, TAU

_SHIFT = 1e-3  # radians, for second derivatives
_NODES = 200  # of Gauss-Legendre quadrature over a quarter turn: the integrand is analytic, and as wide as the kernel


@dataclass(frozen=True, eq=False)
class RankOne:
    """Two rank-one encoders of a law: modality a maps phi to its axis if cos(phi - cut_a) > 0 and to the antipode if not.

    angle: from the first axis to the second; cuts: (2,). Each density is two antipodal atoms.
    """

    law: Misaligned
    angle: float
    cuts: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def _signs(self) -> Array:
        """E[+-1 | theta] of each modality, at the latent angles, (2, count)."""
        modes = np.fft.fftfreq(self.law.count, 1 / self.law.count)
        # sgn cos phi = (4/pi) (cos phi - cos 3 phi/3 + cos 5 phi/5 - ...), of which the noise leaves a few hundred terms
        size = np.abs(modes)
        waves = np.where(modes % 2 == 1, 2 / np.pi * (-1.0) ** ((size - 1) // 2) / np.maximum(size, 1), 0.0)
        both = [waves * np.exp(-1j * modes * cut) * noise for cut, noise in zip(self.cuts, self.law.noise, strict=True)]
        return np.asarray(np.fft.ifft(np.stack(both)).real * self.law.count)

    @cached_property
    def masses(self) -> Array:
        """The mass at each modality's axis and at its antipode, (2, 2)."""
        mean = np.mean(self.law.latent * self._signs, axis=1)
        return np.stack([(1 + mean) / 2, (1 - mean) / 2], axis=1)

    @cached_property
    def agreement(self) -> float:
        """E[+-1 of one modality times +-1 of the other]."""
        return float(np.mean(self.law.latent * self._signs[0] * self._signs[1]))

    @property
    def alignment(self) -> float:
        """E cos(a1 - a2)."""
        return float(np.cos(self.angle)) * self.agreement

    @property
    def atoms(self) -> Array:
        """The angles of each modality's atoms, (2, 2)."""
        return np.array([[0.0, np.pi], [self.angle, self.angle + np.pi]])

    def log_field(self, modality: int, angles: Array) -> Array:
        """log K rho of one modality at any angles."""
        distances = np.asarray(angles)[..., None] - self.atoms[modality]
        terms = np.log(self.masses[modality]) + KERNEL.log_profile(distances, 1)
        return np.asarray(np.logaddexp(terms[..., 0], terms[..., 1]))

    @property
    def energy(self) -> float:
        """J, exactly."""
        spread = [self.masses[a] @ self.log_field(1 - a, self.atoms[a]) for a in (0, 1)]
        return float(-self.alignment / TAU + sum(spread) / 2)

    @property
    def smoothed_symmetric_kl(self) -> float:
        """int (rho1 - rho2)(log K rho1 - log K rho2); without K it is infinite."""
        fields = [[self.masses[a] @ self.log_field(b, self.atoms[a]) for b in (0, 1)] for a in (0, 1)]
        return float(fields[0][0] - fields[0][1] - fields[1][0] + fields[1][1])

    @cached_property
    def slopes(self) -> Array:
        """dJ/d|r| at r = 0 of the ratio r of each encoder's singular values, (2,), the same for both signs; the cuts must be 0.

        Angles turn from an atom to its antipode within r of the two cuts: at each of them a share (rho/2 pi) r dalpha/sin^2
        alpha of the mass sits at the angle alpha in between, rho the density there. With G what a point at such an angle adds
        to J, slope = (rho/2 pi) int_0^pi [G(alpha) + G(-alpha) - 2 G(nearest atom)]/sin^2 alpha dalpha. Where both slopes are
        positive the state is a minimum with a kink, at the boundary of the regular encoders. Raises InputError for other cuts.
        """
        if any(self.cuts):
            raise InputError(f"the slopes are known for cuts at 0, where both directions are alike, not at {self.cuts}")
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        nodes, weights = np.pi / 4 * (nodes + 1), np.pi / 4 * weights
        result = []
        for a in (0, 1):
            near, far = nodes, np.pi - nodes
            total = 0.0
            for angles, atom in ((near, 0.0), (far, np.pi)):
                excess = sum(self._added(a, sign * angles) - self._added(a, np.array(sign * atom)) for sign in (1, -1))
                total += float(np.sum(weights * excess / np.sin(angles) ** 2))
            result.append(float(self.law.observed[a][self.law.count // 4]) / (2 * np.pi) * total)
        return np.array(result)

    def _added(self, modality: int, offset: Array) -> Array:
        """What a unit of the modality's mass observed at the cut adds to J at an angle from its axis."""
        other = 1 - modality
        angles = self.atoms[modality][0] + offset
        quarter = self.law.count // 4
        partner = self.law.given_latent(self.law.latent * self._signs[other], modality).real / self.law.observed[modality]
        pull = -np.cos(angles - self.atoms[other][0]) * partner[quarter] / TAU
        log_ratio = KERNEL.log_profile(angles[..., None] - self.atoms[other], 1) - self.log_field(modality, self.atoms[other])
        felt = np.exp(log_ratio) @ self.masses[other]
        return np.asarray(pull + (self.log_field(other, angles) + felt) / 2)

    @property
    def lowest_curvature(self) -> float:
        """The smallest eigenvalue of J's Hessian in the angle and the two cuts, in nats per square radian."""

        def energy(shift: Array) -> float:
            return RankOne(self.law, self.angle + shift[0], (self.cuts[0] + shift[1], self.cuts[1] + shift[2])).energy

        steps = _SHIFT * np.eye(3)
        hessian = np.array([
            [(energy(a + b) - energy(a - b) - energy(b - a) + energy(-a - b)) / (4 * _SHIFT**2) for b in steps] for a in steps
        ])  # fmt: skip
        return float(np.linalg.eigvalsh(hessian)[0])


def separated_minimum(law: Misaligned) -> RankOne:
    """The rank-one encoders of lowest energy with cuts across the latent axis, where the law has its fewest angles."""
    from scipy.optimize import minimize_scalar  # slow to import: 0.4 s

    angles = np.linspace(0.0, np.pi / 2, 91)
    energies = [RankOne(law, float(angle)).energy for angle in angles]
    best = int(np.argmin(energies))
    bracket = (float(angles[max(best - 1, 0)]), float(angles[min(best + 1, 90)]))
    found = minimize_scalar(
        lambda angle: RankOne(law, float(angle)).energy, bounds=bracket, method="bounded", options={"xatol": 1e-10}
    )
    return RankOne(law, float(found.x))
