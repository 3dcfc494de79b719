"""Descent on products of spheres: Riemannian L-BFGS, whose line search trusts slopes where rounding hides the values."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.progress import Progress, Watch

_MEMORY = 20  # pairs of steps and changes of the gradient
_ARMIJO, _WOLFE = 1e-4, 0.9
_MOST_TRIALS = 30  # of lengths in one step
_ROUNDING = 1e-12  # of a value, nats or relative, whichever is more


class Evaluated(NamedTuple):
    """A value with its gradient: of unit rows, in the ambient space, and of the free variables beside them."""

    value: float
    rows: Array
    free: Array


Function = Callable[[Array, Array], Evaluated]


@dataclass(frozen=True, eq=False)
class Descended:
    """Where a descent ended: unit rows and free variables, the value, its gradient's norm, and after how many steps."""

    rows: Array
    free: Array
    value: float
    norm: float
    steps: int

    @property
    def is_finite(self) -> bool:
        """Whether the value is a number."""
        return bool(np.isfinite(self.value))


def descend(
    function: Function,
    rows: Array,
    free: Array,
    weights: Array,
    is_done: Callable[[float, float], bool],
    max_steps: int,
    watch: Watch | None = None,
) -> Descended:
    """Lower a function of unit rows (N, r) and free variables (k,) from a start, until `is_done(value, norm)`.

    weights: (N,), of the rows: the metric is sum_i weights_i |dx_i|^2, in which rare rows go as far as common ones. norm: of the
    gradient in that metric, nats. Ends too where no step lowers the value or its slope in double precision.
    """
    space = _Space(weights, rows.shape[1])
    point = space.joined(rows, free)
    value, slope = space.evaluate(function, point)
    pairs: deque[tuple[Array, Array, float]] = deque(maxlen=_MEMORY)
    norm, step = space.norm(slope), 0
    while step < max_steps and np.isfinite(value) and not is_done(value, norm):
        direction = space.tangent(point, -_product(pairs, slope, space.inverse))
        if not float(direction @ slope) < 0:
            pairs.clear()
            direction = -space.inverse * slope
        found = _search(function, space, point, value, slope, direction, first=not pairs)
        if found is None:
            if not pairs:
                break
            pairs.clear()
            continue
        length, new, new_value, new_slope = found
        moved, changed = space.tangent(new, length * direction), new_slope - space.tangent(new, slope)
        curvature = float(moved @ changed)
        if curvature > 1e-12 * np.sqrt(float(moved @ moved) * float(changed @ changed)):
            pairs.append((moved, changed, curvature))
        point, value, slope, step = new, new_value, new_slope, step + 1
        norm = space.norm(slope)
        if watch is not None and step % 16 == 0:
            watch(Progress(step, max_steps, f"steps, gradient {norm:.1e}"))
    ended_rows, ended_free = space.parted(point)
    return Descended(ended_rows, ended_free, value, norm, step)


class _Space:
    """Unit rows and free variables as one vector, its tangents, retraction and metric."""

    def __init__(self, weights: Array, width: int) -> None:
        self.shape = len(weights), width
        self.split = len(weights) * width
        self._of_rows = np.repeat(1 / weights, width)
        self.inverse = self._of_rows

    def joined(self, rows: Array, free: Array) -> Array:
        self.inverse = np.concatenate([self._of_rows, np.ones(len(free))])
        return np.concatenate([rows.ravel(), free])

    def parted(self, vector: Array) -> tuple[Array, Array]:
        return vector[: self.split].reshape(self.shape), vector[self.split :]

    def tangent(self, point: Array, vector: Array) -> Array:
        """The part of a vector along the spheres at a point."""
        rows, across = point[: self.split].reshape(self.shape), vector[: self.split].reshape(self.shape)
        result = vector.copy()
        result[: self.split] -= (np.einsum("ij,ij->i", rows, across)[:, None] * rows).ravel()
        return result

    def moved(self, point: Array, direction: Array, length: float) -> Array:
        result = point + length * direction
        rows = result[: self.split].reshape(self.shape)
        rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        return result

    def evaluate(self, function: Function, point: Array) -> tuple[float, Array]:
        rows, free = self.parted(point)
        found = function(rows, free)
        return found.value, self.tangent(point, np.concatenate([found.rows.ravel(), found.free]))

    def norm(self, slope: Array) -> float:
        return float(np.sqrt(slope @ (self.inverse * slope)))


def _product(pairs: deque[tuple[Array, Array, float]], slope: Array, inverse: Array) -> Array:
    """The approximate inverse Hessian times the slope: two loops over the pairs."""
    result, shares = slope.copy(), []
    for moved, changed, curvature in reversed(pairs):
        share = float(moved @ result) / curvature
        result -= share * changed
        shares.append(share)
    if pairs:
        _, changed, curvature = pairs[-1]
        result *= inverse * (curvature / float(changed @ (inverse * changed)))
    else:
        result *= inverse
    for (moved, changed, curvature), share in zip(pairs, reversed(shares), strict=True):
        result += (share - float(changed @ result) / curvature) * moved
    return result


def _search(
    function: Function, space: _Space, point: Array, value: float, slope: Array, direction: Array, first: bool
) -> tuple[float, Array, float, Array] | None:
    """A length along a direction that lowers the value enough or, where rounding hides that, the slope; None if there is none."""
    descent = float(direction @ slope)
    largest = float(np.abs(direction).max())
    length, low, high = (min(1.0, 0.5 / largest) if first else 1.0), 0.0, np.inf
    hidden = _ROUNDING * max(abs(value), 1.0)
    for _ in range(_MOST_TRIALS):
        new = space.moved(point, direction, length)
        new_value, new_slope = space.evaluate(function, new)
        along = float(space.tangent(new, direction) @ new_slope)
        is_low = new_value <= value + _ARMIJO * length * descent
        is_flat = new_value <= value + hidden and along <= (2 * _ARMIJO - 1) * descent
        if not (np.isfinite(new_value) and (is_low or is_flat)):
            high = length
        elif along < _WOLFE * descent:
            low = length
        else:
            return length, new, new_value, new_slope
        length = 0.5 * (low + high) if np.isfinite(high) else 2 * length
    return None
