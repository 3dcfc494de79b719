"""Densities of two directions on spheres of any dimension: their projections fill a disk, of radii and spokes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, pi, sqrt
from typing import Any

import ducc0
import numpy as np

from fieldsolve.grids.grid import Grid
from fieldsolve.grids.kernels import Kernel
from fieldsolve.grids.shells import Shells
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices, whole
from fieldsolve.numerics.compiled import REDUCE, jit
from fieldsolve.numerics.errors import InputError

LEAST_DIMENSION, LARGEST_DIMENSION = 4, 4096
LARGEST_SIZE = 25_000

_RINGS, _SPOKES = 3.6, 9.5  # times sqrt(d + concentrations): nodes that resolve them
_USUAL = 200.0  # concentration of kernel and density together where nothing is said, of tau = 0.01
_PLAIN = 600.0  # nats that kernels may span as numbers
_ROUNDING = 1e-19  # of a sum, that one mass may be below to be left out
_SEED = 20260119  # of generic directions across the two
_SAME = 1e-9  # relative, of a function's values around the two directions


@dataclass(frozen=True)
class Disk(Grid):
    """Functions of the projection y on two directions of S^{d-1}, at some radii and spokes (beyond the paper).

    The two directions are the last coordinate, the axis, and the one before. |y| = sin psi, 0 <= psi <= pi/2: the uniform measure
    is sin psi cos^{d-3} psi dpsi dphi, with Gauss and Legendre's nodes in psi and even ones in phi; a node stands for the sphere
    S^{d-3} of all points with its projection. With r = cos psi, log K = kappa y.y' + log A_{d-2}(kappa r r') - log A_d(kappa) is
    exact.

    dimension: d, from 4 to 4096; radii, spokes: their numbers, by default what tau = 0.01 needs, at most 25 000 nodes together.
    Raises InputError for others. A sum of a smoothed step takes radii^2 spokes^2 products.
    """

    dimension: int
    radii: int = 0
    spokes: int = 0

    name = "disk"
    projection = "polar"
    turn = 30.0
    has_log_sums = True

    def __post_init__(self) -> None:
        if not LEAST_DIMENSION <= (whole(self.dimension) or 0) <= LARGEST_DIMENSION:
            raise InputError(
                f"a disk is of a sphere of {LEAST_DIMENSION} to {LARGEST_DIMENSION} dimensions, not {self.dimension}; of 3 use "
                "--nside"
            )
        object.__setattr__(self, "dimension", int(self.dimension))
        least, usual = (_nodes_for(self.dimension, concentration) for concentration in (0.0, _USUAL))
        for name, fewest, default in zip(("radii", "spokes"), least, usual, strict=True):
            given = whole(getattr(self, name))
            count = default if given == 0 else (given or 0)
            if count < fewest:
                raise InputError(
                    f"a disk of {self.dimension} dimensions has at least {fewest} {name}, as the uniform density needs, not "
                    f"{given}"
                )
            object.__setattr__(self, name, count)
        if self.size > LARGEST_SIZE:
            raise InputError(
                f"a disk of {self.radii} radii and {self.spokes} spokes has {self.size} nodes, more than the {LARGEST_SIZE} that "
                "can be smoothed on; give fewer, where densities are less sharp, or use one direction (--dimension)"
            )

    @property
    def dim(self) -> int:  # type: ignore[override]
        return self.dimension - 1

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.radii * self.spokes

    @property
    def spacing(self) -> float:
        return pi / 2 / self.radii

    @property
    def ring_angles(self) -> Array:
        """psi of the rings in radians, rising, (radii,)."""
        return _radii(self.dimension, self.radii)[0]

    @property
    def longitudes(self) -> Array:
        """phi of the spokes in radians, from the axis on, (spokes,)."""
        return np.asarray(np.arange(self.spokes) * (2 * pi / self.spokes), dtype=np.float64)

    @property
    def log_weights(self) -> Array:
        return _log_weights(self.dimension, self.radii, self.spokes)

    @property
    def axis(self) -> Array:
        result = np.zeros(self.dimension)
        result[-1] = 1.0
        return result

    @property
    def direction(self) -> Array:
        """Between the two directions, off the spokes."""
        result = np.zeros(self.dimension)
        result[-2:] = np.array([1.0, 2.0]) / sqrt(5)
        return result

    def points(self, first: int = 0, last: int | None = None) -> Array:
        """One point of each node's sphere."""
        return self.from_shells(self.shell_vectors()[first:last])

    def mean(self, field: Array) -> Array:
        return np.asarray(np.mean(field * self.weights, axis=-1))

    def evaluate(self, function: Callable[[Array], Array]) -> Array:
        """The function at the nodes. Raises InputError for one that is no function of the two directions."""
        points = self.points()
        values = np.asarray(function(points))
        others = []
        for across in np.random.default_rng(_SEED).standard_normal((2, self.dimension - 2)):
            turned = points.copy()  # a function may return a view of its points
            turned[:, :-2] = np.outer(points[:, 0], across / np.linalg.norm(across))
            others.append(np.asarray(function(turned)))
        size = 1 + float(np.abs(values).max())
        tolerance = _SAME * (size if np.isfinite(size) else 0.0)  # what is not finite is refused later
        if any(not np.allclose(values, other, rtol=0, atol=tolerance, equal_nan=True) for other in others):
            raise InputError(
                f"the grid {self} has functions of its two directions alone, and this one is none; put wells there, as in "
                "vmf:12@axis:0+12@axis:90"
            )
        return values

    def centroid(self, density: Array) -> Array:
        result = np.zeros((*np.shape(density)[:-1], self.dimension))
        vectors = self.shell_vectors()
        for component, column in ((-1, 0), (-2, 1)):
            result[..., component] = np.mean(density * vectors[:, column], axis=-1)
        return result

    def nearest(self, points: Array) -> Indices:
        psi, phi = _polar(np.asarray(points, dtype=np.float64))
        ring = np.searchsorted((self.ring_angles[1:] + self.ring_angles[:-1]) / 2, psi)
        spoke = np.rint(phi * (self.spokes / (2 * pi))).astype(np.int64) % self.spokes
        return np.asarray(ring * self.spokes + spoke, dtype=np.int64)

    def interpolate(self, field: Array, points: Array) -> Array:
        psi, phi = _polar(np.asarray(points, dtype=np.float64))
        table = np.asarray(field).reshape(*np.shape(field)[:-1], self.radii, self.spokes)
        at = np.clip(np.interp(psi, self.ring_angles, np.arange(self.radii)), 0, self.radii - 1)
        along = (phi * (self.spokes / (2 * pi))) % self.spokes
        inner, left = np.floor(at).astype(int), np.floor(along).astype(int)
        outer, right = np.minimum(inner + 1, self.radii - 1), (left + 1) % self.spokes
        left = left % self.spokes
        outward, around = at - inner, along - np.floor(along)
        near = (1 - around) * table[..., inner, left] + around * table[..., inner, right]
        far = (1 - around) * table[..., outer, left] + around * table[..., outer, right]
        return np.asarray((1 - outward) * near + outward * far)

    def rotation(self, degrees: float) -> Array:
        """In the plane of the two directions, from the axis on."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        result = np.eye(self.dimension)
        result[-2:, -2:] = [[c, s], [-s, c]]
        return result

    def rotate(self, field: Array, rotation: Array) -> Array:
        plane = rotation[-2:, -2:]
        if not np.allclose(plane @ plane.T, np.eye(2), rtol=0, atol=_SAME):
            raise InputError(f"the grid {self} can be turned in the plane of its two directions alone")
        points = self.points()
        points[:, -2:] = points[:, -2:] @ plane
        return self.interpolate(field, points)

    # Kernels: those of linear critics, exactly; rings see each other through one row of angles.

    def require(self, kernel: Kernel) -> None:
        if kernel.critic.linear is None:
            raise InputError(
                f"the grid {self} knows the kernels of critics that are linear in z.z', as cosine and rbf; {kernel.critic} is not"
            )
        if 2 * kernel.concentration > _PLAIN:
            raise InputError(
                f"the grid {self} knows kernels from tau = {kernel.tau * 2 * kernel.concentration / _PLAIN:.2g} on; use a larger "
                "tau, or one direction (--dimension)"
            )

    def why_unresolved(self, kernel: Kernel) -> str | None:
        self.require(kernel)
        needed = _nodes_for(self.dimension, kernel.concentration)
        if self.radii >= needed[0] and self.spokes >= needed[1]:
            return None
        return (
            f"needs {needed[0]} radii and {needed[1]} spokes in {self.dimension} dimensions; use disk:{self.dimension},"
            + ",".join(map(str, needed))
        )

    def least_tau(self, kernel: Kernel) -> float:
        most = min((self.radii / _RINGS) ** 2, (self.spokes / _SPOKES) ** 2) - self.dimension
        return kernel.tau * kernel.concentration / most if most > 0 else np.inf

    def require_resolved(self, costs: Array, kernel: Kernel | None) -> None:
        table = costs.reshape(len(costs), self.radii, self.spokes)
        outward = np.abs(np.diff(table, axis=1)) / np.diff(np.sin(self.ring_angles))[:, None]
        around = np.abs(np.roll(table, -1, axis=2) - table) / (np.sin(self.ring_angles)[:, None] * (2 * pi / self.spokes))
        steepest = float(max(outward.max(), around.max())) * (1 - _SAME)
        needed = _nodes_for(self.dimension, steepest + (0.0 if kernel is None else kernel.concentration))
        if needed[0] > self.radii or needed[1] > self.spokes:
            raise InputError(
                f"the density exp(-U/tau) has a concentration of {steepest:.4g}, which {self} does not resolve; it needs "
                f"{needed[0]} radii and {needed[1]} spokes, of at most {LARGEST_SIZE} nodes together; or use a larger tau"
            )

    def finer(self, spacing: float) -> str:
        return f"a disk of {ceil(pi / 2 / spacing)} radii"

    def log_peak(self, kernel: Kernel) -> float:
        self.require(kernel)
        apart = self.shells().log_kernel(kernel, np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]))
        return float(apart[0, 0])

    def pair_sums(self, kernel: Kernel, field: Array) -> Array:
        table, sums = _kernel(self, kernel), np.empty((self.radii, self.spokes))
        masses = np.ascontiguousarray(np.asarray(field, dtype=np.float64).reshape(self.radii, self.spokes) / self.size)
        negligible = _ROUNDING * float(np.abs(masses).max()) * float(table.min() / table.max())
        threads.over_blocks(_sums_of_rings, self.radii, self.size**2, table, masses, negligible, sums)
        return sums.ravel()

    def log_sums(self, kernel: Kernel, density: Array, weight: Array | None = None) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.pair_sums(kernel, density)))

    def sum_error(self, kernel: Kernel) -> float:
        """0: sums of what is not negative have relative accuracy."""
        return 0.0

    def log_rows(self, kernel: Kernel, at: Indices, of: Indices) -> Array:
        self.require(kernel)
        vectors = self.shell_vectors()
        return self.shells().log_kernel(kernel, vectors[at], vectors[of])

    def shells(self) -> Shells:
        return Shells(self.dimension, 2)

    def shell_vectors(self) -> Array:
        psi, phi = np.repeat(self.ring_angles, self.spokes), np.tile(self.longitudes, self.radii)
        return np.stack([np.sin(psi) * np.cos(phi), np.sin(psi) * np.sin(phi), np.cos(psi)], axis=1)

    def from_shells(self, vectors: Array) -> Array:
        result = np.zeros((len(vectors), self.dimension))
        result[:, -1], result[:, -2], result[:, 0] = vectors.T
        return result

    # Pictures.

    def sky(self, ax: Any, field: Array, label: str = "", norm: Any = None, cmap: Any = "cividis") -> None:
        radii = np.degrees(np.concatenate([[0.0], (self.ring_angles[1:] + self.ring_angles[:-1]) / 2, [pi / 2]]))
        edges = (np.arange(self.spokes + 1) - 0.5) * (2 * pi / self.spokes)
        table = np.asarray(field).reshape(self.radii, self.spokes)
        mesh = ax.pcolormesh(edges, radii, table, norm=norm, cmap=cmap, shading="flat", rasterized=True)
        ax.set(yticks=(30, 60), yticklabels=("30", "60"), xticks=np.arange(4) * pi / 2)
        ax.figure.colorbar(mesh, ax=ax, orientation="horizontal", shrink=0.8, label=label)

    def sky_density(self, ax: Any, density: Array, label: str = "", norm: Any = None, cmap: Any = "magma") -> None:
        """What each node holds: of the uniform density next to nothing far out."""
        super().sky_density(ax, density, "mass of a node, 1 = their mean", norm, cmap)

    def places(self, points: Array) -> tuple[Array, Array]:
        psi, phi = _polar(np.asarray(points, dtype=np.float64))
        return phi, np.degrees(psi)


def _nodes_for(dimension: int, concentration: float) -> tuple[int, int]:
    """Rings and spokes that resolve a kernel and densities whose concentrations add up to so much."""
    scale = sqrt(dimension + concentration)
    return ceil(_RINGS * scale), ceil(_SPOKES * scale)


def _polar(points: Array) -> tuple[Array, Array]:
    """psi and phi of points (n, d)."""
    length = np.hypot(points[:, -1], points[:, -2])
    return np.arcsin(np.clip(length, 0.0, 1.0)), np.arctan2(points[:, -2], points[:, -1]) % (2 * pi)


@lru_cache(maxsize=8)
def _radii(dimension: int, rings: int) -> tuple[Array, Array]:
    """psi of the rings, rising, and log(rings w) of their masses; (rings,) each."""
    nodes = np.sort(ducc0.misc.GL_thetas(rings))
    psi = (1 - np.cos(nodes)) * (pi / 4)
    log_weight = np.log(ducc0.misc.GL_weights(rings, 1)) + np.log(np.sin(psi)) + (dimension - 3) * np.log(np.cos(psi))
    log_weight -= log_weight.max()
    log_weight += log(rings) - log(float(np.sum(np.exp(log_weight))))
    for one in (psi, log_weight):
        one.flags.writeable = False
    return psi, log_weight


@lru_cache(maxsize=8)
def _log_weights(dimension: int, rings: int, spokes: int) -> Array:
    result = np.repeat(_radii(dimension, rings)[1], spokes)
    result.flags.writeable = False
    return result


@lru_cache(maxsize=2)
def _kernel(grid: Disk, kernel: Kernel) -> Array:
    """K between rings at each angle between their spokes, twice around, (radii, radii, 2 spokes)."""
    vectors = grid.shell_vectors().reshape(grid.radii, grid.spokes, 3)
    rows = [grid.shells().log_kernel(kernel, vectors[:, 0], ring) for ring in vectors]
    once = np.exp(np.stack(rows))
    return np.ascontiguousarray(np.concatenate([once, once], axis=2))


@jit(REDUCE)
def _sums_of_rings(first, last, table, masses, negligible, sums):
    """Write sum over rings s and spokes q of table[r, s, p - q] masses[s, q] for the rings r from first to last.

    Masses below what is negligible in every sum are left out: those near the rim are below all numbers, where products are slow.
    """
    spokes = masses.shape[1]
    for r in range(first, last):
        own = sums[r]
        own[:] = 0.0
        for s in range(masses.shape[0]):
            for q in range(spokes):
                mass, row = masses[s, q], table[r, s, spokes - q : 2 * spokes - q]
                if abs(mass) <= negligible:
                    continue
                for p in range(spokes):
                    own[p] += mass * row[p]
