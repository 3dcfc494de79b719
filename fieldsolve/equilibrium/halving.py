"""Certified lower bounds of smoothed energies, which lie above those of half-smoothed densities: K = S S, and Jensen."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium import dual_many, local_many
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.equilibrium.terms import Contrast, Convexity
from fieldsolve.equilibrium.terms.overlap import log_lowest
from fieldsolve.grids import Grid, Kernel, Modes, Smoother
from fieldsolve.grids.halves import Half, why_no_half
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.progress import Watch

_STEPS, _TOLERANCE = 400, 1e-4  # of the descent that says where the bound is best
_ACCURACY = 1e-8  # of the dual, relative
_MOST_LOST = 1e-4  # nats that the tails of S may cost
_ROUNDING = 1e-13  # of transforms, relative to the range of what is transformed


@dataclass(frozen=True)
class HalfSmoothed(Contrast):
    """(1/A) sum_ab M_ab int sigma_a log sigma_b, sigma = S rho: nowhere above the cross-entropies with log K rho (beyond the
    paper).

    log (S sigma) >= S log sigma [Jensen], since S is positive and of mean 1, and int rho_a S f = int sigma_a f. 1-smooth, and
    jointly convex without coupling, because S is linear and contracts sum int delta^2/rho.
    """

    half: Half
    mixing: Array

    name = "half-smoothed"

    def within(self, mixing: Array, kernel: Kernel | None) -> "HalfSmoothed":
        return self

    def costs(self, density: Array) -> tuple[float, Array]:
        """The term, and A times its variation in sigma at the half's points, (A, M)."""
        sigma = np.maximum(self.half.spread(density), np.finfo(np.float64).tiny)
        logs = np.log(sigma)
        slope = self.mixing @ logs + (self.mixing.T @ sigma) / sigma
        value = float(np.sum(self.mixing * ((sigma * self.half.weights) @ logs.T)))
        return value / len(density), slope

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        value, slope = self.costs(density)
        return value, self.half.gather(slope) / len(density)

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return 1.0

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        k, own = modes.factors(self.half.kernel)[:, None, None], np.diag(self.mixing.sum(axis=0))
        return np.asarray(k * (self.mixing + self.mixing.T - own))

    @property
    def convexity(self) -> Convexity:
        return Convexity.JOINTLY if np.array_equal(self.mixing, np.diag(np.diag(self.mixing))) else Convexity.NOT


def why_unhalved(energy: Energy, floor: float) -> str | None:
    """Why a smoothed energy of one coupling has no bound by halving, or None."""
    assert energy.kernel is not None
    reason = why_no_half(energy.grid, energy.kernel)
    if reason is not None:
        return reason
    if _lost_by_tails(energy, floor) > _MOST_LOST:
        return "the kernel's tails are below rounding where densities may be; a larger tau or a floor makes one possible"
    return None


def _lost_by_tails(energy: Energy, floor: float) -> float:
    """What is lost by raising S until it is positive, in nats.

    With S + delta, of mean 1 + delta, in place of S, K rho rises by at most 2 delta + delta^2, where it is at least m.
    """
    assert energy.kernel is not None
    delta = Half(energy.grid, energy.kernel).deficit
    least = floor + (1 - floor) * float(np.exp(log_lowest(energy.grid, energy.kernel)))
    return (2 * delta + delta**2) / max(least, np.finfo(np.float64).tiny)


def half_smoothed_bound(energy: Energy, floor: float, watch: Watch | None = None) -> float | None:
    """A lower bound of a smoothed energy of one coupling over floored densities on its grid, None where `why_unhalved` says why.

    A J >= sum_a int r_a rho_a + min over sigma in a box, of mean 1, of int [f(sigma) + h . sigma] with r_a = U_a/tau - S h_a,
    for any fields h; f the integrand of the half-smoothed energy. On a grid K rho is d K (d rho) with the balance d, close to
    1: log d belongs to r_a, and d rho is at least d_min rho. The first part is least at a spike, the second is bounded by its
    dual; the box is what S makes of floored densities. h is minus the slope of the uncoupled f at the minimum of its energy,
    which is convex: where S h can be U/tau it is, and for one density, or without coupling, the bound is that minimum.
    """
    assert energy.kernel is not None
    assert energy.strength is not None
    if why_unhalved(energy, floor) is not None:
        return None
    half = Half(energy.grid, energy.kernel)
    term = HalfSmoothed(half, np.eye(energy.modalities))
    lower = Energy(energy.grid, energy.potentials, energy.tau, energy.coupling, None, (term,))
    found = descend(lower, gibbs(energy.potentials, energy.tau, floor), _TOLERANCE, _STEPS, watch).state.density()
    fields = -term.costs(found)[1]
    balance = Smoother(energy.grid, energy.kernel).balance
    rest = energy.potentials / energy.tau - half.gather(fields) + np.log(balance)
    spikes = float(np.mean(floor * rest.mean(axis=1) + (1 - floor) * rest.min(axis=1)))
    # S raised by the deficit, and of mean 1 again, moves S h by that share of the range of h; so does rounding.
    moved = (half.deficit + _ROUNDING) * float(np.mean(np.ptp(fields, axis=1)))
    lost = _lost_by_tails(energy, floor) + moved - float(np.log(min(balance.min(), 1.0)))
    return spikes + _least_of_sigma(half, fields, floor, energy.strength, watch) - lost


def _least_of_sigma(half: Half, fields: Array, floor: float, coupling: float, watch: Watch | None) -> float:
    """A lower bound of (1/A) int [f(sigma) + h . sigma] over half-smoothed densities sigma."""
    if len(fields) == 1 or coupling == 0:
        tops = (-fields).max(axis=1)
        return -float(np.mean(tops + np.log(np.exp(-fields - tops[:, None]) @ half.weights)))
    largest, least, _ = half.profile
    sums = half.spread(np.ones((1, half.grid.size)))
    low = floor * float(sums.min()) + (1 - floor) * least - half.deficit
    high = floor * float(sums.max()) + (1 - floor) * largest + half.deficit
    box = local_many.box(coupling, len(fields), max(low, np.finfo(np.float64).tiny), high)
    return dual_many.highest(fields, half.weights, box, _ACCURACY, watch).bound
