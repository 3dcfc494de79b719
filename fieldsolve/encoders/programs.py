"""Small semidefinite programs, by clarabel: a linear cost, linear constraints, and matrices that are semidefinite."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError

#: Of the optimum, tried one after the other: a program's own conditioning says which of them can be reached.
_PRECISIONS = (1e-11, 1e-9, 1e-8, 1e-7)
_ROOT = np.sqrt(2.0)

#: Answers of clarabel that can be used; the others say that there is none, or that it gave up.
_SOLVED = ("Solved", "AlmostSolved")
_INFEASIBLE = ("PrimalInfeasible", "AlmostPrimalInfeasible")


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best variables (k,), with the costs of the program and of its dual: the optimum lies between them."""

    variables: Array
    cost: float
    dual: float


@dataclass
class Program:
    """min cost.x over x in R^k, with constraints added one by one. They are triplets: row, variable, coefficient."""

    cost: Array
    _rows: list[Indices] = field(default_factory=list)
    _variables: list[Indices] = field(default_factory=list)
    _coefficients: list[Array] = field(default_factory=list)
    _right: list[Array] = field(default_factory=list)
    _cones: list[tuple[str, int]] = field(default_factory=list)

    def equal(self, rows: Indices, variables: Indices, coefficients: Array, right: Array) -> None:
        """sum of coefficients * x = right, (rows,)."""
        self._add("zero", len(right), rows, variables, coefficients, right)

    def at_most(self, rows: Indices, variables: Indices, coefficients: Array, right: Array) -> None:
        """sum of coefficients * x <= right, (rows,)."""
        self._add("nonnegative", len(right), rows, variables, coefficients, right)

    def semidefinite(self, constant: Array, places: Sequence[Indices], variables: Indices, coefficients: Array) -> None:
        """constant + sum x_k F_k is semidefinite, (s, s); F_k has its coefficient at the places (i, j) and (j, i), i <= j."""
        size = len(constant)
        first, second = places
        scale = np.where(first == second, 1.0, _ROOT)
        i, j = _triangle(size)
        right = constant[i, j] * np.where(i == j, 1.0, _ROOT)
        rows = second * (second + 1) // 2 + first
        self._add("semidefinite", size, rows, variables, -coefficients * scale, right)

    def solve(self, *precisions: float) -> Optimum | None:
        """The optimum, None if nothing fulfils the constraints; precisions: of it, tried one after the other.

        Raises InputError if neither is found as precisely.
        """
        import clarabel
        from scipy import sparse

        makers: dict[str, Any] = {
            "zero": clarabel.ZeroConeT, "nonnegative": clarabel.NonnegativeConeT, "semidefinite": clarabel.PSDTriangleConeT
        }  # fmt: skip
        count = len(self.cost)
        entries = np.concatenate(self._coefficients), (np.concatenate(self._rows), np.concatenate(self._variables))
        right = np.concatenate(self._right)
        matrix = sparse.csc_matrix(entries, shape=(len(right), count))
        cones = [makers[kind](size) for kind, size in self._cones]
        for precision in precisions or _PRECISIONS:
            settings = clarabel.DefaultSettings()
            settings.verbose, settings.max_threads, settings.chordal_decomposition_enable = False, 1, False
            settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = precision
            settings.reduced_tol_gap_abs = settings.reduced_tol_gap_rel = settings.reduced_tol_feas = precision
            solver = clarabel.DefaultSolver(sparse.csc_matrix((count, count)), self.cost, matrix, right, cones, settings)
            try:
                found = solver.solve()
            except BaseException as error:
                # The solver's own panics are no Exception: they would pass every handler.
                if type(error).__name__ != "PanicException":
                    raise
                raise InputError(f"the semidefinite program was not solved: its solver failed ({error})") from None
            status = str(found.status)
            if status in _SOLVED:
                return Optimum(np.array(found.x), float(found.obj_val), float(found.obj_val_dual))
            if status in _INFEASIBLE:
                return None
        raise InputError(
            f"the semidefinite program was not solved ({status}): its numbers differ by too many orders of magnitude"
        )

    def _add(self, kind: str, size: int, rows: Indices, variables: Indices, coefficients: Array, right: Array) -> None:
        begin = sum(len(one) for one in self._right)
        self._rows.append(np.asarray(rows, dtype=np.int64) + begin)
        self._variables.append(np.asarray(variables, dtype=np.int64))
        self._coefficients.append(np.asarray(coefficients, dtype=np.float64))
        self._right.append(np.asarray(right, dtype=np.float64))
        self._cones.append((kind, size))


def _triangle(size: int) -> tuple[Indices, Indices]:
    """Rows and columns of an upper triangle, column by column."""
    j, i = np.tril_indices(size)
    return i, j
