"""A multimodal problem in plain values: what is varied along a branch or over a diagram, and solved at each place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.arrays import Array
from fieldsolve.errors import InputError
from fieldsolve.grids import Circle, Grid, Healpix
from fieldsolve.matched import Transitions, transitions
from fieldsolve.potentials import Potential, is_map_file, named
from fieldsolve.solution import Solution
from fieldsolve.solve import MAX_STEPS, Watch, multimodal


@dataclass(frozen=True)
class Problem:
    """Two coupled densities and everything that their equilibrium depends on.

    potential: one for both modalities or a pair, as a user names them (see `potentials.named`) or as Potentials; misalign:
    rotation of the second one about the y axis in degrees; tau, floor, coupling, critic, allow_unresolved, tolerance (nats),
    max_steps: as in `multimodal`; nside, or circle: the grid; energy: intrinsic or smoothed.
    """

    potential: str | Potential | Sequence[str | Potential] = ("two-well",)
    misalign: float = 0.0
    tau: float = 0.5
    floor: float = 1e-3
    coupling: float = 1.0
    nside: int = 64
    circle: int | None = None
    critic: str = "cosine"
    energy: str = "intrinsic"
    allow_unresolved: bool = False
    tolerance: float | None = None
    max_steps: int = MAX_STEPS

    def __post_init__(self) -> None:
        names = (self.potential,) if isinstance(self.potential, str | Potential) else tuple(self.potential)
        if len(names) not in (1, 2):
            raise InputError(f"two modalities have one potential in common or two, not {len(names)}")
        object.__setattr__(self, "potential", names)
        if self.energy not in ("intrinsic", "smoothed"):
            raise InputError(f"the energy is intrinsic or smoothed, not {self.energy!r}")

    @property
    def grid(self) -> Grid:
        return Healpix(self.nside) if self.circle is None else Circle(self.circle)

    def at(self, parameter: str, value: Any) -> "Problem":
        """The same problem with one parameter changed. Raises InputError for a parameter that it does not have."""
        if parameter not in self.__dataclass_fields__:
            raise InputError(f"a problem has no parameter {parameter!r}; it has {', '.join(self.__dataclass_fields__)}")
        return replace(self, **{parameter: value})

    def potentials(self) -> tuple[Potential, Potential]:
        """Both potentials, the second one rotated."""
        names: tuple[str | Potential, ...] = tuple(self.potential)  # type: ignore[arg-type]
        return _potentials(names, tuple(_stamp(name) for name in names), self.misalign, self.grid)

    def solve(self, start: str | Array | None = None, watch: Watch | None = None) -> Solution:
        """Solve it; start: see `multimodal`. Raises InputError."""
        return multimodal(
            self.grid,
            self.potentials(),
            self.tau,
            self.floor,
            self.coupling,
            smoothed=self.energy == "smoothed",
            critic=self.critic,
            allow_unresolved=self.allow_unresolved,
            start=start,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
            watch=watch,
        )

    def transitions(self) -> Transitions:
        """Binodal and spinodal, in the coupling. Raises InputError without a floor, and for the smoothed energy."""
        if self.energy == "smoothed":
            raise InputError("binodal and spinodal are known for the intrinsic energy; for the smoothed one see `dispersion`")
        values = np.stack([potential.on(self.grid) for potential in self.potentials()])
        return transitions(values - values.min(axis=1, keepdims=True), self.tau, self.floor)


def _stamp(name: str | Potential) -> object:
    """What changes when a map file does."""
    if not isinstance(name, str) or not is_map_file(name) or not Path(name).exists():
        return None
    status = Path(name).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=8)  # a sweep asks for the same ones at every cell, and a map file is slow to read
def _potentials(
    names: tuple[str | Potential, ...], stamps: tuple[object, ...], misalign: float, grid: Grid
) -> tuple[Potential, Potential]:
    first, second = ((named(name, grid) if isinstance(name, str) else name) for name in (names * 2)[:2])
    return first, second.misaligned(misalign)
