"""Kernel sums with relative accuracy for narrow kernels: about boxes of targets, where what is left of the kernel is broad.

For targets x close to c, exp(kappa x.y) = exp(kappa c.y) exp(kappa (x - c).y). The first factor is the same for all of them and
goes to the masses, most of which it makes negligible. The second one varies with y like a kernel of concentration kappa |x - c|:
the masses are shared among nodes that are as far apart as that allows (see `nodes`), and every target sums over these few.
"""

from typing import NamedTuple

import numpy as np

from fieldsolve.grids import nodes
from fieldsolve.grids.allpairs import PAIR_WORK, PATCH, bound_patches, coordinates, reach_of_patches
from fieldsolve.grids.grid import Rings
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import REDUCE, exp, jit

#: kappa |x - c| at the corner of a box: with less there are more boxes, with more there are more nodes and masses that count.
WIDTH = 30.0

_ROUNDING = 30.0  # nats: what is fainter by so much, and by log N, cannot change a sum
_PER_NODE = 100  # work of looking a node over, in multiplications, as measured


def work(rings: Rings, kappa: float, size: int, targets: int) -> float:
    """Of sums over boxes, in multiplications: each box shares what counts of `size` points, each target sums over nodes."""
    boxes = 14 * (kappa / WIDTH) ** 2 if len(rings.polar) > 1 else 4.5 * kappa / WIDTH
    depth = 2 * WIDTH + _ROUNDING + np.log(size)
    share = min(1.0, depth / (2 * kappa) if len(rings.polar) > 1 else np.sqrt(2 * depth / kappa) / np.pi)
    count = nodes.net_of(rings, WIDTH, nodes.FINE).count
    of_boxes = min(float(targets), boxes) * (_PER_NODE * count + nodes.SHARE_WORK * share * size)
    return float(of_boxes + PAIR_WORK * share * targets * count)


class _Boxes(NamedTuple):
    """Targets box by box: their order, where each box begins among them (and the end), and the boxes' centres (3, n)."""

    order: Indices
    edges: Indices
    centres: Array


def log_sums(rings: Rings, points: Array, log_masses: Array, kappa: float, targets: Indices) -> Array:
    """log sum_j exp(log_masses_j + kappa (x_i.x_j - 1)) at the points i in `targets`, each accurate relative to itself.

    points: (N, d), those of the rings; log_masses: (N,), -inf allowed but not everywhere; result: (n,).
    """
    there = points[targets]
    boxes = _in_boxes(there, kappa)
    placed, sources = coordinates(there[boxes.order]), coordinates(points)
    owner = np.repeat(np.arange(len(boxes.edges) - 1), np.diff(boxes.edges))
    radius = float(np.sqrt(((placed - boxes.centres[:, owner]) ** 2).sum(axis=0)).max())
    net = nodes.net_of(rings, kappa * radius, nodes.FINE)
    across = nodes.across_rows(rings, net)
    patches = bound_patches(sources, log_masses)
    depth = 2 * kappa * radius + _ROUNDING + np.log(len(points))
    angle = 2 * np.pi / net.around * np.arange(net.around)
    result = np.empty(len(targets))
    load = int(work(rings, kappa, len(points), len(targets)) / 8)
    threads.over_blocks(
        _box_pass, len(boxes.edges) - 1, load,
        boxes.edges, boxes.centres, placed, sources, log_masses, patches, kappa, depth,
        rings, across, nodes.signs(), net.polar, np.cos(angle), np.sin(angle), result,
    )  # fmt: skip
    unsorted = np.empty_like(result)
    unsorted[boxes.order] = result
    return unsorted


def _in_boxes(points: Array, kappa: float) -> _Boxes:
    """Points in the cells of a cube, with the unit vector in the middle of each cell's points."""
    side = 2 * WIDTH / (kappa * np.sqrt(points.shape[1]))
    cells = np.floor((points + 1) / side).astype(np.int64)
    keys = cells @ (int(2 / side) + 2) ** np.arange(points.shape[1])
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order], prepend=-1, append=-1))
    sums = np.add.reduceat(points[order], edges[:-1], axis=0)
    return _Boxes(order, edges, coordinates(sums / np.linalg.norm(sums, axis=1, keepdims=True)))


@jit(REDUCE)
def _exponents(x, y, z, sources, log_masses, start, stop, kappa, top, exponents):
    for j in range(start, stop):
        dx, dy, dz = x - sources[0, j], y - sources[1, j], z - sources[2, j]
        exponents[j - start] = log_masses[j] - 0.5 * kappa * (dx * dx + dy * dy + dz * dz) - top


@jit(REDUCE)
def _sum(x, y, z, at, masses, count):
    total = 0.0
    for n in range(count):
        total += masses[n] * exp(x * at[0, n] + y * at[1, n] + z * at[2, n])
    return total


@jit()
def _top_of(x, y, z, sources, log_masses, reach, kappa, exponents):
    """The largest logarithm of a mass times its kernel at a point, from the patches that may hold it."""
    top = -np.inf
    for turn in range(-1, reach.size):
        patch = int(np.argmax(reach)) if turn < 0 else turn
        if reach[patch] > top:
            start, stop = patch * PATCH, min((patch + 1) * PATCH, log_masses.size)
            _exponents(x, y, z, sources, log_masses, start, stop, kappa, 0.0, exponents)
            top = max(top, exponents[: stop - start].max())
    return top


@jit()
def _share_out(x, y, z, sources, log_masses, reach, kappa, top, depth, rings, across, signs, exponents, row, weights, at_nodes):
    """Share what counts at a point, exp(-top) of it, among nodes."""
    at_nodes[:] = 0.0
    ring, is_empty = 0, True
    for patch in range(reach.size):
        if reach[patch] < top - depth:
            continue
        start, stop = patch * PATCH, min((patch + 1) * PATCH, log_masses.size)
        _exponents(x, y, z, sources, log_masses, start, stop, kappa, top, exponents)
        for j in range(start, stop):
            if exponents[j - start] < -depth:
                continue
            if j >= rings.first[ring] + rings.number[ring]:
                if not is_empty:
                    nodes.collect(ring, across, row, at_nodes)
                ring = int(np.searchsorted(rings.first, j, side="right")) - 1
            nodes.share(exp(exponents[j - start]), ring, j, rings, signs, weights, row, at_nodes.shape[1])
            is_empty = False
    if not is_empty:
        nodes.collect(ring, across, row, at_nodes)


@jit()
def _gather(at_nodes, polar, cosine, sine, at, masses):
    """Write where the nodes are that hold something, and what; return their number."""
    count = 0
    for i in range(polar.size):
        height, width = np.cos(polar[i]), np.sin(polar[i])
        for k in range(cosine.size):
            if at_nodes[i, k] != 0.0:
                at[0, count], at[1, count], at[2, count] = width * cosine[k], width * sine[k], height
                masses[count] = at_nodes[i, k]
                count += 1
    return count


@jit()
def _box_pass(
    first, last, edges, centres, targets, sources, log_masses, patches, kappa, depth,
    rings, across, signs, polar, cosine, sine, result,
):  # fmt: skip
    """Write the logarithms of the sums at the targets of some boxes."""
    reach, exponents = np.empty(patches.shape[1]), np.empty(PATCH)
    row, weights = np.zeros(cosine.size + nodes.ORDER), np.empty(nodes.ORDER)
    at_nodes = np.empty((polar.size, cosine.size))
    at, masses = np.empty((3, at_nodes.size)), np.empty(at_nodes.size)
    for box in range(first, last):
        x, y, z = centres[0, box], centres[1, box], centres[2, box]
        reach_of_patches(x, y, z, patches, kappa, reach)
        top = _top_of(x, y, z, sources, log_masses, reach, kappa, exponents)
        _share_out(
            x, y, z, sources, log_masses, reach, kappa, top, depth, rings, across, signs, exponents, row, weights, at_nodes
        )
        count = _gather(at_nodes, polar, cosine, sine, at, masses)
        for target in range(edges[box], edges[box + 1]):
            dx, dy, dz = targets[0, target] - x, targets[1, target] - y, targets[2, target] - z
            # 0 for unit vectors but for rounding, which kappa may be large enough to show.
            extra = dx * x + dy * y + dz * z + 0.5 * (dx * dx + dy * dy + dz * dz)
            total = _sum(kappa * dx, kappa * dy, kappa * dz, at, masses, count)
            result[target] = top + np.log(total) - kappa * extra
