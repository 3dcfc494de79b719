"""The window of centroid gaps that the loss does not tell apart, at a temperature below the critical one."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.penalties import GapPenalty, gap_vector
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.programs import Program
from fieldsolve.encoders.solve import solve_encoders
from fieldsolve.encoders.temperatures import MOST_IN_PROGRAM, Critical, free_entries, tau_star, tau_zero
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch

_FAINT = 1e-6  # weight of the squared gap with which descents look for a window's ends


@dataclass(frozen=True, eq=False)
class Window:
    """Centroid gaps from `low` to `high`, all of them with the least loss; route: as of critical temperatures.

    ends: encoders at both ends, rows (n + m, n + m) of z over w, where they were computed. Windows by descents are of encoders
    whose loss is least to 1e-6 nats, so that they reach beyond their true ends by about the root of that.
    """

    low: float
    high: float
    route: str
    ends: tuple[Array, Array] | None = None

    def encoders(self, gap: float, split: int) -> tuple[Array, Array]:
        """Encoders (z, w) with a gap of the window, unit rows: the Gram matrices of all of them are between those of the ends.

        Raises InputError for gaps outside, and where the ends' encoders were not computed.
        """
        if self.ends is None:
            raise InputError("a window in closed form has no encoders; window_by_program finds some")
        if not self.low <= gap <= self.high:
            raise InputError(f"a gap of {gap:g} is outside the window from {self.low:.6g} to {self.high:.6g}")
        share = (gap**2 - self.low**2) / (self.high**2 - self.low**2) if self.high > self.low else 0.0
        rows = np.hstack([sqrt(1 - share) * self.ends[0], sqrt(share) * self.ends[1]])
        return rows[:split], rows[split:]


def window(law: JointLaw, tau: float, critical: tuple[Critical, Critical] | None, watch: Watch | None = None) -> Window | None:
    """The window [g_min, g_max] of centroid gaps at minus the mutual information, None above tau* (beyond the paper).

    g^2 = v^T X v, least and largest over X psd with a unit diagonal and C = tau (PMI + c). Closed form [0, 2 sqrt(1 - tau/tau*)]
    where a group acts; a semidefinite program up to 48 symbols; beyond by descents whose objective sees the gap faintly.
    critical: tau* and tau_0 where they are known; without them the program finds out by itself whether there is a window, which
    it can tell unless tau is close to tau*.
    """
    is_small = sum(law.table.shape) <= MOST_IN_PROGRAM
    if not law.is_positive:
        return None
    if critical is None and (law.spectrum is not None or not is_small):
        star = tau_star(law, watch)
        critical = star, tau_zero(law, star, watch)
    if critical is None:
        return window_by_program(law, tau)
    star, zero = critical
    if not tau <= star.value:
        return None
    if star.route == "closed form":
        return Window(0.0, 2 * sqrt(max(0.0, 1 - tau / star.value)), star.route)
    least = 0.0 if tau <= zero.value else None
    if is_small:
        return window_by_program(law, tau, None, least)
    ends = []
    for weight in (_FAINT, -_FAINT):
        found = solve_encoders(EncoderProblem(law, tau, penalties=(GapPenalty(weight),)), 1e-3 * _FAINT, watch=watch)
        ends.append((found.centroid_gap, np.concatenate([found.first, found.second])))
    low = least if least is not None else ends[0][0]
    width = max(rows.shape[1] for _, rows in ends)
    padded = [np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for _, rows in ends]
    return Window(low, ends[1][0], "descents", (padded[0], padded[1]))


def window_by_program(law: JointLaw, tau: float, c: float | None = None, least: float | None = None) -> Window | None:
    """The window by a semidefinite program, None if no encoders have similarities tau (PMI + c).

    c: fixed, as a sigmoid loss with a fixed bias has it (-log negatives - bias), or any. least: the lower end where it is known.
    """
    n, m = law.table.shape
    size = n + m
    i, j = free_entries(n, m)
    count = len(i)
    v = gap_vector(law)
    constant = np.eye(size)
    constant[:n, n:] = tau * (law.pmi + (c or 0.0))
    constant[n:, :n] = constant[:n, n:].T
    cost = 2 * v[i] * v[j]
    places, variables = (i, j), np.arange(count)
    if c is None:
        cross_i, cross_j = (one.ravel() for one in np.meshgrid(np.arange(n), np.arange(n, size), indexing="ij"))
        cost = np.append(cost, 2 * float(v[:n].sum() * v[n:].sum()))
        places = np.concatenate([i, cross_i]), np.concatenate([j, cross_j])
        variables = np.concatenate([variables, np.full(len(cross_i), count)])
    ends = []
    for sign in (1.0, -1.0):
        program = Program(sign * cost)
        program.semidefinite(constant, places, variables, np.ones(len(variables)))
        found = program.solve()
        if found is None:
            return None
        gram = constant.copy()
        np.add.at(gram, places, found.variables[variables])
        ends.append(_factor(np.triu(gram) + np.triu(gram, 1).T))
    gaps = [float(np.linalg.norm(v @ rows)) for rows in ends]
    return Window(gaps[0] if least is None else least, gaps[1], "program", (ends[0], ends[1]))


def _factor(gram: Array) -> Array:
    """Unit rows whose inner products across the modalities are the matrix's, but for one factor that is 1 to rounding.

    What the program leaves below 0 is added to the diagonal, where it lengthens all rows alike.
    """
    values, vectors = np.linalg.eigh(gram)
    shift = max(0.0, -float(values[0]))
    rows = vectors * np.sqrt(np.maximum(values + shift, 0.0))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
