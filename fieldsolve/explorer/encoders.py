"""The explorer's second question: encoders that move, their gap against temperature and a penalty, every optimum certified."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.encoders.fronts import front
from fieldsolve.encoders.laws import JointLaw, law_from_table
from fieldsolve.encoders.problem import LEAST_TAU, EncoderProblem
from fieldsolve.encoders.study import critical_temperatures
from fieldsolve.encoders.windows import window
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.progress import Progress, Watch

#: Weights of the squared centroid gap.
WEIGHTS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

_COUNT, _RANGE = 25, (0.2, 5.0)  # temperatures, of tau*

# Two frequent symbols and a rare one: the gap is free up to tau_0, bounded from below up to tau*, and forced beyond.
_COUNTS = ((30, 2, 1), (2, 30, 1), (1, 1, 2))


def uneven_law() -> JointLaw:
    """The law that the explorer takes where none is given: three symbols that carry different amounts of information."""
    return law_from_table(np.array(_COUNTS) / np.sum(_COUNTS), "three symbols of uneven information")


@dataclass(frozen=True, eq=False)
class Penalised:
    """Certified optima over temperatures and weights of the squared gap.

    tau: (T,); weights: (W,); centroid_gap, loss, gap (loss - bound, nats): (T, W); low, high: (T,), the window of gaps with the
    least loss, NaN above tau*; routes: how each was found, as of `Window`, "" above tau*.
    """

    law: str
    tau_star: float
    tau_zero: float
    tau: Array
    weights: Array
    centroid_gap: Array
    loss: Array
    gap: Array
    low: Array
    high: Array
    routes: tuple[str, ...]

    @property
    def payload(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}


def penalised(law: JointLaw, watch: Watch | None = None) -> Penalised:
    """Optima of symmetric InfoNCE plus weight times the squared centroid gap, around tau* (beyond the paper)."""
    star, zero = critical = critical_temperatures(law, watch)
    middle = star.value if 0 < star.value < np.inf else 0.1
    taus = np.geomspace(max(_RANGE[0] * middle, LEAST_TAU), _RANGE[1] * middle, _COUNT)
    fronts, windows, routes = [], [], []
    for index, tau in enumerate(taus.tolist()):
        fronts.append(front(EncoderProblem(law, tau), WEIGHTS))
        found = window(law, tau, critical) if tau <= star.value else None
        windows.append((np.nan, np.nan) if found is None else (found.low, found.high))
        routes.append("" if found is None else found.route)
        if watch is not None:
            watch(Progress(index + 1, len(taus), "temperatures of free encoders"))
    of = {name: np.array([[getattr(one, name) for one in row] for row in fronts]) for name in ("centroid_gap", "loss", "gap")}
    low, high = np.array(windows).T
    return Penalised(law.label, star.value, zero.value, taus, np.array(WEIGHTS), **of, low=low, high=high, routes=tuple(routes))
