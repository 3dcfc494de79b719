"""Which values of temperature, coupling, floor and misalignment the explorer's table is of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite

import numpy as np

from fieldsolve.numerics.errors import InputError

#: The sliders, and between which numbers they may be.
SLIDERS = {"tau": (1e-9, 1e9), "coupling": (0.0, 1.0), "floor": (1e-12, 0.999), "misalign": (-1e6, 1e6)}

#: Most entries of a table: what a browser loads at once.
MOST_ENTRIES = 100_000

# Transitions are at couplings below 1/4, and of separated states little changes beyond one half.
_COUPLINGS = (*np.linspace(0, 0.3, 13).round(4).tolist(), 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_SWEPT = (*np.linspace(0, 0.6, 13).round(4).tolist(), 0.8, 1.0)
_FLOORS = tuple(float(f"{value:.3g}") for value in np.geomspace(1e-4, 0.5, 21))


@dataclass(frozen=True)
class Stops:
    """The values of each slider at which states are certified, rising; misalign in degrees, of the second potential.

    swept: couplings of the stored states of the smoothed energy. Raises InputError for values out of range, for fewer than two
    couplings, floors or temperatures, and for more than 100 000 entries.
    """

    tau: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 1.0)
    coupling: tuple[float, ...] = _COUPLINGS
    floor: tuple[float, ...] = _FLOORS
    misalign: tuple[float, ...] = (0.0, 30.0, 90.0)
    swept: tuple[float, ...] = _SWEPT

    def __post_init__(self) -> None:
        for field in fields(self):
            try:
                values = tuple(sorted({float(value) for value in getattr(self, field.name)}))
            except (TypeError, ValueError):
                raise InputError(f"stops of {field.name} are numbers, not {getattr(self, field.name)!r}") from None
            low, high = SLIDERS["coupling" if field.name == "swept" else field.name]
            if not all(isfinite(value) and low <= value <= high for value in values):
                raise InputError(f"stops of {field.name} are numbers from {low:g} to {high:g}")
            least = 1 if field.name == "misalign" else 2
            if len(values) < least:
                raise InputError(f"{field.name} needs at least {least} stop{'s' if least > 1 else ''}, not {len(values)}")
            object.__setattr__(self, field.name, values)
        if self.entries > MOST_ENTRIES:
            raise InputError(f"{self.entries} entries are more than {MOST_ENTRIES}; take fewer stops")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """How many misalignments, temperatures, floors and couplings: the table's axes, couplings fastest."""
        return len(self.misalign), len(self.tau), len(self.floor), len(self.coupling)

    @property
    def entries(self) -> int:
        return int(np.prod(self.shape))

    def including(self, **values: float) -> "Stops":
        """The same with these values among them."""
        return replace(self, **{name: (*getattr(self, name), value) for name, value in values.items()})

    @classmethod
    def of_axes(cls, axes: Mapping[str, Iterable[float]]) -> "Stops":
        """The default stops, but for those that are given. Raises InputError for other names."""
        unknown = sorted(set(axes) - set(SLIDERS))
        if unknown:
            raise InputError(f"the explorer has sliders for {', '.join(SLIDERS)}, not for {', '.join(unknown)}")
        return cls(**{name: tuple(values) for name, values in axes.items()})
