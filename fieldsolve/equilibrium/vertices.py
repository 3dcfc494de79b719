"""Concave energies in closed form: vertices (all excess mass on one pixel), exact best responses, the cheapest vertices."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fieldsolve.equilibrium.densities import LogDensity, require_floor
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.terms.overlap import log_lowest
from fieldsolve.equilibrium.terms.sigmoid import Overlap
from fieldsolve.grids import Smoother
from fieldsolve.grids.grid import EQUAL
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError

_FEW = 4  # modalities, of which all choices are tried
_ROWS = 64  # pixels of the first spike that are compared at once


@dataclass(frozen=True, eq=False)
class Vertices:
    """Densities that each have their excess mass on one pixel k: rho_a = floor + (1 - floor) e_k/mu_k, mu_k its mass.

    value: the energy there; pixels: the spikes, one a modality.
    """

    value: float
    pixels: tuple[int, ...]


def vertex_energy(potentials: Array, tau: float, floor: float, pixels: Sequence[int], log_weights: Array = EQUAL) -> float:
    """The fully coupled intrinsic energy of densities at vertices, O(A N); see `Vertices`. potentials: (A, N), A >= 2."""
    modalities, size = potentials.shape
    binding = sum(
        floor * float(np.mean(potential * np.exp(log_weights))) + (1 - floor) * float(potential[pixel])
        for potential, pixel in zip(potentials, pixels, strict=True)
    )
    ratios = _log_ratios(size, floor, log_weights)
    held = np.broadcast_to(floor * np.exp(log_weights) * ratios / size, size)
    shared = np.broadcast_to((1 - floor) * ratios, size)
    cross = modalities * np.log(floor) + sum(float(held[pixel]) for pixel in pixels)
    cross += 2 * sum(float(shared[one]) for one, other in combinations(pixels, 2) if one == other) / (modalities - 1)
    return float((binding / tau + cross) / modalities)


def _log_ratios(size: int, floor: float, log_weights: Array) -> Array:
    """log(spike/floor) of a spike on each pixel.

    int rho_a log rho_b of spikes on pixels i and j is log floor + floor mu_j log(spike_j/floor), and for i = j (1 - floor)
    log(spike_j/floor) more.
    """
    return np.asarray(np.logaddexp(0.0, np.log((1 - floor) * size / floor) - log_weights))


def vertex_minimum(potentials: Array, tau: float, floor: float, log_weights: Array = EQUAL) -> Vertices:
    """The exact global minimum of the fully coupled intrinsic energy over floored densities on the grid.

    At coupling 1 the energy is concave in each density [Prop 4.2], so that its minimum is at vertices; its logarithmic terms
    depend on which spikes share a pixel only, and are larger where some do, by rearrangement. Each spike is on one of its
    potential's A lowest pixels: one of them is free of the others, and no dearer than any beyond. Choices are tried depth first;
    of many modalities different pixels are an assignment, unless sharing one may pay, as with large floors. In the continuum
    limit A times its value is sum_a [(1 - floor) min U_a/tau + floor int U_a/tau] + A log floor.

    potentials: (A, N), A >= 2; log_weights: the grid's. Raises InputError for one modality, and unless 0 < floor < 1: without a
    floor it has no minimum.
    """
    modalities = len(potentials)
    if modalities < 2:
        raise InputError("the minimum at vertices is that of two modalities or more, not of one")
    require_floor(floor)
    size = potentials.shape[1]
    count = min(modalities, size)
    ratios = _log_ratios(size, floor, log_weights)
    dearness = (
        potentials if log_weights.size == 1 else (1 - floor) * potentials / tau + floor * np.exp(log_weights) * ratios / size
    )
    lowest = [np.argpartition(one, count - 1)[:count] for one in dearness]
    lowest = [pixels[np.argsort(one[pixels], kind="stable")] for one, pixels in zip(dearness, lowest, strict=True)]
    scale = (1 - floor) / tau if log_weights.size == 1 else 1.0
    costs = [scale * one[pixels] for one, pixels in zip(dearness, lowest, strict=True)]
    rest = np.append(np.cumsum([cost[0] for cost in costs][::-1])[::-1], 0.0)
    extra = np.broadcast_to(2 * (1 - floor) * ratios / (modalities - 1), size)
    best: tuple[float, tuple[int, ...]] = (np.inf, ())
    if modalities > _FEW:
        best = _distinct(lowest, costs) or best
        if best[1] and extra.min() >= max(cost[-1] - cost[0] for cost in costs):  # nothing pays for sharing a pixel
            return Vertices(vertex_energy(potentials, tau, floor, best[1], log_weights), best[1])

    def place(placed: tuple[int, ...], cost: float) -> None:
        nonlocal best
        a = len(placed)
        if cost + rest[a] >= best[0]:
            return
        if a == modalities:
            best = cost, placed
            return
        for pixel, own in zip(lowest[a].tolist(), costs[a].tolist(), strict=True):
            place((*placed, pixel), cost + own + float(extra[pixel]) * placed.count(pixel))

    place((), 0.0)
    return Vertices(vertex_energy(potentials, tau, floor, best[1], log_weights), best[1])


def _distinct(lowest: list[Indices], costs: list[Array]) -> tuple[float, tuple[int, ...]] | None:
    """The cheapest choice of different pixels, one of each potential's lowest: an assignment. None if there are too few."""
    pixels = np.unique(np.concatenate(lowest))
    if len(pixels) < len(lowest):
        return None
    from scipy.optimize import linear_sum_assignment  # slow to import: 0.4 s

    table = np.full((len(lowest), len(pixels)), 1e300)
    for row, own, cost in zip(table, lowest, costs, strict=True):
        row[np.searchsorted(pixels, own)] = cost
    rows, columns = linear_sum_assignment(table)
    total = float(table[rows, columns].sum())
    return None if total >= 1e300 else (total, tuple(int(pixel) for pixel in pixels[columns]))


def has_overlap_vertices(energy: Energy, floor: float) -> bool:
    """Whether `overlap_minimum` has an energy's minimum: it knows two densities by their overlap, which floors keep above 0."""
    return floor > 0 and energy.modalities == 2 and isinstance(energy.contrast, Overlap) and not energy.penalties


def overlap_minimum(energy: Energy, floor: float) -> Vertices:
    """The exact global minimum of an energy that knows two densities by their overlap, q = int rho_1 K rho_2: a pair of vertices.

    With spikes on pixels i and j, q = floor (2 - floor) + (1 - floor)^2 K_ij. Pixels i are taken by rising potential, against
    all j, until what alignment with i must cost exceeds the best value at the least overlap: O(N) for potentials with wells.
    """
    assert isinstance(energy.contrast, Overlap)
    tau, excess, size = energy.binding.tau * np.ones(2), 1 - floor, energy.grid.size
    costs = energy.potentials * excess / (2 * tau[:, None])
    level = float(np.sum(energy.grid.mean(energy.potentials) / tau)) * floor / 2
    smoother = None if energy.kernel is None else Smoother(energy.grid, energy.kernel)
    order, cheapest = np.argsort(costs[0], kind="stable"), float(costs[1].min())
    least = 0.0 if energy.kernel is None else float(np.exp(log_lowest(energy.grid, energy.kernel)))
    least_term = float(energy.contrast.at_overlap(np.asarray(floor * (2 - floor) + excess**2 * least)))
    best, pixels = np.inf, (0, 0)
    for first in range(0, size, _ROWS):
        rows = order[first : first + _ROWS]
        if costs[0, rows[0]] + cheapest + least_term >= best:
            break
        if smoother is None:
            kernel = np.zeros((len(rows), size))
            kernel[np.arange(len(rows)), rows] = size / np.broadcast_to(energy.grid.weights, size)[rows]
        else:
            kernel = smoother.rows(rows)
        terms = energy.contrast.at_overlap(floor * (2 - floor) + excess**2 * kernel)
        values = costs[0, rows][:, None] + costs[1] + terms
        at = np.unravel_index(int(np.argmin(values)), values.shape)
        if values[at] < best:
            best, pixels = float(values[at]), (int(rows[at[0]]), int(at[1]))
    return Vertices(level + best, pixels)


def best_response(potential: Array, others: Array, tau: float, floor: float, log_weights: Array = EQUAL) -> int:
    """The pixel that takes all excess mass in the exact best response to the other modalities' densities [Prop 4.2].

    At coupling 1, for fixed other densities rho_b, the pixel k that minimises (1 - floor) V_k + mean_b (rho_b,k mu_k) log(1 +
    (1 - floor)/(floor mu_k)) with the effective potential V = U/tau + mean_b log rho_b. potential: (N,); others: log rho_b, (A -
    1, N); log_weights: log(N mu_k). O(A N).
    """
    size = potential.size
    effective = potential / tau + others.mean(axis=0)
    held = np.exp(others + log_weights).mean(axis=0) if log_weights.size > 1 else np.exp(others).mean(axis=0)
    cost = (1 - floor) * effective + held * (_log_ratios(size, floor, log_weights) / size)
    return int(np.argmin(cost))


def vertex(pixel: int, size: int, floor: float, log_weights: Array = EQUAL) -> Array:
    """log of the density with all excess mass on one pixel, shape (N,)."""
    result = np.full(size, np.log(floor))
    result[pixel] += np.broadcast_to(_log_ratios(size, floor, log_weights), size)[pixel]
    return result


def at_vertices(found: Vertices, size: int, floor: float, log_weights: Array = EQUAL) -> LogDensity:
    """The state of densities at vertices."""
    fields = np.stack([vertex(pixel, size, floor, log_weights) for pixel in found.pixels])
    return LogDensity(fields, np.zeros(len(fields)), floor, log_weights)


def best_responses(
    potentials: Array, tau: float, log_densities: Array, floor: float, first: int, log_weights: Array = EQUAL
) -> Vertices:
    """Exact best responses in turn, modality `first` beginning, until no density moves; each lowers the energy.

    potentials, log_densities: (A, N). Ends because there are finitely many vertices and the energy falls.
    """
    current, modalities = log_densities.copy(), len(potentials)
    pixels = [-1] * modalities
    turn, unmoved = first, 0
    while unmoved < modalities:
        pixel = best_response(potentials[turn], np.delete(current, turn, axis=0), tau, floor, log_weights)
        unmoved = unmoved + 1 if pixel == pixels[turn] else 0
        pixels[turn] = pixel
        current[turn] = vertex(pixel, potentials.shape[1], floor, log_weights)
        turn = (turn + 1) % modalities
    return Vertices(vertex_energy(potentials, tau, floor, pixels, log_weights), tuple(pixels))
