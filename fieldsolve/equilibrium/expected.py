"""How long a solve will take, roughly, before it begins: the time of one evaluation here and now, times how many are usual."""

from time import perf_counter

import numpy as np

from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.starts import start

_WORTHWHILE = 100_000  # values of the densities, from which on a solve may take a minute
_USUAL = 100  # evaluations of an energy that a descent takes, or the bound and what follows from it; 25 to 200 are seen


def expected_seconds(energy: Energy, floor: float, stability: bool) -> float | None:
    """About how many seconds a solve will take, its curvature included if that is asked for; None for one that is short anyway.

    Two evaluations of the energy are made for it: the first one may have to compile or to balance a kernel.
    """
    if energy.has_gibbs_form or energy.potentials.size < _WORTHWHILE:
        return None
    state, out = start("tilted", energy, floor), np.empty_like(energy.potentials)
    energy.step(state, 0.0, out)
    began = perf_counter()
    energy.step(state, 0.0, out)
    return (perf_counter() - began) * _USUAL * (2 if stability else 1)
