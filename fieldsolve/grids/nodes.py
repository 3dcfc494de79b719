"""Kernel sums through a coarse net of nodes: accurate relative to each point's own value, however far below the maximum it is.

The kernel exp(kappa (x.y - 1)) of a linear critic, as a function of y along a circle of the sphere, is exp(k cos t) up to a
factor, with k <= kappa, whatever x is. Between nodes about 1/kappa apart it is therefore found from its values at the ORDER
nearest ones, with an error relative to the value *there*. So every point's mass is shared among nodes, and sums at nodes are
interpolated to points, circle by circle and then across: all terms of the sum keep their relative accuracy, and so does the sum,
since they are positive. What is left between is a sum over all pairs of nodes, whose number is some 27 kappa^2 on S^2 whatever N
is. On two rows of nodes the kernel depends on the difference of longitudes alone, so that these sums take no exponentials.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, comb, pi
from typing import NamedTuple

import numpy as np

from fieldsolve.grids.grid import Rings
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import REDUCE, exp, jit

#: Nodes that a value is interpolated from, along each coordinate.
ORDER = 32

#: Distances of nodes, in units of 1/kappa, and the errors of sums relative to themselves, measured for kappa to 300.
FINE, COARSE = 0.85, 1.1
FINE_ERROR, COARSE_ERROR = 1e-11, 4e-8

#: Beyond this concentration products of masses and kernels may underflow where they count.
MOST_CONCENTRATED = 300.0

#: Work of sharing a point's mass, or of interpolating to it, in multiplications of the sum over nodes; as measured.
SHARE_WORK = 12 * ORDER

_NEGLIGIBLE = 1e-14  # of a sum
_LEAST_CONCENTRATED = 12.0  # broader kernels curve too much for nodes 1/kappa apart


@dataclass(frozen=True, eq=False)
class Net:
    """Rows of equally spaced nodes for a grid, with half a distance between the poles and the first and last row.

    rings: of the grid; rows: of a sphere, 0 for the one row of a circle; around: nodes of a row, an even number; kappa: of the
    kernel.
    """

    rings: Rings
    rows: int
    around: int
    kappa: float

    @property
    def count(self) -> int:
        return max(self.rows, 1) * self.around

    @cached_property
    def polar(self) -> Array:
        """Angles of the rows from the pole."""
        return np.asarray(pi / self.rows * (np.arange(self.rows) + 0.5) if self.rows else [pi / 2])


def net_of(rings: Rings, kappa: float, distance: float) -> Net:
    """The nodes for the kernel of a concentration, `distance`/kappa apart."""
    half = ceil(pi * max(kappa, _LEAST_CONCENTRATED) / distance)
    return Net(rings, half if len(rings.polar) > 1 else 0, 2 * half, kappa)


def work(net: Net, size: int) -> float:
    """Of the sums through a net, in multiplications: of its pairs, and of sharing and interpolating `size` points."""
    return float(net.count) ** 2 + SHARE_WORK * size


def sums(net: Net, masses: Array, targets: Indices) -> Array:
    """sum_j masses_j exp(kappa (x_i.x_j - 1)) at the points i in `targets`, which rise; each accurate relative to itself.

    masses: (N,), not negative, the largest about 1; result: (n,).
    """
    # Every sum has at least exp(-2 kappa) from the largest mass. What cannot change that would only be slow, as denormal numbers.
    least = np.exp(-2 * net.kappa) * _NEGLIGIBLE / len(masses)
    rings, rows = net.rings, max(net.rows, 1)
    across = across_rows(rings, net)
    shared = np.empty((len(rings.polar), net.around))
    threads.over_blocks(_share_pass, len(shared), 40 * len(masses), rings, signs(), masses, least, shared)
    at_nodes = np.zeros((rows, net.around))
    threads.over_blocks(_collect_pass, rows, ORDER * shared.size, across, shared, at_nodes)
    edges = np.append(np.searchsorted(targets, rings.first), len(targets))
    wanted = np.flatnonzero(np.diff(edges))
    is_needed = np.zeros(rows, dtype=np.bool_)
    is_needed[across.row[across.base[wanted][:, None] + np.arange(across.weights.shape[1])]] = True
    needed = np.flatnonzero(is_needed)
    summed = np.zeros((rows, net.around))
    load = len(needed) * net.around * net.count // 8
    threads.over_blocks(_sum_pass, len(needed), load, needed, net.polar, net.kappa, at_nodes, summed)
    result = np.empty(len(targets))
    load = 40 * len(targets) + ORDER * len(wanted) * net.around
    threads.over_blocks(_interpolate_pass, len(wanted), load, wanted, rings, across, signs(), summed, targets, edges, result)
    return result


class _Across(NamedTuple):
    """How each ring lies between the rows: the first row of its stencil and the weights (R, stencil).

    Rows before the first and after the last are those beyond the poles: `row`, turned by half a circle where `turned`.
    """

    base: Indices
    weights: Array
    row: Indices
    turned: Indices


def across_rows(rings: Rings, net: Net) -> _Across:
    """How the rings of a grid lie between the rows of a net."""
    return _across_rows(tuple(rings.polar.tolist()), net.rows)


@lru_cache(maxsize=8)
def _across_rows(polar: tuple[float, ...], rows: int) -> _Across:
    if rows == 0:
        return _Across(np.zeros(1, dtype=np.int64), np.ones((1, 1)), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    place = np.array(polar) * rows / pi - 0.5 + ORDER // 2
    base = np.floor(place).astype(np.int64) - (ORDER // 2 - 1)
    weights = np.empty((len(base), ORDER))
    for ring, offset in enumerate(place - base):
        _weights(offset, signs(), weights[ring])
    ghost = np.arange(rows + ORDER) - ORDER // 2
    row = np.where(ghost < 0, -1 - ghost, np.where(ghost >= rows, 2 * rows - 1 - ghost, ghost))
    return _Across(base, weights, row, ((ghost < 0) | (ghost >= rows)).astype(np.int64))


@lru_cache(maxsize=1)
def signs() -> Array:
    """The barycentric weights of equally spaced nodes, up to a factor."""
    return np.array([(-1) ** k * comb(ORDER - 1, k) for k in range(ORDER)], dtype=np.float64)


@jit(REDUCE)
def _weights(offset, signs, weights):
    """Write the Lagrange weights of the nodes 0, 1, ... for a point at `offset` between them."""
    nearest = round(offset)
    if offset == nearest:
        weights[:] = 0.0
        weights[int(nearest)] = 1.0
        return
    total = 0.0
    for k in range(weights.size):
        weights[k] = signs[k] / (offset - k)
        total += weights[k]
    scale = 1 / total
    for k in range(weights.size):
        weights[k] *= scale


@jit()
def _place(longitude, around):
    """The first node of a point's stencil, in [0, around), and where the point is from there, in node distances."""
    place = longitude * around / (2 * pi)
    node = np.floor(place)
    base = int(node) - (ORDER // 2 - 1)
    return base % around, place - node + (ORDER // 2 - 1)


@jit(REDUCE)
def _add(scale, values, out):
    for k in range(out.size):
        out[k] += scale * values[k]


@jit(REDUCE)
def _product(first, second):
    total = 0.0
    for k in range(first.size):
        total += first[k] * second[k]
    return total


@jit()
def share(mass, ring, point, rings, signs, weights, row, around):
    """Share the mass of a point of a ring among nodes at its latitude: a row with ORDER more, which are the first ones again."""
    longitude = rings.longitude[ring] + 2 * pi * (point - rings.first[ring]) / rings.number[ring]
    base, offset = _place(longitude, around)
    _weights(offset, signs, weights)
    _add(mass, weights, row[base : base + ORDER])


@jit()
def collect(ring, across, row, at_nodes):
    """Share what is in a ring's row among the rows of nodes around it, and empty it."""
    around = at_nodes.shape[1]
    row[:ORDER] += row[around:]
    for k in range(across.weights.shape[1]):
        ghost = across.base[ring] + k
        _add_turned(across.weights[ring, k], row[:around], across.turned[ghost], at_nodes[across.row[ghost]])
    row[:] = 0.0


@jit()
def _add_turned(scale, values, is_turned, out):
    """Add multiples of values, turned by half a circle or not."""
    if is_turned:
        half = out.size // 2
        _add(scale, values[half:], out[:half])
        _add(scale, values[:half], out[half:])
    else:
        _add(scale, values, out)


@jit()
def _share_pass(first, last, rings, signs, masses, least, shared):
    """Share the masses of each ring's points among the nodes of a row at its own latitude."""
    around = shared.shape[1]
    row, weights = np.empty(around + ORDER), np.empty(ORDER)
    for ring in range(first, last):
        row[:] = 0.0
        for point in range(rings.first[ring], rings.first[ring] + rings.number[ring]):
            if masses[point] > least:
                share(masses[point], ring, point, rings, signs, weights, row, around)
        shared[ring] = row[:around]
        shared[ring, :ORDER] += row[around:]


@jit()
def _collect_pass(first, last, across, shared, at_nodes):
    """Share each ring's row among the rows of nodes around it."""
    for ring in range(shared.shape[0]):
        for k in range(across.weights.shape[1]):
            ghost = across.base[ring] + k
            if first <= across.row[ghost] < last:
                _add_turned(across.weights[ring, k], shared[ring], across.turned[ghost], at_nodes[across.row[ghost]])


@jit()
def _sum_pass(first, last, needed, polar, kappa, at_nodes, summed):
    """Sum over all pairs of nodes, for some rows of targets."""
    rows, around = at_nodes.shape
    kernel = np.empty(2 * around)
    for index in range(first, last):
        target = needed[index]
        for source in range(rows):
            _tabulate(polar[target], polar[source], kappa, kernel)
            _convolve(kernel, at_nodes[source], summed[target])


@jit(REDUCE)
def _tabulate(polar, other, kappa, kernel):
    """Write the kernel between two rows for all differences of nodes around, from -around to around."""
    around = kernel.size // 2
    closest, across = np.cos(polar - other) - 1, np.sin(polar) * np.sin(other)
    for k in range(around // 2 + 1):
        # sin^2 of half the angle: 1 - cos would lose digits at small angles.
        half = np.sin(pi * k / around)
        kernel[k] = kappa * (closest - 2 * across * half * half)
    for k in range(around // 2 + 1):
        kernel[k] = exp(kernel[k])
    for k in range(1, around // 2):
        kernel[around - k] = kernel[k]
    for k in range(around):
        kernel[around + k] = kernel[k]


@jit(REDUCE)
def _convolve(kernel, masses, out):
    """out_k += sum_j kernel_{k-j} masses_j, four j at a time."""
    around = out.size
    for j in range(0, around - around % 4, 4):
        m0, m1, m2, m3 = masses[j], masses[j + 1], masses[j + 2], masses[j + 3]
        if m0 == 0.0 and m1 == 0.0 and m2 == 0.0 and m3 == 0.0:
            continue
        k0 = kernel[around - j : 2 * around - j]
        k1 = kernel[around - j - 1 : 2 * around - j - 1]
        k2 = kernel[around - j - 2 : 2 * around - j - 2]
        k3 = kernel[around - j - 3 : 2 * around - j - 3]
        for k in range(around):
            out[k] += m0 * k0[k] + m1 * k1[k] + m2 * k2[k] + m3 * k3[k]
    for j in range(around - around % 4, around):
        _add(masses[j], kernel[around - j : 2 * around - j], out)


@jit()
def _interpolate_pass(first, last, wanted, rings, across, signs, summed, targets, edges, result):
    """Interpolate from the nodes to the targets of some rings."""
    around = summed.shape[1]
    row, weights = np.empty(around + ORDER), np.empty(ORDER)
    for index in range(first, last):
        ring = wanted[index]
        row[:] = 0.0
        for k in range(across.weights.shape[1]):
            ghost = across.base[ring] + k
            _add_turned(across.weights[ring, k], summed[across.row[ghost]], across.turned[ghost], row[:around])
        row[around:] = row[:ORDER]
        for i in range(edges[ring], edges[ring + 1]):
            j = targets[i] - rings.first[ring]
            base, offset = _place(rings.longitude[ring] + 2 * pi * j / rings.number[ring], around)
            _weights(offset, signs, weights)
            result[i] = _product(weights, row[base : base + ORDER])
