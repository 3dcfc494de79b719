"""Critical temperatures of a law: up to which InfoNCE can reach minus the mutual information, and up to which without a gap."""

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from fieldsolve.encoders.certificate import certify
from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.objective import Objective
from fieldsolve.encoders.penalties import GapPenalty, gap_vector
from fieldsolve.encoders.problem import LEAST_TAU, EncoderProblem
from fieldsolve.encoders.programs import Program
from fieldsolve.encoders.solve import EncoderSolution, solve_encoders
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.progress import Watch

#: Symbols of both alphabets up to which the semidefinite program is solved.
MOST_IN_PROGRAM = 48

_INDEPENDENT = 1e-13  # nats: the mutual information of modalities that do not know of each other
_RELATIVE = 1e-3  # width of a bracket by descents, relative
_MOST_STEPS = 5000  # of one descent, where a bracket is narrowed
_PROGRESS = 1e-5  # by which an end has to move, relative, and below a proved end at which is gone on
_MOST_IDLE = 3  # descents that move no end
_HIGHEST = 1e6  # where no temperature below has an excess, there is none that matters
_TOL = 1e-11  # nats: the excess grows with the square of the distance from the temperature sought
_STIFF = 1.0  # weight of the squared gap where encoders are to have none


@dataclass(frozen=True)
class Critical:
    """A critical temperature: its value, and the two ends that its route leaves it between.

    route: "closed form"; "program", whose ends are the costs of both programs, as good as the solver, about 1e-8; "descents",
    whose ends are proved for tau*, and of which only `high` is proved for tau_0; or why it is 0.
    """

    value: float
    low: float
    high: float
    route: str


def tau_star(law: JointLaw, watch: Watch | None = None) -> Critical:
    """The temperature up to which symmetric InfoNCE attains -I: 1/tau* = min {t: X psd, diag X = t, C = PMI + c} (beyond).

    0 where a pair of symbols never occurs, infinite where modalities are independent. Closed form 1/sum_{l != 0} |PMI^_l| where a
    group acts (`JointLaw.spectrum`); else the semidefinite program up to 48 symbols; beyond a bracket by certified descents.
    """
    closed = _closed(law)
    if closed is not None:
        return closed
    return _by_program(law, False) if sum(law.table.shape) <= MOST_IN_PROGRAM else _by_descents(law, watch)


def tau_zero(law: JointLaw, star: Critical, watch: Watch | None = None) -> Critical:
    """The temperature up to which a centroid gap of 0 attains -I: as tau*, with X v = 0, v = (p, -q) (beyond).

    0 if that is not feasible, so far always where a marginal exceeds 1/2. Beyond 48 symbols without a group the value is where
    descents find states that miss both by 1e-10.
    """
    closed = _closed(law)
    if closed is not None:
        return closed
    if max(law.first.max(), law.second.max()) > 0.5:
        return Critical(0.0, 0.0, 0.0, "a marginal exceeds 1/2")
    return _by_program(law, True) if sum(law.table.shape) <= MOST_IN_PROGRAM else _matched_by_descents(law, star.high, watch)


def _closed(law: JointLaw) -> Critical | None:
    if not law.is_positive:
        return Critical(0.0, 0.0, 0.0, "some pairs of symbols never occur")
    if law.mutual_information < _INDEPENDENT:
        return Critical(inf, inf, inf, "closed form")
    if law.spectrum is None:
        return None
    value = 1 / float(law.spectrum[1:].sum())
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


def _by_descents(law: JointLaw, watch: Watch | None) -> Critical:
    """A bracket: states prove lower ends, certificates upper ones; between them is gone on from above, while either end moves."""
    low, high, tau, start, idle = 0.0, inf, 1.0, None, 0
    while high > low * (1 + _RELATIVE) and high >= LEAST_TAU and low < _HIGHEST and idle < _MOST_IDLE:
        found = solve_encoders(EncoderProblem(law, tau), _TOL, _MOST_STEPS, watch, start)
        start = np.concatenate([found.first, found.second])
        before = low, high
        low, high = max(low, _reached(found)), min(high, _proved(found))
        idle = idle + 1 if low <= before[0] * (1 + _PROGRESS) and high >= before[1] * (1 - _PROGRESS) else 0
        if not isfinite(high):
            tau *= 4
        elif idle or found.excess <= 10 * _TOL:
            tau = 0.5 * (max(low, LEAST_TAU) + high)
        else:
            tau = max(high * (1 - _PROGRESS), LEAST_TAU)
    return Critical(high if isfinite(high) else low, low, high, "descents")


def _matched_by_descents(law: JointLaw, begin: float, watch: Watch | None) -> Critical:
    """From above, where certificates prove that encoders without a gap miss -I, down to where some do not, or no end moves."""
    high, tau, start, before = begin, min(begin, _HIGHEST), None, inf
    while LEAST_TAU <= high < before * (1 - _PROGRESS) or start is None:
        found = solve_encoders(EncoderProblem(law, tau, penalties=(GapPenalty(_STIFF),)), _TOL, _MOST_STEPS, watch, start)
        if found.excess <= 10 * _TOL and found.centroid_gap**2 <= 10 * _TOL:
            return Critical(tau, 0.0, high, "descents")
        before, high = high, min(high, _proved(found))
        tau, start = max(high * (1 - _PROGRESS), LEAST_TAU), np.concatenate([found.first, found.second])
    return Critical(high, 0.0, high, "descents")


def _proved(found: EncoderSolution) -> float:
    """A temperature that the critical one does not exceed.

    S + delta D psd, with S from any state at any tau, gives for every feasible X with 1/tau' on its diagonal
    0 <= <S + delta D, X> = <G, PMI> + (sum lambda + delta tr D)/tau', since <G, 1> = 0, and gamma v v^T in S costs nothing where
    X v = 0.
    """
    objective = Objective(found.problem)
    certificate = certify(objective, found.point, found.value, found.point.sharpness, 0.0, 0.0)
    slopes = objective.slopes(found.point)[1][0].cross
    assert slopes is not None
    delta = float(found.value - certificate.bound) * found.tau / 2
    gain = -float(np.vdot(slopes, found.problem.law.pmi))
    rounding = 1e-14 * float(np.vdot(np.abs(slopes), np.abs(found.problem.law.pmi)))
    return (float(certificate.multipliers.sum()) + 2 * delta) / (gain - rounding) if gain > rounding else inf


def _reached(found: EncoderSolution) -> float:
    """A temperature that tau* is not below: what is missing of PMI is factored by itself, in longer vectors.

    Every matrix E is a product of vectors of lengths at most sqrt(r), r its largest row's norm, so that lengths of 1/tau + r
    suffice.
    """
    missing: Array = found.problem.law.pmi - found.similarity / found.tau
    missing -= 0.5 * (missing.max() + missing.min())
    longest = min(float(np.linalg.norm(missing, axis=axis).max()) for axis in (0, 1))
    return float(1 / (1 / found.tau + longest))
