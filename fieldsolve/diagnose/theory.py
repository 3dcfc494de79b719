"""The theory beside the data: a sample on S^2, its potentials, and the equilibria that they lead to at every coupling."""

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from fieldsolve.diagnose.sample import Sample
from fieldsolve.embeddings.pairs import Pairs, from_embeddings
from fieldsolve.equilibrium.densities import from_density
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.phases import Transitions, transitions
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.grids import Grid, Healpix, Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.theorems.dispersion import Dispersion, dispersion
from fieldsolve.theorems.laws import empirical

MOST_PLACED = 5000
FLOOR = 1e-3
COUPLINGS = tuple(np.linspace(0, 1, 21).tolist())

_NSIDES = (32, 64)
_VISIBLE = 1e-6  # centroid gap below which there is none to explain


@dataclass(frozen=True, eq=False)
class Place:
    """Where a sample stands among the equilibria of its own potentials, on the sphere of its three leading directions.

    density: the observed densities (2, N), kernel estimates with the pairs' bandwidth; potentials: U_a (2, N) [Def 4.1]; tau,
    floor: of the problem. For each coupling: the equilibrium's centroids (C, 2, 3), its centroid gap, symmetric KL and phase,
    its certified gap (nats), and excess, how much higher the energy of the observed densities is. centroid_gap, symmetric_kl:
    of the observed densities. dispersion: of two matched uniform densities in the embeddings' own dimension, at the same
    temperature. pairs_used: how many of the pairs. is_resolved: whether the grid resolves the pairs' own bandwidth; if not,
    densities are wider than the data, and equilibria are not theirs.
    """

    grid: Grid
    pairs: Pairs
    pairs_used: int
    bandwidth: float
    is_resolved: bool
    density: Array
    potentials: Array
    tau: float
    floor: float
    couplings: Array
    equilibrium_centroids: Array
    equilibrium_gaps: Array
    equilibrium_kls: Array
    phases: tuple[str, ...]
    certified_gaps: Array
    excess: Array
    centroid_gap: float
    symmetric_kl: float
    transitions: Transitions
    dispersion: Dispersion

    @property
    def effective_potentials(self) -> Array:
        """V_1 = U_1/tau + log rho_2, V_2 = U_2/tau + log rho_1 of the observed densities [Prop 4.2], (2, N)."""
        return np.asarray(self.potentials / self.tau + np.log(self.density[::-1]))

    @property
    def density_centroids(self) -> Array:
        """Of the observed densities, (2, 3)."""
        return np.stack([(self.grid.points().T * one).mean(axis=1) for one in self.density])

    @property
    def nearest_coupling(self) -> float:
        """The coupling whose equilibrium has the centroid gap nearest to the observed one."""
        return float(self.couplings[np.argmin(np.abs(self.equilibrium_gaps - self.centroid_gap))])

    def summary(self) -> dict[str, Any]:
        """All values, as JSON."""
        return {
            "sphere": {
                "pairs": self.pairs_used,
                "retained_fraction": self.pairs.retained_fraction,
                "bandwidth": self.bandwidth,
                "resolved": self.is_resolved,
                "floor": self.floor,
                "centroid_gap": self.centroid_gap,
                "symmetric_kl": self.symmetric_kl,
                "nearest_coupling": self.nearest_coupling,
                "binodal": self.transitions.binodal,
                "spinodal": self.transitions.spinodal,
                "coupling": self.couplings.tolist(),
                "equilibrium_centroid_gap": self.equilibrium_gaps.tolist(),
                "equilibrium_symmetric_kl": self.equilibrium_kls.tolist(),
                "phase": list(self.phases),
                "certified_gap": self.certified_gaps.tolist(),
                "excess_energy": self.excess.tolist(),
            },
            "dispersion": {
                "dimension": self.dispersion.dimension,
                "breaks_at": self.dispersion.breaks_at,
                "mode": self.dispersion.mode,
                "least_penalty": 1 - self.dispersion.breaks_at,
            },
            "theory": self.sentences,
        }

    @property
    def sentences(self) -> list[str]:
        """What the equilibria of the data's potentials are, and when uniform densities part."""
        return [_equilibrium(self), _dispersion(self)]


def place_sample(sample: Sample, tau: float, rng: np.random.Generator) -> Place:
    """Project a sample's pairs to S^2, estimate densities and potentials there, and solve at all couplings.

    At most MOST_PLACED pairs are used, drawn without replacement. Raises InputError for what cannot be projected.
    """
    partners = sample.partners
    if sample.pairs > MOST_PLACED:
        partners = partners[:, np.sort(rng.permutation(sample.pairs)[:MOST_PLACED])]
    pairs = from_embeddings(sample.first.rows[partners[0]], sample.second.rows[partners[1]])
    if pairs.points.shape[2] == 2:
        # Two components are a circle; its points stand on the sphere's equator.
        pairs = Pairs(
            np.concatenate([pairs.points, np.zeros((*pairs.points.shape[:2], 1))], axis=2), pairs.retained_fraction, pairs.norms
        )
    grid, bandwidth = _grid_for(pairs.bandwidth)
    law = empirical(grid, pairs, bandwidth)
    potentials, given = law.potentials(), law.as_potentials()
    state = from_density(np.maximum(law.marginals, 0.0), FLOOR)
    density = state.density()
    problem = Problem(given, tau, FLOOR, grid=grid)
    solutions = [problem.at("coupling", coupling).solve() for coupling in COUPLINGS]
    excess, divergence = [], inf
    for solution, coupling in zip(solutions, COUPLINGS, strict=True):
        observed = Energy(grid, potentials, tau, coupling).evaluate(density)[0]
        excess.append(observed.value - solution.energy)
        divergence = observed.symmetric_kl
    centroids = np.stack([(grid.points().T * one).mean(axis=1) for one in density])
    return Place(
        grid=grid,
        pairs=pairs,
        pairs_used=partners.shape[1],
        bandwidth=bandwidth,
        is_resolved=bandwidth == pairs.bandwidth,
        density=density,
        potentials=potentials,
        tau=tau,
        floor=FLOOR,
        couplings=np.array(COUPLINGS),
        equilibrium_centroids=np.stack([solution.centroids for solution in solutions]),
        equilibrium_gaps=np.array([solution.centroid_gap for solution in solutions]),
        equilibrium_kls=np.array([solution.symmetric_kl for solution in solutions]),
        phases=tuple("" if solution.matched is None else solution.matched.phase.value for solution in solutions),
        certified_gaps=np.array([np.nan if solution.gap is None else solution.gap for solution in solutions]),
        excess=np.array(excess),
        centroid_gap=float(np.linalg.norm(centroids[0] - centroids[1])),
        symmetric_kl=divergence,
        transitions=transitions(potentials - potentials.min(axis=1, keepdims=True), tau, FLOOR),
        dispersion=dispersion(Kernel("cosine", tau), sample.first.rows.shape[1]),
    )


def _grid_for(bandwidth: float) -> tuple[Grid, float]:
    """The coarsest grid that resolves a bandwidth, and the bandwidth; or the finest one's least."""
    for nside in _NSIDES:
        grid = Healpix(nside)
        kernel = Kernel("cosine", bandwidth**2)
        if grid.resolves(kernel):
            return grid, bandwidth
    return grid, 1.001 * float(np.sqrt(grid.least_tau(kernel)))


def _equilibrium(place: Place) -> str:
    if not place.is_resolved or place.centroid_gap < _VISIBLE:
        return (
            "The pairs lie closer together than the finest sphere here resolves: nothing can be said of equilibria of their "
            "potentials."
        )
    least, most, observed = float(place.equilibrium_gaps[0]), float(place.equilibrium_gaps[-1]), place.centroid_gap
    said = (
        f"On the sphere of the three leading directions ({place.pairs.retained_fraction:.1%} of the squared length) the "
        f"centroid gap is {observed:.3f}. The equilibrium of the data's own potentials, held fixed, has {least:.3f} at "
        f"coupling 0 and {most:.3f} at coupling 1 (CLIP); the sample's energy is {place.excess[0]:.3g} and "
        f"{place.excess[-1]:.3g} nats above them."
    )
    own, there = place.density_centroids, place.equilibrium_centroids[0]
    if float((own[0] - own[1]) @ (there[0] - there[1])) < 0:
        return (
            f"{said} There each modality is where the other one is here, pulled to its partners: these equilibria do "
            "not describe the "
            "sample."
        )
    if least > 2 * observed:
        return f"{said} The potentials alone hold a larger gap than is there."
    if least > 0.5 * observed:
        return (
            f"{said} The potentials alone hold a gap of that size: each modality is pulled to where its partners are, across "
            "the gap, so that a penalty on the divergence (beta = 1 - coupling) does not close it by itself."
        )
    share = f"The potentials alone hold {least / observed:.0%} of the gap"
    return f"{said} {share}: a penalty on the divergence (beta = 1 - coupling) can close the rest."


def _dispersion(place: Place) -> str:
    critical = place.dispersion.breaks_at
    return (
        f"In {place.dispersion.dimension} dimensions at temperature {place.tau:g}, two matched uniform densities part beyond "
        f"the coupling {critical:.4f}, along degree {place.dispersion.mode} (1 is a centroid gap): only a penalty beta above "
        f"{1 - critical:.4f} on the smoothed symmetric KL keeps them together."
    )
