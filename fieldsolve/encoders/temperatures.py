"""Critical temperatures of a law: up to which InfoNCE can reach minus the mutual information, and up to which without a gap."""

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from fieldsolve.encoders.certificate import certify
from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.encoders.penalties import GapPenalty, gap_vector
from fieldsolve.encoders.problem import LEAST_TAU, EncoderProblem
from fieldsolve.encoders.programs import Program
from fieldsolve.encoders.solve import EncoderSolution, solve_encoders
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.progress import Watch

#: Symbols of both alphabets up to which the semidefinite program is solved.
MOST_IN_PROGRAM = 64

_RELATIVE = 1e-4  # width of a bracket by descents, relative
_MOST_SOLVES = 30
_TOL = 1e-11  # nats: the excess grows with the square of the distance from the temperature sought
_STIFF = 1.0  # weight of the squared gap where encoders are to have none


@dataclass(frozen=True)
class Critical:
    """A critical temperature: `value`, certainly from `low` to `high`, and how it was found: closed form, program or descents."""

    value: float
    low: float
    high: float
    route: str


def tau_star(law: JointLaw, watch: Watch | None = None) -> Critical:
    """The temperature up to which symmetric InfoNCE attains -I: 1/tau* = min {t: X psd, diag X = t, C = PMI + c} (beyond).

    0 where a pair of symbols never occurs. Closed form 1/sum_{l != 0} |PMI^_l| where a group acts (`JointLaw.spectrum`); else the
    semidefinite program up to 64 symbols; beyond a bracket by certified descents.
    """
    closed = _closed(law)
    if closed is not None:
        return closed
    if sum(law.table.shape) <= MOST_IN_PROGRAM:
        return _by_program(law, False)
    return _by_descents(law, (), 1.0, watch)


def tau_zero(law: JointLaw, star: Critical, watch: Watch | None = None) -> Critical:
    """The temperature up to which a centroid gap of 0 attains -I: as tau*, with X v = 0, v = (p, -q) (beyond).

    0 if that is not feasible, certainly so where a marginal exceeds 1/2. Beyond 64 symbols without a group only `high` is proved;
    the value is where descents find states that miss both by 1e-10.
    """
    closed = _closed(law)
    if closed is not None:
        return closed
    if max(law.first.max(), law.second.max()) > 0.5:
        return Critical(0.0, 0.0, 0.0, "a marginal exceeds 1/2")
    if sum(law.table.shape) <= MOST_IN_PROGRAM:
        return _by_program(law, True)
    return _by_descents(law, (GapPenalty(_STIFF),), star.high, watch)


def _closed(law: JointLaw) -> Critical | None:
    if not law.is_positive:
        return Critical(0.0, 0.0, 0.0, "some pairs of symbols never occur")
    if law.spectrum is None:
        return None
    total = float(law.spectrum[1:].sum())
    value = 1 / total if total > 1e-12 else inf
    return Critical(value, value, value, "closed form")


def free_entries(n: int, m: int) -> tuple[Indices, Indices]:
    """Places (i, j), i < j, of the entries of A and B above the diagonal in a Gram matrix of n + m symbols."""
    i, j = np.triu_indices(n + m, 1)
    is_own = (i < n) == (j < n)
    return i[is_own], j[is_own]


def _by_program(law: JointLaw, is_matched: bool) -> Critical:
    """Variables are A and B above the diagonal, c, and t = 1/tau."""
    n, m = law.table.shape
    size = n + m
    i, j = free_entries(n, m)
    count = len(i)
    c, t = count, count + 1
    program = Program(np.concatenate([np.zeros(count + 1), [1.0]]))
    cross_i, cross_j = (one.ravel() for one in np.meshgrid(np.arange(n), np.arange(n, size), indexing="ij"))
    constant = np.zeros((size, size))
    constant[:n, n:] = law.pmi
    constant[n:, :n] = law.pmi.T
    rows = np.concatenate([i, cross_i, np.arange(size)])
    columns = np.concatenate([j, cross_j, np.arange(size)])
    variables = np.concatenate([np.arange(count), np.full(len(cross_i), c), np.full(size, t)])
    if is_matched:
        # X v = 0, row by row; then X is semidefinite iff it is without its last row and column.
        v = gap_vector(law)
        both_rows, both_columns = np.concatenate([i, j]), np.concatenate([j, i])
        row = np.concatenate([both_rows, cross_i, cross_j, np.arange(size)])
        which = np.concatenate([np.arange(count), np.arange(count), np.full(2 * len(cross_i), c), np.full(size, t)])
        values = np.concatenate([v[both_columns], v[cross_j], v[cross_i], v])
        program.equal(row, which, values, -constant @ v)
        kept = columns < size - 1
        rows, columns, variables, constant = rows[kept], columns[kept], variables[kept], constant[:-1, :-1]
    program.semidefinite(constant, (rows, columns), variables, np.ones(len(rows)))
    found = program.solve()
    if found is None:
        return Critical(0.0, 0.0, 0.0, "program")
    low, high = sorted((1 / found.cost, 1 / found.dual))
    return Critical(1 / found.cost, low, high, "program")


def _by_descents(law: JointLaw, penalties: tuple[GapPenalty, ...], begin: float, watch: Watch | None) -> Critical:
    """A bracket: certificates at tau above it prove ever lower ends, until states below reach -I.

    S + delta D psd, with S from the optimum at some tau > tau*, gives for every feasible X with 1/tau' on its diagonal
    0 <= <S + delta D, X> = <G, PMI> + (sum lambda + delta tr D)/tau', since <G, 1> = 0.
    """
    high, low, tau, start = begin, 0.0, begin, None
    for _ in range(_MOST_SOLVES):
        found = solve_encoders(EncoderProblem(law, tau, penalties=penalties), _TOL, watch=watch, start=start)
        if penalties and found.excess <= 10 * _TOL and found.centroid_gap**2 <= 10 * _TOL:
            return Critical(tau, 0.0, high, "descents")
        reached = 0.0 if penalties else _reached(found)
        low = max(low, reached)
        high = min(high, float(_proved(found)))
        if high <= low * (1 + _RELATIVE) or high < LEAST_TAU:
            break
        tau = high * (1 - 0.1 * _RELATIVE) if found.excess > 1e-9 else 0.5 * (low + high)
        start = np.concatenate([found.first, found.second])
    return Critical(high, low, high, "descents")


def _proved(found: EncoderSolution) -> float:
    """A temperature that tau* does not exceed."""
    objective = Objective(found.problem)
    point = Point(np.concatenate([found.first, found.second]), 1 / found.tau)
    certificate = certify(objective, point, found.value, point.sharpness, 0.0, 0.0)
    slopes = objective.slopes(point)[1][0].cross
    assert slopes is not None
    delta = (found.value - certificate.bound) * found.tau / 2
    gain = -float(np.vdot(slopes, found.problem.law.pmi))
    return (float(certificate.multipliers.sum()) + 2 * delta) / gain if gain > 0 else inf


def _reached(found: EncoderSolution) -> float:
    """A temperature that tau* is not below: what is missing of PMI is factored by itself, in longer vectors.

    Every matrix E is a product of vectors of lengths at most sqrt(r), r its largest row's norm, so that lengths of 1/tau + r
    suffice.
    """
    law, similarity = found.problem.law, found.similarity / found.tau
    missing = law.pmi - similarity
    missing -= 0.5 * (missing.max() + missing.min())
    longest = min(float(np.linalg.norm(missing, axis=axis).max()) for axis in (0, 1))
    return 1 / (1 / found.tau + longest) if isfinite(longest) else 0.0


def similarity_at(law: JointLaw, tau: float, c: float) -> Array:
    """tau (PMI + c): the similarities of every optimum below tau*, (n, m)."""
    return np.asarray(tau * (law.pmi + c))
