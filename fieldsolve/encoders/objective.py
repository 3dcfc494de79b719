"""A problem's objective on encoders: its value, and the matrix M of its derivatives with respect to the logits."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.encoders.losses import Logits, Slopes
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Point:
    """Encoders of a problem's symbols, z over w, unit rows (n + m, r), or z alone of one encoder; 1/tau; the bias."""

    rows: Array
    sharpness: float
    bias: float = 0.0


class Objective:
    """loss(Y) + penalties at Y = X/tau, X the Gram matrix of the encoders: a convex function of (Y, 1/tau, bias)."""

    def __init__(self, problem: EncoderProblem) -> None:
        self.problem = problem
        self.split = problem.law.table.shape[0]
        both = (problem.law.first,) if problem.loss.is_single else (problem.law.first, problem.law.second)
        #: D of the certificate: p, and q below it.
        self.weights = np.concatenate(both)

    def slopes(self, point: Point) -> tuple[float, list[Slopes], Array]:
        """The value, its parts' derivatives by blocks of logits, and M U, (n + m, r); quadratic forms are in M U only.

        The value's derivatives are 2 M U/tau with respect to the encoders, and sum (M U) * U with respect to 1/tau.
        """
        problem, rows = self.problem, point.rows
        first, second = rows[: self.split], rows if problem.loss.is_single else rows[self.split :]
        scaled = first * point.sharpness, second * point.sharpness
        logits = Logits(
            lambda: rows[: self.split] @ scaled[-1].T,
            lambda: first @ scaled[0].T,
            lambda: second @ scaled[1].T,
            point.sharpness * (1 + 1e-12),
            point.bias,
        )
        parts = [problem.loss.evaluate(problem.law, logits)]
        parts += [one.evaluate(problem.law, logits) for one in problem.uniformities]
        value, product = sum(part.value for part in parts), np.zeros_like(rows)
        for part in parts:
            self._multiply(part, first, second, product)
        for form in problem.forms:
            of_form = form.times(problem.law, rows)
            value += float(np.vdot(rows, of_form))
            product += of_form / point.sharpness
        return value, parts, product

    def matrix(self, point: Point) -> Array:
        """M, symmetric: the derivatives of the objective with respect to the entries of Y."""
        _, parts, _ = self.slopes(point)
        size, n = len(self.weights), self.split
        result = np.zeros((size, size))
        for part in parts:
            if part.cross is not None and self.problem.loss.is_single:
                result += 0.5 * (part.cross + part.cross.T)
            elif part.cross is not None:
                result[:n, n:] += 0.5 * part.cross
                result[n:, :n] += 0.5 * part.cross.T
            for own, block in ((part.first, slice(0, n)), (part.second, slice(n, None))):
                if own is not None:
                    result[block, block] += 0.5 * (own + own.T)
        for form in self.problem.forms:
            result += form.matrix(self.problem.law) / point.sharpness
        return result

    def _multiply(self, part: Slopes, first: Array, second: Array, product: Array) -> None:
        """Add a part's share of M U."""
        if part.cross is not None and self.problem.loss.is_single:
            product += 0.5 * (part.cross @ first + part.cross.T @ first)
        elif part.cross is not None:
            product[: self.split] += 0.5 * (part.cross @ second)
            product[self.split :] += 0.5 * (part.cross.T @ first)
        for own, rows, block in ((part.first, first, slice(0, self.split)), (part.second, second, slice(self.split, None))):
            if own is not None:
                product[block] += 0.5 * (own @ rows + own.T @ rows)
