"""What a solve returns: what was solved, what was found, why it stopped, how it went, and what follows from it."""

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from fieldsolve.arrays import Array, Indices
from fieldsolve.errors import InputError
from fieldsolve.grids import Grid, Healpix
from fieldsolve.kernels import Kernel

#: Share of the excess mass on one pixel from which on a separated density counts as collapsed.
COLLAPSED = 0.5

#: Radius of the caps around a potential's wells, in radians: the paper's, experiment D.2.
CAP_RADIUS = 0.5


class Status(Enum):
    """Why a descent stopped; the value is the sentence that the user reads."""

    CONVERGED = "converged: the stationarity is at most the tolerance"
    CERTIFIED = "converged: no step lowers the energy any more, and the gap to the bound is at most the tolerance"
    STALLED = "not converged: no step lowers the energy any more in double precision"
    STEPS = "not converged: the largest number of steps was reached"
    NOT_FINITE = "failed: the energy or its variation is not finite"


class Phase(Enum):
    """What kind of state two coupled densities are in.

    matched: on the branch of the Gibbs pair of coupling 0. separated: at some points one density has driven the other
    away. collapsed: separated, with at least half of each density's excess mass on one pixel.
    """

    MATCHED = "matched"
    SEPARATED = "separated"
    COLLAPSED = "collapsed"


class Stability(Enum):
    """What the matched state is at a coupling; the value is how the user reads on after "the matched state is".

    stable: the global minimum. metastable: a local minimum, above a separated state. unstable: no local minimum, or,
    with unequal potentials, no longer there.
    """

    STABLE = "stable"
    METASTABLE = "metastable"
    UNSTABLE = "unstable"


@dataclass(frozen=True, eq=False)
class MatchedFigures:
    """How a state compares to the matched one: its phase, and the matched state's stability and energy (None if it has ended)."""

    phase: Phase
    stability: Stability
    energy: float | None


@dataclass(frozen=True, eq=False)
class Curvature:
    """The lowest eigenvalues of a smoothed energy's constrained Hessian at a state, and the lowest mode; see `curvature`.

    eigenvalues: (m,), rising, in units of the entropy's second variation; flat: those above -flat do not count as unstable.
    are_all: whether every unstable mode was looked for; after many the search ends. is_exact: whether that was over all
    pixels; else it was among harmonics up to degree L. Of the lowest mode, the perturbation delta of the densities, (A, N),
    None where it was not stored: content, (L + 1,), the share of each degree in delta/sqrt(rho), and antisymmetry, the share
    in which the first and the last modality move against each other.
    """

    eigenvalues: Array
    flat: float
    are_all: bool
    is_exact: bool
    mode: Array | None
    content: Array
    antisymmetry: float

    @property
    def unstable(self) -> int:
        """How many modes lower the energy: eigenvalues below -flat."""
        return int(np.sum(self.eigenvalues < -self.flat))

    @property
    def is_saddle(self) -> bool:
        return self.unstable > 0

    @property
    def degree(self) -> int:
        """The degree of which the lowest mode has most."""
        return int(np.argmax(self.content))

    @property
    def sentence(self) -> str:
        """What the state is, in words."""
        searched = "" if self.is_exact else f" up to degree {len(self.content) - 1}"
        if not self.is_saddle:
            return f"stable: no mode{searched} lowers the energy"
        count = f"{'' if self.are_all else 'at least '}{self.unstable} unstable mode{'s' if self.unstable > 1 else ''}{searched}"
        return (
            f"saddle with {count}; the most unstable (eigenvalue {self.eigenvalues[0]:.3g}) is "
            f"{100 * self.content[self.degree]:.0f} % of degree {self.degree}"
        )


@dataclass(frozen=True, eq=False)
class Trace:
    """The accepted states of a descent, each array (steps + 1,).

    energy and stationarity in nats; length: of the step that led there, 0 for the start, inf for a best response,
    NaN for a perturbation that leaves a saddle.
    """

    energy: Array
    stationarity: Array
    length: Array

    def __len__(self) -> int:
        return len(self.energy) - 1

    def then(self, later: "Trace", length: float) -> "Trace":
        """This trace, one step of the given length to the start of a later one, and that."""
        lengths = np.concatenate([self.length, [length], later.length[1:]])
        return Trace(np.append(self.energy, later.energy), np.append(self.stationarity, later.stationarity), lengths)


def symmetric_kl(cross_entropy: Array) -> float:
    """sum over pairs of H(a, b) + H(b, a) - H(a) - H(b), from the cross-entropies (A, A)."""
    own = np.diag(cross_entropy)
    return float(np.sum(cross_entropy - own[:, None]))


def spike_mass(density: Array, floor: float) -> Array:
    """The share of the excess mass that is on the heaviest point. density: (A, N); returns (A,)."""
    return np.asarray((density.max(axis=1) - floor) / ((1 - floor) * density.shape[1]))


@dataclass(frozen=True, eq=False)
class Solution:
    """The densities that minimise an energy as far as a solve got, with the figures of it.

    potentials and density: (A, N), one row a modality; labels: what the potentials are called; wells: (m, dim + 1),
    the named wells of the first potential or None. tau, floor, coupling (None for one modality), kernel, smoothed,
    tolerance, start: what was asked for. energy, stationarity, binding (A,), cross_entropy (A, A), log_partition (A,)
    as in `Evaluation` and `log_partition`; bound: a lower bound of the energy, or None where none is known. matched: how
    the state compares to the matched one, for two modalities and intrinsic energies, else None. curvature: the local
    stability of a smoothed energy's state if that was asked for, else None.
    seconds: wall-clock time of the solve; notes: what the user should know, sentences. pairs: (2, n, dim + 1), the
    points behind the potentials, and retained_fraction, both None unless the potentials are from pairs.
    """

    grid: Grid
    potentials: Array
    labels: tuple[str, ...]
    wells: Array | None
    tau: float
    floor: float
    coupling: float | None
    kernel: Kernel
    smoothed: bool
    tolerance: float
    start: str
    density: Array
    energy: float
    stationarity: float
    bound: float | None
    matched: MatchedFigures | None
    curvature: Curvature | None
    binding: Array
    cross_entropy: Array
    log_partition: Array
    status: Status
    trace: Trace
    seconds: float
    notes: tuple[str, ...] = field(default=())
    pairs: Array | None = None
    retained_fraction: float | None = None

    def __repr__(self) -> str:
        gap = "none" if self.gap is None else f"{self.gap:.1e}"
        kind = "smoothed" if self.smoothed else "intrinsic"
        phase = "" if self.matched is None else f"{self.matched.phase.value}, "
        return (
            f"<Solution: {self.command}, {kind} energy {self.energy:.8g}, gap {gap}, on {self.grid}, "
            f"tau {self.tau:g}, floor {self.floor:g}, {phase}{self.status.value}>"
        )

    @property
    def converged(self) -> bool:
        return self.status in (Status.CONVERGED, Status.CERTIFIED)

    @property
    def modalities(self) -> int:
        return len(self.density)

    @property
    def command(self) -> str:
        return "unimodal" if self.modalities == 1 else "multimodal"

    @property
    def gap(self) -> float | None:
        """Energy minus bound: how far at most from the global minimum, in nats; None without a bound."""
        return None if self.bound is None else self.energy - self.bound

    @property
    def phase_sentence(self) -> str | None:
        """The phase, and what the matched state is, in words; None where phases are not told apart."""
        if self.matched is None:
            return None
        sentence = f"{self.matched.phase.value}; the matched state is {self.matched.stability.value}"
        if self.matched.energy is None:
            return sentence + ": its branch has ended"
        higher = self.matched.energy - self.energy
        if self.matched.phase is Phase.MATCHED:
            return sentence
        return f"{sentence}, {abs(higher):.4g} nats {'above' if higher >= 0 else 'below'} this one"

    @property
    def excess_mass(self) -> float:
        """The mass that may move, 1 - floor."""
        return 1 - self.floor

    @property
    def entropy(self) -> Array:
        """-int rho_a log rho_a of each density, at most 0 (the entropy of the uniform density), shape (A,)."""
        positive = np.where(self.density > 0, self.density, 1.0)
        return np.asarray(0.0 - self.grid.mean(self.density * np.log(positive)))

    @property
    def symmetric_kl(self) -> float:
        """D = KL(rho_1||rho_2) + KL(rho_2||rho_1), over all pairs; with log K rho for log rho in a smoothed energy."""
        return symmetric_kl(self.cross_entropy)

    @cached_property
    def centroids(self) -> Array:
        """int z rho_a dmu, shape (A, dim + 1)."""
        return self.grid.centroid(self.density)

    @property
    def centroid_gap(self) -> float:
        """Distance between the modalities' centroids, at most 2; of several the largest."""
        return float(np.linalg.norm(self.centroids[:, None] - self.centroids[None], axis=-1).max())

    @property
    def spikes(self) -> Indices:
        """The heaviest pixel of each density, shape (A,)."""
        return np.asarray(np.argmax(self.density, axis=1))

    @property
    def spike_mass(self) -> Array:
        """Share of each density's excess mass on its heaviest pixel, shape (A,): 1 after complete collapse."""
        return spike_mass(self.density, self.floor)

    def cap_mass(self, radius: float = CAP_RADIUS) -> float | None:
        """Mass of the first density within `radius` radians of any of its potential's wells, None without wells.

        Pixels cut by the rim count with the covered part of their area. Raises InputError unless 0 < radius <= pi.
        """
        if not 0 < radius <= np.pi:
            raise InputError(f"the radius of a cap is between 0 and pi radians, not {radius}")
        if self.wells is None:
            return None
        return float(self.grid.mean(self.density[0] * self.grid.coverage(self.wells, radius)))

    @cached_property
    def kernel_figures(self) -> tuple[float, float] | None:
        """KDE error sup |K rho - rho| [Def 3.4], the largest over modalities, and the kernel volume's spread.

        None where the grid cannot smooth by the kernel.
        """
        if not self.grid.can_smooth(self.kernel):
            return None
        error = max(float(np.abs(self.grid.smooth(one, self.kernel) - one).max()) for one in self.density)
        return error, self.grid.kernel_volume_spread(self.kernel)

    def summary(self, cap_radius: float = CAP_RADIUS) -> dict[str, Any]:
        """Every figure of the solution under the name the command line's JSON gives it; None where there is none."""
        kde_error, spread = self.kernel_figures or (None, None)
        figures: dict[str, Any] = {
            "schema": f"fieldsolve/{self.command}/1",
            "grid": "healpix" if isinstance(self.grid, Healpix) else "circle",
            "nside": self.grid.nside if isinstance(self.grid, Healpix) else None,
            "size": self.grid.size,
            "potential": list(self.labels),
            "wells": None if self.wells is None else self.wells.tolist(),
            "tau": self.tau,
            "floor": self.floor,
            "excess_mass": self.excess_mass,
            "critic": self.kernel.critic,
            "allow_unresolved": self.kernel.unresolved,
            "energy_kind": "smoothed" if self.smoothed else "intrinsic",
            "energy": self.energy,
            "bound": self.bound,
            "gap": self.gap,
            "stationarity": self.stationarity,
            "tol": self.tolerance,
            "converged": self.converged,
            "status": self.status.value,
            "start": self.start,
            "steps": len(self.trace),
            "seconds": self.seconds,
            "local_stability": None if self.curvature is None else "saddle" if self.curvature.is_saddle else "stable",
            "unstable_modes": None if self.curvature is None else self.curvature.unstable,
            "unstable_modes_are_all": None if self.curvature is None else self.curvature.are_all,
            "flat_eigenvalues": None if self.curvature is None else self.curvature.flat,
            "stability_is_exact": None if self.curvature is None else self.curvature.is_exact,
            "lowest_eigenvalues": None if self.curvature is None else self.curvature.eigenvalues.tolist(),
            "multipole_content": None if self.curvature is None else self.curvature.content.tolist(),
            "antisymmetry": None if self.curvature is None else self.curvature.antisymmetry,
            "kde_error": kde_error,
            "kernel_volume_spread": spread,
            "notes": list(self.notes),
        }
        if self.modalities == 1:
            figures |= {
                "binding": float(self.binding[0]),
                "entropy": float(self.entropy[0]),
                "cross_entropy": float(self.cross_entropy[0, 0]),
                "log_partition": float(self.log_partition[0]),
                "cap_mass": self.cap_mass(cap_radius),
                "cap_radius": cap_radius,
            }
        else:
            figures |= {
                "coupling": self.coupling,
                "symmetric_kl": self.symmetric_kl,
                "centroid_gap": self.centroid_gap,
                "centroids": self.centroids.tolist(),
                "binding": self.binding.tolist(),
                "entropy": self.entropy.tolist(),
                "cross_entropy": self.cross_entropy.tolist(),
                "log_partition": self.log_partition.tolist(),
                "spike_mass": self.spike_mass.tolist(),
                "retained_fraction": self.retained_fraction,
                "phase": None if self.matched is None else self.matched.phase.value,
                "matched_stability": None if self.matched is None else self.matched.stability.value,
                "matched_energy": None if self.matched is None else self.matched.energy,
            }
        return figures
