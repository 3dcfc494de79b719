"""Sharp kernels and low temperatures: the smoothed energy nears the intrinsic one, Gibbs densities their ground states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from fieldsolve.equilibrium.densities import check_floor
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.equilibrium.potentials import Potential
from fieldsolve.grids import Grid, Kernel, Smoother
from fieldsolve.grids.critics import critic_of
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch

_COLUMNS = (
    "tau", "difference", "kde_error", "log_error", "bound", "quadratic_bound", "smoothed_symmetric_kl", "log_outside",
    "log_outside_bound",
)  # fmt: skip
_HIGHEST = 1.0, 0.25  # of critics linear in z.z', and of others: the geodesic kernel has a short spectrum below 0.26


@dataclass(frozen=True, eq=False)
class Sharpness:
    """Fixed densities under ever sharper kernels, and Gibbs densities at ever lower temperatures; arrays are over `taus`.

    critic, at, floor, labels: what was asked for; the densities are the floored Gibbs densities at the temperature `at`.
    difference: J - F, in nats. kde_error: (A, T), sup |K rho - rho| [Def 3.4]. log_error: (A, T), sup |log(K rho/rho)|.
    bound: of |J - F| by the KDE errors [Thm 3.2, 4.2]; quadratic_bound: by their squares, for one modality. symmetric_kl: D;
    smoothed_symmetric_kl: D with log K rho [Rem 4.2].
    margin: eta of the neighbourhood {U < min U + eta} of the first potential's ground states; log_outside: log of the mass
    that the Gibbs density at each tau leaves outside it; log_outside_bound: the bound of that [Prop 3.3].
    """

    critic: str
    at: float
    floor: float
    labels: tuple[str, ...]
    taus: Array
    least_density: Array
    difference: Array
    kde_error: Array
    log_error: Array
    bound: Array
    quadratic_bound: Array | None
    symmetric_kl: float
    smoothed_symmetric_kl: Array
    margin: float
    log_outside: Array
    log_outside_bound: Array

    @property
    def modalities(self) -> int:
        return len(self.labels)

    @property
    def difference_rate(self) -> float:
        """The power of tau that |J - F| falls with, between the two smallest taus."""
        return _last_slope(np.log(self.taus), np.log(np.abs(self.difference)))

    @property
    def kde_rate(self) -> float:
        """The power of tau that the largest KDE error falls with, between the two smallest taus."""
        return _last_slope(np.log(self.taus), np.log(self.kde_error.max(axis=0)))

    @property
    def concentration_rate(self) -> float:
        """-d log(mass outside)/d(1/tau) between the two smallest taus; [Prop 3.3] makes it at least eta in the limit."""
        return -_last_slope(1 / self.taus, self.log_outside)

    @property
    def report(self) -> list[str]:
        """What was found, in sentences."""
        largest = float(np.max(np.abs(self.difference) / self.bound))
        sentences = [
            f"|J - F| falls like tau^{self.difference_rate:.3f}, the KDE error like tau^{self.kde_rate:.3f}, at the lowest tau",
            f"largest |J - F|/bound {largest:.3g}; it must not exceed 1",
            f"mass where U exceeds its minimum by {self.margin:.4g} falls like exp(-{self.concentration_rate:.4g}/tau)",
        ]
        if self.modalities == 2:
            last = self.smoothed_symmetric_kl[-1]
            sentences.append(f"symmetric KL {self.symmetric_kl:.6g}, smoothed at the lowest tau {last:.6g}: it stays")
        return sentences

    def summary(self) -> dict[str, Any]:
        """Every figure under the name the command line's JSON gives it; `columns` are those of the table."""
        values: dict[str, Any] = {
            "schema": "fieldsolve/sharpness/1",
            "modalities": self.modalities,
            "potential": list(self.labels),
            "critic": self.critic,
            "at": self.at,
            "floor": self.floor,
            "least_density": self.least_density.tolist(),
            "symmetric_kl": self.symmetric_kl,
            "margin": self.margin,
            "difference_rate": self.difference_rate,
            "kde_rate": self.kde_rate,
            "concentration_rate": self.concentration_rate,
            "report": self.report,
            "tau": self.taus.tolist(),
            "difference": self.difference.tolist(),
            "kde_error": self.kde_error.max(axis=0).tolist(),
            "log_error": self.log_error.max(axis=0).tolist(),
            "bound": self.bound.tolist(),
            "quadratic_bound": None if self.quadratic_bound is None else self.quadratic_bound.tolist(),
            "smoothed_symmetric_kl": self.smoothed_symmetric_kl.tolist() if self.modalities == 2 else None,
            "log_outside": self.log_outside.tolist(),
            "log_outside_bound": self.log_outside_bound.tolist(),
        }
        return values | {"columns": [name for name in _COLUMNS if values[name] is not None]}


def sharpness(
    grid: Grid,
    potentials: Sequence[Potential],
    taus: Sequence[float] | None = None,
    *,
    critic: str = "cosine",
    at: float = 0.5,
    floor: float = 0.0,
    margin: float | None = None,
    watch: Watch | None = None,
) -> Sharpness:
    """Follow |J - F|, the KDE errors and the theorems' bounds as tau falls, for one potential or two.

    rho_a are the (floored) Gibbs densities of U_a at the temperature `at`, and do not change with tau; F - J is then
    sum over pairs of int rho_a log(rho_b/K rho_b), at coupling 1 for two modalities. Because K averages, K rho is never below
    delta = min rho, so that |log(K rho/rho)| <= sup |K rho - rho|/delta without further conditions: |J - F| is at most that,
    or its mean over the two modalities [Thm 3.2, 4.2]. For one modality F - J = KL(rho || K rho) <= int (rho - K rho)^2/K rho is
    even at most sup |K rho - rho|^2/delta: of second order in tau where the theorem has first.

    taus: falling; by default those of `default_taus`. margin: eta; by default a quarter of the first
    potential's range. watch: told how many temperatures are done. Raises InputError for what
    does not fit, and UnresolvedKernelError for a tau too small.
    """
    check_floor(floor)
    falling = default_taus(grid, critic) if taus is None else np.asarray(taus, dtype=float)
    if falling.ndim != 1 or len(falling) < 2 or np.any(np.diff(falling) >= 0) or not falling[-1] > 0:
        raise InputError(f"the temperatures must be at least two falling numbers above 0, not {list(falling)}")
    if len(potentials) not in (1, 2):
        raise InputError(f"sharpness is for one potential or two, not {len(potentials)}")
    values = np.stack([potential.on(grid) for potential in potentials])
    values -= values.min(axis=1, keepdims=True)
    state = gibbs(values, at, floor, grid.log_weights)
    density, logs = state.density(), state.log_density()
    least = np.exp(logs.min(axis=1))
    if not least.min() > 0:
        raise InputError(f"the densities at tau = {at:g} vanish somewhere; give a floor above 0 or a higher temperature `at`")
    heights = values[0]
    if not heights.max() > 0:
        raise InputError("the first potential is flat: every point is a ground state; give one with wells")
    eta = 0.25 * float(np.ptp(heights)) if margin is None else margin
    if not 0 < eta <= heights.max():
        raise InputError(f"the margin must be above 0 and at most the potential's range, {heights.max():.6g}, not {margin}")
    nothing = np.zeros_like(values)
    rows = []
    for index, tau in enumerate(falling.tolist(), start=1):
        kernel = Kernel(critic, tau)
        smoother = Smoother(grid, kernel)
        # J - F does not depend on the potentials, whose digits would be lost in it.
        smoothed, intrinsic = Energy(grid, nothing, tau, 1.0, kernel), Energy(grid, nothing, tau, 1.0)
        smooth, plain = smoothed.evaluate(density)[0], intrinsic.evaluate(density)[0]
        log_smoothed = smoother.log_smooth(density)
        log_error = np.abs(log_smoothed - logs).max(axis=1)
        kde_error = np.abs(smoother.smooth(density) - np.exp(logs)).max(axis=1)
        rows.append((smooth.value - plain.value, kde_error, log_error, float(np.mean(kde_error / least)), smooth.symmetric_kl))
        if watch is not None:
            watch(Progress(index, len(falling), "temperatures"))
    difference, kde_error, log_error, bound, smoothed_kl = (np.array(column).T for column in zip(*rows, strict=True))
    outside = [_outside(heights, grid.log_weights, tau, eta) for tau in falling.tolist()]
    return Sharpness(
        critic=critic,
        at=at,
        floor=floor,
        labels=tuple(potential.label for potential in potentials),
        taus=falling,
        least_density=least,
        difference=difference,
        kde_error=kde_error,
        log_error=log_error,
        bound=bound,
        quadratic_bound=kde_error[0] ** 2 / least[0] if len(potentials) == 1 else None,
        symmetric_kl=Energy(grid, nothing, at, 1.0).evaluate(density)[0].symmetric_kl,
        smoothed_symmetric_kl=smoothed_kl,
        margin=eta,
        log_outside=np.array([mass for mass, _ in outside]),
        log_outside_bound=np.array([bound for _, bound in outside]),
    )


def default_taus(
    grid: Grid, critic: str = "cosine", highest: float | None = None, lowest: float | None = None, steps: int = 16
) -> Array:
    """Temperatures evenly spaced in logarithms, from 1 (0.25 for the geodesic critic) to the lowest that the grid resolves.

    Raises InputError unless they fall.
    """
    top = _HIGHEST[critic_of(critic).linear is None] if highest is None else highest
    bottom = grid.least_tau(Kernel(critic, 1.0)) * 1.001 if lowest is None else lowest
    if not 0 < bottom < top:
        known = f"{bottom:.4g}, the lowest that this grid resolves" if lowest is None else f"{bottom:g}"
        raise InputError(f"the temperatures must fall, and those from {top:g} to {known}, do not; use a finer grid or other ends")
    return np.geomspace(top, bottom, steps)


def _outside(heights: Array, log_weights: Array, tau: float, eta: float) -> tuple[float, float]:
    """log of the Gibbs mass where U - min U >= eta, and of its bound mu(U >= eta)/mu(U <= delta) exp((delta - eta)/tau).

    The bound holds for every delta below eta; the least is taken.
    """
    order = np.argsort(heights, kind="stable")
    ordered, logs = heights[order], np.broadcast_to(log_weights, len(heights))[order]
    beyond = ordered >= eta
    log_mass = float(logsumexp(logs[beyond] - ordered[beyond] / tau) - logsumexp(logs - ordered / tau))
    inside = np.logaddexp.accumulate(logs[~beyond])  # of the points with U <= delta
    return log_mass, float(np.min(logsumexp(logs[beyond]) - inside - (eta - ordered[~beyond]) / tau))


def _last_slope(x: Array, y: Array) -> float:
    return float((y[-1] - y[-2]) / (x[-1] - x[-2]))
