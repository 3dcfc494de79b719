"""The program behind a map of the gap: how far two modalities can be moved in k directions with no row getting longer than 1.

Variables are Q and R of [[Q, T], [T^T, R]] psd, T = diag(1, ..., 1, c), c, and alpha. A row z, with z~ = (B^T z, 1) and the rest
z_perp, has the squared length z~^T Q z~ + alpha |z_perp|^2, its counterpart w~^T R w~ + |w_perp|^2/alpha. The squared gap of
centroids in the span of B is m~_1^T Q m~_1 + m~_2^T R m~_2 - 2 m~_1^T T m~_2 (beyond the paper).
"""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from fieldsolve.encoders.programs import Program
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

#: By which a length may exceed 1.
OVER = 1e-9

#: How precisely the program is solved, tried one after the other, and by which squared lengths stay below 1, so that what is
#: missing does not take them beyond.
_PRECISIONS = ((1e-11, 1e-8), (1e-9, 1e-8), (1e-8, 1e-7), (1e-7, 1e-6))
_LOOSE = 1e-6  # by which they may exceed 1 where a set of rows is tested for being rigid
_RIGID = 0.01  # the gap's room, with loose lengths, below which rows count as rigid
#: How many rows the program begins with, and gets each time: with many whose lengths are nearly 1 the solver loses its way.
_FIRST_ROWS, _MORE_ROWS, _MOST_ROUNDS = 100, 50, 200


@dataclass(frozen=True, eq=False)
class GapState:
    """A point of the program, in the frames' coordinates: Q and R, c, alpha, and the centroid gap there."""

    own: tuple[Array, Array]
    constant: float
    stretch: float
    gap: float


class GapProgram:
    """The program of given rows. features: of each modality (z~, |z_perp|^2), (n, k + 2); centroids: m~, (k + 1,).

    It is solved in coordinates of its own for each modality, z~ = A z^, in which rows are centred: without that the solver loses
    its way for many sets of rows.
    """

    def __init__(self, features: tuple[Array, Array], centroids: tuple[Array, Array]) -> None:
        self.frames = _frame(features[0][:, :-1]), _frame(features[1][:, :-1])
        self._rows = [
            np.column_stack([np.linalg.solve(frame, one[:, :-1].T).T, one[:, -1]])
            for frame, one in zip(self.frames, features, strict=True)
        ]
        self._centroids = [np.linalg.solve(frame, one) for frame, one in zip(self.frames, centroids, strict=True)]

    def ends(self) -> tuple[GapState, GapState]:
        """The states with the least and the largest gap; both the rows as they are where these leave no room to the lengths.

        Raises InputError if the program is not solved.
        """
        return self._end(1.0), self._end(-1.0)

    @cached_property
    def unmoved(self) -> GapState:
        """The rows as they are: Q = R = T = diag(1, ..., 1, 0), alpha = 1."""
        plain = np.diag(np.append(np.ones(len(self.frames[0]) - 1), 0.0))
        return self._state([frame.T @ plain @ frame for frame in self.frames], 0.0, 1.0)

    def between(self, low: GapState, high: GapState, gap: float) -> GapState:
        """The state with a gap on the segment between two: everything is convex in it, and the squared gap linear."""
        room = high.gap**2 - low.gap**2
        share = 0.0 if room <= 0 else min(max((gap**2 - low.gap**2) / room, 0.0), 1.0)
        own = [(1 - share) * one + share * other for one, other in zip(low.own, high.own, strict=True)]
        constant = (1 - share) * low.constant + share * high.constant
        return GapState((own[0], own[1]), constant, (1 - share) * low.stretch + share * high.stretch, gap)

    def factors(self, state: GapState) -> tuple[Array, Array]:
        """F_1 and F_2, (k + 1, 2 k + 2), of the original coordinates, with F F^T = [[Q, T], [T^T, R]]."""
        values, vectors = np.linalg.eigh(self._whole(state.own, state.constant))
        factor = vectors * np.sqrt(np.maximum(values, 0.0))
        size = len(self.frames[0])
        return np.linalg.solve(self.frames[0].T, factor[:size]), np.linalg.solve(self.frames[1].T, factor[size:])

    def _across(self, constant: float) -> Array:
        """T in the frames' coordinates."""
        diagonal = np.append(np.ones(len(self.frames[0]) - 1), constant)
        return np.asarray(self.frames[0].T @ (diagonal[:, None] * self.frames[1]))

    def _whole(self, own: tuple[Array, Array] | list[Array], constant: float) -> Array:
        across = self._across(constant)
        return np.block([[own[0], across], [across.T, own[1]]])

    def _state(self, own: list[Array], constant: float, stretch: float) -> GapState:
        """A point with its gap, whose matrix is made semidefinite by what rounding lacks."""
        shift = max(0.0, -2 * float(np.linalg.eigvalsh(self._whole(own, constant))[0]))
        own = [one + shift * np.eye(len(one)) for one in own]
        one, other = self._centroids
        square = float(one @ own[0] @ one + other @ own[1] @ other - 2 * one @ self._across(constant) @ other)
        return GapState((own[0], own[1]), constant, stretch, sqrt(max(square, 0.0)))

    def _end(self, sign: float) -> GapState:
        for precision, slack in _PRECISIONS:
            found = self._extreme(sign, -slack, precision)
            if found is not None:
                return found
        loose = self._extreme(sign, _LOOSE, _LOOSE)
        if loose is not None and abs(loose.gap - self.unmoved.gap) < _RIGID:
            return self.unmoved
        raise InputError(
            "the lengths of the rows leave the map too little room for its program to be solved; map more directions, or leave "
            "out rows far from the others"
        )

    def _extreme(self, sign: float, over: float, precision: float) -> GapState | None:
        """The least (sign 1) or largest gap, None if the program is not solved.

        It begins with some rows' lengths, and gets the longest others until no squared length exceeds 1 + over, nearly.
        """
        chosen = [np.unique(np.linspace(0, len(one) - 1, min(len(one), _FIRST_ROWS)).astype(np.int64)) for one in self._rows]
        allowed = 1 + max(2 * over, OVER)
        for _ in range(_MOST_ROUNDS):
            state = self._solve([one[rows] for one, rows in zip(self._rows, chosen, strict=True)], sign, over, precision)
            if state is None:
                return None
            squares = [self._squares(state, modality) for modality in (0, 1)]
            longest = [np.argsort(one)[::-1][:_MORE_ROWS] for one in squares]
            more = [rows[one[rows] > allowed] for one, rows in zip(squares, longest, strict=True)]
            if not any(map(len, more)):
                return state
            chosen = [np.union1d(old, new) for old, new in zip(chosen, more, strict=True)]
        return None

    def _squares(self, state: GapState, modality: int) -> Array:
        """Squared lengths of moved rows, (n,)."""
        rows, stretch = self._rows[modality], state.stretch if modality == 0 else 1 / state.stretch
        inside = rows[:, :-1]
        return np.asarray(np.einsum("ij,jk,ik->i", inside, state.own[modality], inside, optimize=True) + stretch * rows[:, -1])

    def _solve(self, rows: list[Array], sign: float, over: float, precision: float) -> GapState | None:
        """Variables are Q and R on and above their diagonals, c, alpha, and a bound beta of 1/alpha."""
        size = len(self.frames[0])
        i, j = np.triu_indices(size)
        count = len(i)
        c, alpha, beta = 2 * count, 2 * count + 1, 2 * count + 2
        twice = np.where(i == j, 1.0, 2.0)
        by_constant = np.multiply.outer(self.frames[0][-1], self.frames[1][-1])  # what T gains with c
        of_constant = float(self._centroids[0] @ by_constant @ self._centroids[1])
        cost = np.concatenate([twice * one[i] * one[j] for one in self._centroids] + [[-2 * of_constant, 0.0, 0.0]])
        program = Program(sign * cost)
        for modality, some in enumerate(rows):
            squares = np.column_stack([twice * some[:, i] * some[:, j], some[:, -1]])
            which = np.append(np.arange(count) + modality * count, alpha + modality)
            place = np.repeat(np.arange(len(some)), len(which))
            program.at_most(place, np.tile(which, len(some)), squares.ravel(), np.full(len(some), 1 + over))
        across_i, across_j = (one.ravel() for one in np.indices((size, size)))
        places = np.concatenate([i, i + size, across_i]), np.concatenate([j, j + size, across_j + size])
        variables = np.concatenate([np.arange(2 * count), np.full(size * size, c)])
        coefficients = np.concatenate([np.ones(2 * count), by_constant.ravel()])
        zero = np.zeros((size, size))
        program.semidefinite(self._whole([zero, zero], 0.0), places, variables, coefficients)
        program.semidefinite(
            np.array([[0.0, 1.0], [1.0, 0.0]]), (np.arange(2), np.arange(2)), np.array([alpha, beta]), np.ones(2)
        )
        try:
            found = program.solve(precision)
        except InputError:
            return None
        if found is None:
            return None
        own = []
        for modality in (0, 1):
            matrix = np.zeros((size, size))
            matrix[i, j] = matrix[j, i] = found.variables[modality * count : (modality + 1) * count]
            own.append(matrix)
        return self._state(own, float(found.variables[c]), float(found.variables[alpha]))


def _frame(inside: Array) -> Array:
    """A of z~ = A z^, (k + 1, k + 1): z^ are the rows less their mean, and 1."""
    frame = np.eye(inside.shape[1])
    frame[:-1, -1] = inside[:, :-1].mean(axis=0)
    return frame
