"""Atoms held at the top of a barrier: the energy with a spring on the centroid gap, which makes of a pass a minimum."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from fieldsolve.equilibrium.atoms import AtomEnergy, Atoms, Polished
from fieldsolve.numerics.arrays import Array

_TOLERANCE = 1e-7  # nats of stationarity
_ROUNDS, _AT_REST, _NEARLY = 8, 1e-6, 1e-4  # until the spring is at rest, by how much it is off at most
_SIGNS = (1.0, -1.0)


@dataclass(frozen=True, eq=False)
class HeldAtoms(AtomEnergy):
    """J + (stiffness/2) (int z.e (rho_1 - rho_2) dmu - gap)^2 of atoms. axis: e, in the shells' components."""

    axis: Array = field(default_factory=lambda: np.zeros(0))
    gap: float = 0.0
    stiffness: float = 0.0

    def gap_of(self, atoms: Atoms) -> float:
        """The centroid gap along the axis; a floor has none."""
        moved = (s * (mass @ (where @ self.axis)) for s, where, mass in zip(_SIGNS, atoms.positions, atoms.masses, strict=True))
        return float((1 - self.floor) * sum(moved))

    def value(self, atoms: Atoms) -> float:
        return super().value(atoms) + 0.5 * self.stiffness * (self.gap_of(atoms) - self.gap) ** 2

    def variation(
        self, atoms: Atoms, a: int, where: Array, with_slopes: bool = False, pulls: Sequence[tuple[Array, Array]] | None = None
    ) -> tuple[Array, Array]:
        value, slope = super().variation(atoms, a, where, with_slopes, pulls)
        force = atoms.modalities * _SIGNS[a] * self.stiffness * (self.gap_of(atoms) - self.gap)
        along = where @ self.axis
        if with_slopes:
            slope = slope + force * (self.axis - along[:, None] * where)
        return value + force * along, slope


def hold(energy: AtomEnergy, atoms: Atoms, axis: Array, gap: float, stiffness: float) -> Polished | None:
    """The pass near some atoms: where an energy's least value at a gap is highest, as atoms, and its own energy.

    With a spring stiffer than the energy bends down along the gap, the pass is a minimum, and at rest the spring does nothing to
    it: secant steps look for the length at which it is at rest. As the spring is along one direction, one at most lowers the
    minimum once it is gone. None where the spring does not come to rest: the atoms have left the pass.
    """
    own = {one.name: getattr(energy, one.name) for one in fields(energy)}

    def held(length: float, atoms: Atoms) -> tuple[HeldAtoms, Polished]:
        spring = HeldAtoms(**own, axis=axis, gap=length, stiffness=stiffness)
        return spring, spring.polish(atoms, _TOLERANCE)

    lengths, excess = [gap], list[float]()
    for _ in range(_ROUNDS):
        spring, best = held(lengths[-1], atoms)
        atoms = best.atoms
        excess.append(spring.gap_of(atoms) - lengths[-1])
        if abs(excess[-1]) <= _AT_REST:
            break
        rate = 0.5 if len(lengths) < 2 else (excess[-1] - excess[-2]) / (lengths[-1] - lengths[-2])
        if not rate > 0:
            return None
        lengths.append(lengths[-1] - excess[-1] / rate)
    if abs(excess[-1]) > _NEARLY:
        return None
    return Polished(atoms, energy.value(atoms), best.stationarity, best.binding, best.cross_entropy)
