"""Critics: similarities of two points of a sphere that depend on the angle between them. A new one is one class here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import pi
from typing import ClassVar

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of, text_of

#: Every critic by its name; a class with a name is in it once it is defined.
CRITICS: dict[str, type["Critic"]] = {}

_SMALL = 1e-8  # an angle whose sine is the angle itself in double precision


class Critic(ABC):
    """A similarity s(z, z') of unit vectors [Sec. 2], a function of the angle between them that is largest at 0.

    A subclass is a frozen dataclass; its fields are parameters, written as in `NAME:FIELD=VALUE`. name: what users call it;
    linear: (a, b) with s = a z.z' - b, or None; peak: s(z, z).
    """

    name: ClassVar[str]
    linear: ClassVar[tuple[float, float] | None] = None
    peak: ClassVar[float] = 0.0

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            if hasattr(cls, "name"):
                raise InputError(f"the critic {cls.__name__} would have its parent's name {cls.name!r}; give it its own")
            return  # abstract
        known = CRITICS.setdefault(cls.name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise InputError(f"the name {cls.name!r} is the critic {known.__qualname__}'s; call {cls.__name__} something else")
        CRITICS[cls.name] = cls  # defined again, as in a notebook

    @abstractmethod
    def profile(self, angle: Array) -> Array:
        """s(angle) - s(0), at most 0, accurate at small angles; angles in radians, from 0 to pi."""

    @abstractmethod
    def slope(self, angle: Array) -> Array:
        """ds/dangle at angles in radians."""

    @cached_property
    def curvature(self) -> float:
        """-d^2 s/dangle^2 at 0: the kernel exp(s/tau) has the width sqrt(tau/curvature) to leading order in tau."""
        return float(-self.slope(np.asarray(_SMALL)) / _SMALL)

    @property
    def steepest(self) -> float:
        """sup |grad s| over the sphere, for each of the two points."""
        return float(np.abs(self.slope(np.linspace(0, pi, 4097))).max())

    def __str__(self) -> str:
        return text_of(self)


@dataclass(frozen=True)
class Cosine(Critic):
    """s = z.z', whose kernel is von Mises and Fisher's."""

    name = "cosine"
    linear = (1.0, 0.0)
    peak = 1.0

    def profile(self, angle: Array) -> Array:
        return np.asarray(-2.0 * np.sin(angle / 2) ** 2)

    def slope(self, angle: Array) -> Array:
        return np.asarray(-np.sin(angle))


@dataclass(frozen=True)
class Rbf(Critic):
    """s = -|z - z'|^2 = 2 z.z' - 2, the squared chord."""

    name = "rbf"
    linear = (2.0, 2.0)

    def profile(self, angle: Array) -> Array:
        return np.asarray(-4.0 * np.sin(angle / 2) ** 2)

    def slope(self, angle: Array) -> Array:
        return np.asarray(-2.0 * np.sin(angle))


@dataclass(frozen=True)
class Geodesic(Critic):
    """s = -angle^2, which has a kink at the antipode."""

    name = "geodesic"

    def profile(self, angle: Array) -> Array:
        return np.asarray(-np.square(angle))

    def slope(self, angle: Array) -> Array:
        return np.asarray(-2.0 * np.asarray(angle))


def critic_of(critic: Critic | str) -> Critic:
    """A critic, or the one that a text names. Raises InputError for an unknown name."""
    return _made(critic, CRITICS.get(critic.partition(":")[0])) if isinstance(critic, str) else critic


@lru_cache(maxsize=64)
def _made(text: str, _: type[Critic] | None) -> Critic:
    """The critic of a text, made anew when its name means another class."""
    return made_of(text, CRITICS, "critic")
