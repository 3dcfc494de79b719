"""Experiment D.2 in densities: Gibbs cap masses, importance sampling of them, and the limit of the particles' objective."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.densities import from_density
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.equilibrium.potentials import Potential, two_well
from fieldsolve.equilibrium.solution import CAP_RADIUS
from fieldsolve.grids import Healpix
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.reproduce.gibbs.particles import BANDWIDTH

TAUS = (10.0, 5.0, 2.5, 1.0, 0.5, 0.2, 0.1)
CONCENTRATION = 12.0
IMPORTANCE_POINTS = 120_000

_NSIDES = (128, 256, 512)
_SMOOTHED_NSIDE = 16  # the kernel is 5 of its pixels wide
_EARLY, _TOLERANCE, _MOST_STEPS = 1e-3, 1e-5, 3000  # nats, nats, steps


@dataclass(frozen=True, eq=False)
class Smoothed:
    """A density (N,) that minimises int U rho/tau + int rho log K_h rho on a grid, as far as descent went.

    cap_mass: of it; early_cap_mass: of the state on the way at which the stationarity was down to 1e-3 nats.
    """

    nside: int
    density: Array
    cap_mass: float
    early_cap_mass: float
    energy: float
    stationarity: float
    steps: int


def potential() -> Potential:
    """D.2's potential [(69)]."""
    return two_well()


def wells() -> Array:
    """The directions of its two wells, (2, 3)."""
    directions = potential().wells
    assert directions is not None
    return directions


def cap_masses() -> tuple[Array, Array]:
    """The Gibbs mass within 0.5 rad of a well at TAUS, (7,), and an estimate of its error.

    Means over pixels, those that the rim cuts counted by their covered area, err like 1/N: two grids give an extrapolation, a
    third one another, and they differ by more than the better one errs.
    """
    coarse, middle, fine = (_cap_masses_on(Healpix(nside)) for nside in _NSIDES)
    better, worse = (4 * fine - middle) / 3, (4 * middle - coarse) / 3
    return better, np.abs(better - worse)


def _cap_masses_on(grid: Healpix) -> Array:
    values, covered = potential().on(grid), grid.coverage(wells(), CAP_RADIUS)
    return np.array([float(np.mean(gibbs(values[None], tau, 0.0).density()[0] * covered)) for tau in TAUS])


def importance_sampled(seed: int) -> tuple[Array, Array]:
    """The same by weighting 120 000 uniform points with exp(-U/tau), and its standard error; (7,) each."""
    points = np.random.default_rng(seed).standard_normal((IMPORTANCE_POINTS, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    energies = potential().function(points)
    inside = in_cap(points)
    masses, errors = [], []
    for tau in TAUS:
        weights = np.exp(-(energies - energies.min()) / tau)
        weights /= weights.sum()
        mass = float(weights @ inside)
        masses.append(mass)
        errors.append(float(np.sqrt(np.sum((weights * (inside - mass)) ** 2))))
    return np.array(masses), np.array(errors)


def in_cap(points: Array) -> Array:
    """1 for points (n, 3) within 0.5 rad of a well, else 0."""
    return np.asarray(((points @ wells().T).max(axis=1) >= np.cos(CAP_RADIUS)).astype(np.float64))


def smooth_state(tau: float) -> Smoothed:
    """What the particles' objective tends to as their number grows, minimised over densities: its kernel stays h = 0.35 wide.

    K_h = exp(-d^2/(2 h^2)) is the geodesic critic's kernel at tau_h = 2 h^2, and (1/tau) int U rho = (1/tau_h) int (U
    tau_h/tau) rho. The energy hardly changes along what the kernel smooths away: descent gets to 1e-5 nats or does 3000 steps.
    """
    grid, kernel = Healpix(_SMOOTHED_NSIDE), Kernel("geodesic", 2 * BANDWIDTH**2)
    energy = Energy(grid, potential().on(grid)[None] * (kernel.tau / tau), kernel.tau, 0.0, kernel)
    early = descend(energy, from_density(np.ones((1, grid.size)), 0.0), _EARLY, _MOST_STEPS)
    found = descend(energy, early.state, _TOLERANCE, _MOST_STEPS)
    density, covered = found.state.density()[0], grid.coverage(wells(), CAP_RADIUS)
    return Smoothed(
        nside=grid.nside,
        density=density,
        cap_mass=float(np.mean(density * covered)),
        early_cap_mass=float(np.mean(early.state.density()[0] * covered)),
        energy=found.evaluation.value,
        stationarity=found.evaluation.stationarity,
        steps=len(early.trace.energy) + len(found.trace.energy) - 2,
    )
