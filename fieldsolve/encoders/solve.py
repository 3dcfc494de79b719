"""Minimise a contrastive objective over all encoders: descent on spheres, in ever more dimensions until the bound closes."""

from dataclasses import dataclass
from functools import cached_property
from math import cos, inf, sin

import numpy as np

from fieldsolve.encoders.certificate import Certificate, certify
from fieldsolve.encoders.losses import Sigmoid
from fieldsolve.encoders.objective import Objective, Point
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.spheres import Descended, Evaluated, descend
from fieldsolve.equilibrium.descent import Status
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch

_FIRST_NORM, _FINER, _FINER_WIDER = (
    1e-3,
    1e-2,
    0.3,
)  # of the gradient in the first round, and how much smaller in the next ones, with as many dimensions or more
_LEAST_NORM = 1e-14
_MOST_ROUNDS = 40
_STARTS = 16  # in a limited dimension, where there may be bad minima
_LARGE = 200  # symbols from which encoders begin with few dimensions
_SHARE = 1e-6  # of the squared length: directions with less are not counted
_ANGLE = 0.3  # 1/tau begins at cos^2 of it times the largest


@dataclass(frozen=True, eq=False)
class EncoderSolution:
    """The best encoders found for a problem, and what no encoders can go below.

    first, second: unit rows z (n, d) and w (m, d), the same for one encoder; tau, bias: as given, or learned; value: of the
    objective with its penalties, nats; bound: certified, of encoders of any dimension; steps: of all descents; ends: the values
    where the descents in a limited dimension ended, rising.
    """

    problem: EncoderProblem
    first: Array
    second: Array
    tau: float
    bias: float
    value: float
    bound: float
    status: Status
    steps: int
    ends: tuple[float, ...] = ()

    @property
    def gap(self) -> float:
        """value - bound, nats. In a limited dimension at most this is what the limit costs, the price of the dimension."""
        return self.value - self.bound

    @cached_property
    def loss(self) -> float:
        """The loss without penalties, nats."""
        plain = self.problem.at(penalties=())
        return Objective(plain).slopes(self.point)[0]

    @property
    def excess(self) -> float:
        """loss less its minimum over all logits, whatever their rank: for InfoNCE loss + mutual information, nats."""
        return self.loss - self.problem.loss.least(self.problem.law)

    @cached_property
    def dimension(self) -> int:
        """The limit, where there is one; else how many directions hold more than a millionth of the encoders' squared length."""
        if self.problem.dimension is not None:
            return self.problem.dimension
        law = self.problem.law
        weighted = np.concatenate([self.first * np.sqrt(law.first)[:, None], self.second * np.sqrt(law.second)[:, None]])
        squares = np.linalg.eigvalsh(weighted.T @ weighted)
        return int(np.sum(squares > _SHARE * squares.sum()))

    @property
    def similarity(self) -> Array:
        """z_i.w_j, (n, m)."""
        return np.asarray(self.first @ self.second.T)

    @property
    def centroid_gap(self) -> float:
        """|sum_i p_i z_i - sum_j q_j w_j|."""
        law = self.problem.law
        return float(np.linalg.norm(law.first @ self.first - law.second @ self.second))

    @property
    def centroid(self) -> float:
        """The length |sum_i p_i z_i| of the first modality's centroid."""
        return float(np.linalg.norm(self.problem.law.first @ self.first))

    @property
    def point(self) -> Point:
        """The encoders as the objective takes them."""
        rows = self.first if self.problem.loss.is_single else np.concatenate([self.first, self.second])
        return Point(rows, 1 / self.tau, self.bias)


def solve_encoders(
    problem: EncoderProblem, tol: float = 1e-8, max_steps: int = 20_000, watch: Watch | None = None, start: Array | None = None
) -> EncoderSolution:
    """The encoders with the least objective, and a bound that certifies them.

    Burer-Monteiro: the Gram matrix X = U U^T is descended on through its factor, unit rows of so many dimensions, and further
    ones are opened along the negative eigenvectors of the certificate's S until value - bound <= tol, nats. With a limited
    dimension the best of several descents is returned, with the bound of encoders of any dimension. start: rows (n + m, r) of an
    earlier solution. Deterministic. Raises InputError for a tolerance that is not above 0, and for a start of other symbols.
    """
    if not tol > 0:
        raise InputError(f"the tolerance is a number of nats above 0, not {tol:g}")
    if start is not None and len(start) != len(Objective(problem).weights):
        raise InputError(f"a start has a row for each symbol of both modalities, not {len(start)}")
    solver = _Solver(problem.at(dimension=None), tol, max_steps, watch)
    free = solver.solve(start)
    if problem.dimension is None:
        return free
    if problem.dimension >= free.dimension:
        # A little may be lost with directions that hold next to nothing.
        rows = _leading(free.point.rows, solver.objective.weights, problem.dimension)
        found = solver.polished(problem, rows, free)
        if found.gap <= 10 * tol:
            return found
    return solver.solve_within(problem, free)


class _Solver:
    """One problem's descents. The free variables are an angle, 1/tau = cos^2(angle)/tau_least, and the bias, where learned."""

    def __init__(self, problem: EncoderProblem, tol: float, max_steps: int, watch: Watch | None) -> None:
        self.problem, self.tol, self.max_steps, self.watch = problem, tol, max_steps, watch
        self.objective, self.least, self.steps = Objective(problem), problem.least, 0
        self.sharpest = 1 / problem.tau
        loss = problem.loss
        fixed = loss.fixed_bias if isinstance(loss, Sigmoid) else None
        self.fixed_bias = 0.0 if fixed is None else fixed
        self.free = np.array([_ANGLE] * problem.learn_tau + [loss.bias_centre] * loss.has_bias)

    def solve(self, start: Array | None) -> EncoderSolution:
        """In any dimension, to a certificate."""
        size = len(self.objective.weights)
        rank = size if size <= _LARGE else int(np.sqrt(2 * size)) + 1
        rows, free = (_start(self.objective, rank) if start is None else start), self.free
        norm, bound, status = _FIRST_NORM, -inf, Status.STEPS
        for number in range(_MOST_ROUNDS):
            found = self._descend(rows, free, norm, 0.5 * self.tol)
            rows, free = found.rows, found.free
            if not found.is_finite:
                status = Status.NOT_FINITE
                break
            certificate = self._certify(found)
            bound = max(bound, certificate.bound, self.least)
            if self.watch is not None:
                self.watch(Progress(number + 1, None, f"rounds, {found.value - bound:.1e} nats above the bound"))
            if found.value - bound <= self.tol:
                status = Status.CERTIFIED
                break
            if self.steps >= self.max_steps:
                break
            wider = self._wider(found, certificate)
            if wider is None and norm <= _LEAST_NORM:
                status = Status.STALLED
                break
            norm = max(norm * (_FINER if wider is None else _FINER_WIDER), _LEAST_NORM)
            rows = rows if wider is None else wider
        return self._solution(self.problem, found, bound, status, ())

    def polished(self, problem: EncoderProblem, rows: Array, free: EncoderSolution) -> EncoderSolution:
        """From an optimum in any dimension, cut to the limited one."""
        self.steps = free.steps
        found = self._descend(rows, self._free_of(free), self.tol, 0.0)
        status = Status.CERTIFIED if found.value - free.bound <= self.tol else Status.CONVERGED
        return self._solution(problem, found, free.bound, status, (found.value,))

    def _free_of(self, solution: EncoderSolution) -> Array:
        """The free variables of a solution."""
        angle = np.arccos(np.sqrt(min(1 / (solution.tau * self.sharpest), 1.0)))
        return np.array([angle] * self.problem.learn_tau + [solution.bias] * self.problem.loss.has_bias)

    def solve_within(self, problem: EncoderProblem, free: EncoderSolution) -> EncoderSolution:
        """In a limited dimension: from the leading directions of the optimum, from the law's, and from seeded random ones."""
        assert problem.dimension is not None
        width = problem.dimension
        starts = [_leading(free.point.rows, self.objective.weights, width), _start(self.objective, width)]
        shape = len(self.objective.weights), width
        starts += [_unit(np.random.default_rng(seed).standard_normal(shape)) for seed in range(_STARTS - len(starts))]
        self.steps = free.steps
        ends = [self._descend(starts[0], self.free, self.tol, 0.0)]
        ends += [self._descend(rows, self.free, self.tol, 0.0) for rows in starts[1:] if self.steps < self.max_steps]
        best = min(ends, key=lambda one: one.value if one.is_finite else inf)
        is_flat = best.norm <= max(self.tol, 1e-7)
        status = Status.CONVERGED if is_flat else Status.STEPS if self.steps >= self.max_steps else Status.STALLED
        return self._solution(problem, best, free.bound, status, tuple(sorted(one.value for one in ends)))

    def _descend(self, rows: Array, free: Array, norm: float, near: float) -> Descended:
        found = descend(
            self._evaluate, rows, free, self.objective.weights,
            lambda value, reached: reached <= norm or value - self.least <= near,
            self.max_steps - self.steps, self.watch,
        )  # fmt: skip
        self.steps += found.steps
        return found

    def _evaluate(self, rows: Array, free: Array) -> Evaluated:
        point = self._point(rows, free)
        value, parts, product = self.objective.slopes(point)
        slopes = np.zeros_like(free)
        if self.problem.learn_tau:
            slopes[0] = float(np.vdot(product, rows)) * self.sharpest * -2 * cos(free[0]) * sin(free[0])
        if self.problem.loss.has_bias:
            slopes[-1] = sum(part.bias for part in parts)
        return Evaluated(value, 2 * point.sharpness * product, slopes)

    def _point(self, rows: Array, free: Array) -> Point:
        sharpness = self.sharpest * cos(free[0]) ** 2 if self.problem.learn_tau else self.sharpest
        return Point(rows, sharpness, float(free[-1]) if self.problem.loss.has_bias else self.fixed_bias)

    def _certify(self, found: Descended) -> Certificate:
        point = self._point(found.rows, found.free)
        slope, room = 0.0, 0.0
        if self.problem.loss.has_bias:
            slope, room = (
                float(self._evaluate(found.rows, found.free).free[-1]),
                self.sharpest + abs(point.bias - self.problem.loss.bias_centre),
            )
        return certify(self.objective, point, found.value, self.sharpest, slope, room)

    def _wider(self, found: Descended, certificate: Certificate) -> Array | None:
        """The encoders in further dimensions, where that lowers the objective by more than rounding; None where it does not."""
        count = min(certificate.directions.shape[1], len(found.rows) - found.rows.shape[1])
        if count <= 0:
            return None
        more = certificate.directions[:, :count]
        more = more / np.abs(more).max()
        for size in (0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4):
            rows = _unit(np.hstack([found.rows, size * more]))
            if self._evaluate(rows, found.free).value < found.value - 1e-14 * abs(found.value):
                return rows
        return None

    def _solution(
        self, problem: EncoderProblem, found: Descended, bound: float, status: Status, ends: tuple[float, ...]
    ) -> EncoderSolution:
        point, split = self._point(found.rows, found.free), self.objective.split
        second = point.rows if problem.loss.is_single else point.rows[split:]
        tau = 1 / point.sharpness if problem.learn_tau else problem.tau
        return EncoderSolution(problem, point.rows[:split], second, tau, point.bias, found.value, bound, status, self.steps, ends)


def _start(objective: Objective, rank: int) -> Array:
    """The leading directions of correspondence analysis, of P - p q^T relative to its marginals, with a little seeded noise."""
    law = objective.problem.law
    scale = 1 / np.sqrt(law.first), 1 / np.sqrt(law.second)
    rng = np.random.default_rng(0)
    relative = law.table * scale[0][:, None] * scale[1]
    relative -= np.multiply.outer(np.sqrt(law.first), np.sqrt(law.second))
    width = min(rank, *relative.shape)
    basis, _ = np.linalg.qr(relative @ (relative.T @ (relative @ rng.standard_normal((relative.shape[1], width)))))
    left, strengths, right = np.linalg.svd(basis.T @ relative, full_matrices=False)
    left = basis @ left
    rows = np.concatenate([left * scale[0][:, None], right.T * scale[1][:, None]]) * np.sqrt(strengths)
    rows = np.hstack([rows, np.zeros((len(rows), rank - width))])[: len(objective.weights)]
    return _unit(rows + max(0.05 * float(np.abs(rows).max()), 1e-3) * rng.standard_normal(rows.shape) / np.sqrt(rank))


def _leading(rows: Array, weights: Array, width: int) -> Array:
    """Unit rows in the leading directions of others."""
    _, _, directions = np.linalg.svd(rows * np.sqrt(weights)[:, None], full_matrices=False)
    return _unit(rows @ directions[:width].T + 1e-9)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None])
