"""Full coupling in closed form: vertices (all excess mass on one pixel), exact best responses, the cheapest pair of vertices."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from fieldsolve.equilibrium.densities import LogDensity, require_floor
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError


@dataclass(frozen=True, eq=False)
class Vertices:
    """Two fully coupled densities that each have their excess mass on one pixel: rho_a = floor + (1 - floor) N e_a.

    value: the energy F = (F_1 + F_2 - D)/2 there; pixels: the two spikes.
    """

    value: float
    pixels: tuple[int, int]


def vertex_energy(potentials: Array, tau: float, floor: float, pixels: tuple[int, int]) -> float:
    """The fully coupled intrinsic energy at a pair of vertices, O(N); see `Vertices`. potentials: (2, N)."""
    size = potentials.shape[1]
    spike = floor + (1 - floor) * size
    binding = sum(
        floor * float(np.mean(potential)) + (1 - floor) * float(potential[pixel])
        for potential, pixel in zip(potentials, pixels, strict=True)
    )
    if pixels[0] == pixels[1]:
        cross = 2 * (spike * np.log(spike) + (size - 1) * floor * np.log(floor)) / size
    else:
        cross = 2 * (spike * np.log(floor) + floor * np.log(spike) + (size - 2) * floor * np.log(floor)) / size
    return float(binding / tau + cross) / 2


def vertex_minimum(potentials: Array, tau: float, floor: float) -> Vertices:
    """The exact global minimum of the fully coupled intrinsic energy over floored densities on the grid, in O(N).

    At coupling 1 the energy is concave in each density [Prop 4.2], so that its minimum is at a pair of vertices;
    with spikes on different pixels its logarithmic terms do not depend on which, and are smaller than with a common
    one, so that four pairs are left to compare. In the continuum limit twice its value is
    sum_a [(1 - floor) min U_a/tau + floor int U_a/tau] + 2 log floor.

    potentials: (2, N). Raises InputError unless there are two, and 0 < floor < 1: without a floor it has no minimum.
    """
    if len(potentials) != 2:
        raise InputError(f"the disjoint-vertex minimum is known for two modalities, not for {len(potentials)}")
    require_floor(floor)
    # Each spike is on one of its potential's two lowest pixels. The logarithmic terms are larger for a common pixel (by
    # rearrangement), which can be best only where both lowest pixels coincide and the next ones cost more than that.
    candidates = list(product(_two_lowest(potentials[0]), _two_lowest(potentials[1])))
    values = [vertex_energy(potentials, tau, floor, pixels) for pixels in candidates]
    best = int(np.argmin(values))
    return Vertices(values[best], candidates[best])


def _two_lowest(potential: Array) -> tuple[int, int]:
    first = int(np.argmin(potential))
    others = potential.copy()
    others[first] = np.inf
    return first, int(np.argmin(others))


def best_response(potential: Array, other_log_density: Array, tau: float, floor: float) -> int:
    """The pixel that takes all excess mass in the exact best response to the other modality's density [Prop 4.2].

    At coupling 1, for a fixed other density rho', the pixel k that minimises
    (1 - floor) V_k + (rho'_k/N) log(1 + (1 - floor) N/floor) with the effective potential V = U/tau + log rho'.
    potential, other_log_density: (N,). O(N).
    """
    size = potential.size
    effective = potential / tau + other_log_density
    cost = (1 - floor) * effective + np.exp(other_log_density) * (np.log1p((1 - floor) * size / floor) / size)
    return int(np.argmin(cost))


def vertex(pixel: int, size: int, floor: float) -> Array:
    """log of the density with all excess mass on one pixel, shape (N,)."""
    result = np.full(size, np.log(floor))
    result[pixel] = np.log(floor + (1 - floor) * size)
    return result


def at_vertices(found: Vertices, size: int, floor: float) -> LogDensity:
    """The state of two densities at a pair of vertices."""
    return LogDensity(np.stack([vertex(pixel, size, floor) for pixel in found.pixels]), np.zeros(2), floor)


def best_responses(potentials: Array, tau: float, log_densities: Array, floor: float, first: int) -> Vertices:
    """Alternate exact best responses, modality `first` beginning, until neither density moves; each lowers the energy.

    potentials, log_densities: (2, N). Ends because there are finitely many vertices and the energy falls.
    """
    current = log_densities.copy()
    pixels = [-1, -1]
    turn, unmoved = first, 0
    while unmoved < 2:
        pixel = best_response(potentials[turn], current[1 - turn], tau, floor)
        unmoved = unmoved + 1 if pixel == pixels[turn] else 0
        pixels[turn] = pixel
        current[turn] = vertex(pixel, potentials.shape[1], floor)
        turn = 1 - turn
    pair = (pixels[0], pixels[1])
    return Vertices(vertex_energy(potentials, tau, floor, pair), pair)
