"""What a solve returns: the problem, what was found, why it stopped, how it went, and what follows from it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fieldsolve.equilibrium.atoms import Atoms
from fieldsolve.equilibrium.densities import from_density, spike_mass, symmetric_kl
from fieldsolve.equilibrium.descent import Status, Trace
from fieldsolve.equilibrium.phases import Phase, Stability, StatePhase
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.stability import Curvature
from fieldsolve.equilibrium.terms import Convexity
from fieldsolve.grids import Grid, Kernel, Smoother
from fieldsolve.grids.smoothing import can_smooth
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError
from fieldsolve.output.page import card

#: Radius of the caps around a potential's wells, in radians: the paper's, experiment D.2.
CAP_RADIUS = 0.5

#: What the JSON of a solution of one modality is, and of several.
SCHEMAS = ("fieldsolve/unimodal/2", "fieldsolve/multimodal/2")


@dataclass(frozen=True, eq=False)
class Solution:
    """The densities that minimise a problem's energy as far as a solve got, with the values of it.

    problem: what was solved; start: the name of the start that was used; density: (A, N), one row a modality.
    energy, stationarity, binding (A,), cross_entropy (A, A), added (of each added term), log_partition (A,)
    as in `Evaluation` and `log_partition`; bound: a lower bound of the energy, or None where none is known. matched: how
    the state compares to the matched one where the energy has phases, else None. curvature: the local stability of a
    smoothed energy's state if that was asked for, else None. seconds: wall-clock time of the solve; notes: what the user should
    know, sentences. discretisation_error: how far the grid's energy may be from the continuum's, in nats, if that was asked for.
    atoms: where the densities' spikes are, if they were moved off the grid's points; all values are then theirs, and the density
    has each on the nearest point.
    """

    problem: Problem
    start: str
    density: Array
    energy: float
    stationarity: float
    bound: float | None
    matched: StatePhase | None
    curvature: Curvature | None
    binding: Array
    cross_entropy: Array
    added: tuple[float, ...]
    log_partition: Array
    status: Status
    trace: Trace
    seconds: float
    notes: tuple[str, ...] = field(default=())
    discretisation_error: float | None = None
    atoms: Atoms | None = None

    def __repr__(self) -> str:
        gap = "none" if self.gap is None else f"{self.gap:.1e}"
        phase = "" if self.matched is None else f"{self.matched.phase.value}, "
        return (
            f"<Solution: {self.command}, {self.problem.energy} energy {self.energy:.8g}, gap {gap}, on {self.grid}, "
            f"tau {self.tau:g}, floor {self.floor:g}, {phase}{self.status.value}>"
        )

    def _repr_html_(self) -> str:
        from fieldsolve.equilibrium.pictures import plot

        is_several = self.modalities > 1
        rows = {
            "status": self.status.value,
            "energy (nats)": f"{self.energy:.8g}",
            "gap to the grid's bound (nats)": None if self.gap is None else f"{self.gap:.2g}",
            "centroid gap": f"{self.centroid_gap:.6g}" if is_several else None,
            "symmetric KL (nats)": f"{self.symmetric_kl:.6g}" if is_several else None,
            "grid": self.grid,
            "notes": "; ".join(self.notes) or None,
        }
        return card(f"{self.command}, {self.problem.energy} energy", rows, lambda: plot(self))

    # The problem's own, for short.

    @property
    def grid(self) -> Grid:
        result: Grid = self.problem.grid
        return result

    @property
    def tau(self) -> float:
        return self.problem.tau

    @property
    def floor(self) -> float:
        return float(self.problem.floor or 0.0)

    @property
    def coupling(self) -> Any:
        """The coupling or the mixing matrix; None for one modality."""
        return None if self.modalities == 1 else self.problem.coupling

    @property
    def kernel(self) -> Kernel:
        return self.problem.kernel

    @property
    def potentials(self) -> Array:
        """The potentials at the grid's points, (A, N)."""
        return self.problem.values

    @property
    def labels(self) -> tuple[str, ...]:
        """What the potentials are called."""
        return tuple(potential.label for potential in self.problem.resolved)

    @property
    def wells(self) -> Array | None:
        """The named wells of the first potential, (m, d), or None."""
        return self.problem.resolved[0].wells

    @property
    def retained_fraction(self) -> float | None:
        """The share of the embeddings' squared length behind potentials from pairs; None for others."""
        return self.problem.resolved[0].retained_fraction

    @property
    def pairs(self) -> Array | None:
        """The embeddings behind the potentials, (A, n, d), or None."""
        points = [potential.points for potential in self.problem.resolved]
        return np.stack([one for one in points if one is not None]) if all(one is not None for one in points) else None

    @property
    def converged(self) -> bool:
        return self.status in (Status.CONVERGED, Status.CERTIFIED)

    @property
    def modalities(self) -> int:
        return len(self.density)

    @property
    def command(self) -> str:
        """What solves such a problem on the command line."""
        return "unimodal" if self.modalities == 1 else "multimodal"

    @property
    def gap(self) -> float | None:
        """Energy minus bound: how far at most from the global minimum, in nats; None without a bound."""
        return None if self.bound is None else self.energy - self.bound

    @cached_property
    def convexity(self) -> Convexity:
        """What is proved of the energy's convexity."""
        return self.problem.functional()[0].convexity

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
            beyond = "in the continuum a separated one is lower, on this grid none was found"
            return f"{sentence}: {beyond}" if self.matched.stability is Stability.METASTABLE else sentence
        return f"{sentence}, {abs(higher):.4g} nats {'above' if higher >= 0 else 'below'} this one"

    @property
    def excess_mass(self) -> float:
        """The mass that may move, 1 - floor."""
        return 1 - self.floor

    @property
    def entropy(self) -> Array:
        """-int rho_a log rho_a of each density, at most 0 (the entropy of the uniform density), shape (A,)."""
        log_weights = self.grid.log_weights

        def part(at: slice) -> Array:
            here = self.density[:, at]
            logs = np.log(np.where(here > 0, here, 1.0))
            if log_weights.size > 1:
                logs -= log_weights[at]
            return np.asarray(np.einsum("an,an->a", here, logs))

        return np.asarray(0.0 - np.sum(threads.over_chunks(part, self.grid.size), axis=0) / self.grid.size)

    @property
    def symmetric_kl(self) -> float:
        """D = KL(rho_1||rho_2) + KL(rho_2||rho_1), over all pairs; with log K rho for log rho in a smoothed energy."""
        return symmetric_kl(self.cross_entropy)

    @cached_property
    def centroids(self) -> Array:
        """int z rho_a dmu, shape (A, dim + 1)."""
        return self.grid.centroid(self.density) if self.atoms is None else self.atoms.centroids(self.grid, self.floor)

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
        return spike_mass(self.density, self.floor, self.grid.weights)

    def cap_mass(self, radius: float = CAP_RADIUS) -> float | None:
        """Mass of the first density within `radius` radians of any of its potential's wells, None without wells.

        Pixels cut by the rim count with the covered part of their area. Raises InputError unless 0 < radius <= pi.
        """
        if not 0 < radius <= np.pi:
            raise InputError(f"the radius of a cap is between 0 and pi radians, not {radius}")
        if self.wells is None:
            return None
        return float(np.mean(self.density[0] * self.grid.coverage(self.wells, radius)))

    @cached_property
    def kernel_values(self) -> tuple[float, float] | None:
        """KDE error sup |K rho - rho| [Def 3.4], the largest over modalities, and the kernel volume's spread.

        None where the grid cannot smooth by the kernel.
        """
        if not can_smooth(self.grid, self.kernel):
            return None
        smoother = Smoother(self.grid, self.kernel)
        if self.grid.log_weights.size > 1:
            with np.errstate(over="ignore"):  # a spike next to a pole is beyond all numbers
                logs = from_density(self.density, 0.0, self.grid.log_weights).log_density()
                error = float(np.abs(smoother.smooth(self.density) - np.exp(logs)).max())
            return error, smoother.volume_spread()
        error = max(_largest_difference(smoother.smooth(one), one) for one in self.density)
        return error, smoother.volume_spread()

    def summary(self, cap_radius: float = CAP_RADIUS) -> dict[str, Any]:
        """Every figure of the solution under the name the command line's JSON gives it; None where there is none."""
        values = {
            "schema": SCHEMAS[self.modalities > 1],
            "problem": self.problem.to_json(),
            "size": self.grid.size,
            "potential": list(self.labels),
            "wells": None if self.wells is None else self.wells.tolist(),
            "excess_mass": self.excess_mass,
            "energy": self.energy,
            "bound": self.bound,
            "gap": self.gap,
            "discretisation_error": self.discretisation_error,
            "stationarity": self.stationarity,
            "atoms": None if self.atoms is None else self.atoms.to_json(),
            "tol": self.problem.nats,
            "converged": self.converged,
            "status": self.status.value,
            "convexity": self.convexity.words,
            "start": self.start,
            "steps": len(self.trace),
            "seconds": self.seconds,
            "terms": {str(term): value for term, value in zip(self.problem.all_terms, self.added, strict=True)},
            "notes": list(self.notes),
        }
        return values | self._curvature_values() | self._kernel_values() | self._state_values(cap_radius)

    def _kernel_values(self) -> dict[str, Any]:
        kde_error, spread = self.kernel_values or (None, None)
        return {"kde_error": kde_error, "kernel_volume_spread": spread}

    def _curvature_values(self) -> dict[str, Any]:
        names = (
            "local_stability", "unstable_modes", "unstable_modes_are_all", "flat_eigenvalues", "stability_is_exact",
            "lowest_eigenvalues", "multipole_content", "antisymmetry",
        )  # fmt: skip
        bent = self.curvature
        if bent is None:
            return dict.fromkeys(names)
        word = "saddle" if bent.is_saddle else "stable"
        values = (word, bent.unstable, bent.are_all, bent.flat, bent.is_exact, bent.eigenvalues.tolist(), bent.content.tolist())
        return dict(zip(names, (*values, bent.antisymmetry), strict=True))

    def _state_values(self, cap_radius: float) -> dict[str, Any]:
        if self.modalities == 1:
            return {
                "binding": float(self.binding[0]),
                "entropy": float(self.entropy[0]),
                "cross_entropy": float(self.cross_entropy[0, 0]),
                "log_partition": float(self.log_partition[0]),
                "cap_mass": self.cap_mass(cap_radius),
                "cap_radius": cap_radius,
            }
        matched = self.matched
        return {
            "symmetric_kl": self.symmetric_kl,
            "centroid_gap": self.centroid_gap,
            "centroids": self.centroids.tolist(),
            "binding": self.binding.tolist(),
            "entropy": self.entropy.tolist(),
            "cross_entropy": self.cross_entropy.tolist(),
            "log_partition": self.log_partition.tolist(),
            "spike_mass": self.spike_mass.tolist(),
            "retained_fraction": self.retained_fraction,
            "phase": None if matched is None else matched.phase.value,
            "matched_stability": None if matched is None else matched.stability.value,
            "matched_energy": None if matched is None else matched.energy,
        }


def _largest_difference(first: Array, second: Array) -> float:
    return max(threads.over_chunks(lambda at: float(np.abs(first[at] - second[at]).max()), first.size))
