"""The energies: intrinsic and smoothed, for any number of modalities; value and first variation from one place."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fieldsolve import pixelwise, threads
from fieldsolve.arrays import Array
from fieldsolve.densities import LogDensity, corrected_shift, from_density, is_normalised, renormalised
from fieldsolve.errors import InputError
from fieldsolve.grids import LOG_ACCURACY, Grid
from fieldsolve.kernels import Kernel
from fieldsolve.solution import symmetric_kl


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An energy at a state: its value, its terms, and how far from stationary the state is.

    state: the normalised state; value: the energy in nats.
    stationarity: Frank-Wolfe gap sum_a [int g_a (rho_a - floor) - (1 - floor) min g_a], never negative beyond
    rounding, 0 exactly at first-order stationary states, an upper bound of energy - minimum for convex energies.
    binding: (A,), int U_a rho_a / tau. cross_entropy: (A, A), -int rho_a log q_b with q = rho for intrinsic energies
    and q = K rho for smoothed ones; its diagonal of an intrinsic energy is the entropy of each density.
    multiplier: (A,), what the variation g_a equals where rho_a exceeds the floor, at a stationary state.
    rounding: bound of the error of the value, in nats.
    """

    state: LogDensity
    value: float
    stationarity: float
    binding: Array
    cross_entropy: Array
    multiplier: Array
    rounding: float

    @property
    def symmetric_kl(self) -> float:
        """D = KL(rho_1||rho_2) + KL(rho_2||rho_1), over all pairs; with log K rho for smoothed energies [Rem 4.2]."""
        return symmetric_kl(self.cross_entropy)


@dataclass(frozen=True, eq=False)
class _Move:
    """What a pass writes: out = keep log rho - length (g - centre)."""

    keep: float
    length: float
    centre: Array
    out: Array


@dataclass(frozen=True, eq=False)
class Energy:
    """The InfoNCE energy of densities rho_1 ... rho_A in the large-batch limit, in nats.

    (1/A) sum_a [ int U_a rho_a / tau + sum_b M_ab int rho_a log q_b ]

    with q = rho (kernel None): the intrinsic functionals F [(6), Def 4.3], or q = K rho: the smoothed, parametric
    energies J [(3), (9)]. The rows of the mixing matrix M sum to 1: M = 1 for one modality; M_aa = 1 - coupling and
    the coupling shared among the others for several. For two modalities at coupling lambda this is
    F_lambda = (F_1 + F_2 - lambda D)/2; lambda = 1 is CLIP.

    Mirror descent of step length 1 (in units of A, see `step`) never raises any of them: for one term
    int rho_a log K rho_b the second variation along (delta_a, delta_b) is at most int delta_a^2 / rho_a, because
    2 xy - y^2 <= x^2; so the energy is 1-smooth relative to the entropy, at every coupling and for every kernel.

    potentials: (A, N); tau > 0; coupling in [0, 1].
    Raises InputError for potentials of the wrong shape or not finite, and for tau or a coupling out of range.
    """

    grid: Grid
    potentials: Array
    tau: float
    coupling: float = 1.0
    kernel: Kernel | None = None

    def __post_init__(self) -> None:
        if self.potentials.ndim != 2 or self.potentials.shape[1] != self.grid.size:
            raise InputError(f"potentials must have shape (A, {self.grid.size}), not {self.potentials.shape}")
        if not np.all(np.isfinite(self.potentials)):
            raise InputError("a potential has values that are not finite")
        if not (np.isfinite(self.tau) and self.tau > 0):
            raise InputError(f"the temperature tau must be a positive number, not {self.tau}")
        if not 0 <= self.coupling <= 1:
            raise InputError(f"the coupling must be between 0 and 1, not {self.coupling}")
        if self.kernel is not None:
            self.grid.require(self.kernel)
            if self.kernel.tau != self.tau:
                raise InputError(f"the energy's tau = {self.tau} and its kernel's {self.kernel.tau} must be the same")

    @property
    def modalities(self) -> int:
        return len(self.potentials)

    @property
    def is_vertex_problem(self) -> bool:
        """Whether the energy is concave in each of two densities, so that its minimum is at a pair of vertices."""
        return self.kernel is None and self.modalities == 2 and self.coupling == 1

    @cached_property
    def mixing(self) -> Array:
        """M, shape (A, A): how much of each density's cross-entropy is against itself and against the others."""
        modalities = self.modalities
        if modalities == 1:
            return np.ones((1, 1))
        mixing = np.full((modalities, modalities), self.coupling / (modalities - 1))
        np.fill_diagonal(mixing, 1 - self.coupling)
        return mixing

    def evaluate(self, density: Array) -> tuple[Evaluation, Array]:
        """The energy at given densities, which are floored at 0 and normalised first, and its first variation.

        density: (A, N); the variation: (A, N), the derivative with respect to rho_a(z) dmu(z).
        Raises InputError for what is no density, or vanishes where a coupled intrinsic energy does not allow it.
        """
        variation = np.empty(self.potentials.shape)
        if self.kernel is None and self.modalities > 1 and self.coupling > 0 and not np.all(density > 0):
            raise InputError("the coupled intrinsic energy is infinite where a density vanishes; give it a floor")
        move = _Move(0.0, -1.0, np.zeros(self.modalities), variation)
        return self._pass(from_density(density, 0.0), move), variation

    def value(self, state: LogDensity) -> float:
        """The energy at a state."""
        return self.step(state, 0.0, np.empty_like(self.potentials))[0].value

    def step(self, state: LogDensity, length: float, out: Array, centre: Array | None = None) -> tuple[Evaluation, LogDensity]:
        """Evaluate the energy at a state, and take the entropic mirror step from it: one pass over the pixels.

        The step minimises length A int g rho + KL(rho || state) over rho >= floor, of mean 1, with the first
        variation g at the state: log rho = log state - length A g, projected. state: its shift may be a guess.
        out: (A, N), where the new state's field is written. centre: (A,), what is taken off the variation first; it
        changes nothing but rounding, and a multiplier known from before keeps long steps from losing digits.
        Returns the evaluation of the (then normalised) state, and the new state, whose shift is a guess: what it
        would be if the floor were active in the same places.
        """
        centre = np.zeros(self.modalities) if centre is None else centre
        scaled = length * self.modalities
        evaluation = self._pass(state, _Move(1.0, scaled, centre, out))
        return evaluation, LogDensity(out, -scaled * (evaluation.multiplier - centre), state.floor)

    def _pass(self, state: LogDensity, move: "_Move") -> Evaluation:
        if self.kernel is None:
            return self._intrinsic(state, move)
        return self._smoothed(state, self.kernel, move)

    def _intrinsic(self, state: LogDensity, move: "_Move") -> Evaluation:
        means = self._mean_pass(self.potentials, 1 / self.tau, self.mixing, state, move)
        totals = (self.grid.size * means).tolist()
        corrected = [
            corrected_shift(shift, row[pixelwise.MASS], row[pixelwise.FLOORED], state.floor, self.grid.size)
            for shift, row in zip(state.shift.tolist(), totals, strict=True)
        ]
        if not all(is_normalised(*pair, state.floor) for pair in zip(state.shift.tolist(), corrected, strict=True)):
            if not np.isfinite(np.sum(state.field)):
                return self._not_finite(state)
            state = renormalised(state.with_shift(np.array(corrected)))
            means = self._mean_pass(self.potentials, 1 / self.tau, self.mixing, state, move)
        binding = self.modalities * means[:, pixelwise.BINDING]
        return self._evaluation(state, means, binding, -means[:, pixelwise.CROSS :])

    def _smoothed(self, state: LogDensity, kernel: Kernel, move: "_Move") -> Evaluation:
        if not np.isfinite(np.sum(state.field)):
            return self._not_finite(state)
        state = renormalised(state)
        density = state.density()
        weight = density
        if self.modalities > 1:
            weight = np.empty_like(density)
            threads.over_chunks(lambda at: _combine(self.mixing.T, density[:, at], weight[:, at]), self.grid.size)
        log_q = [self.grid.log_smooth(one, kernel, weight=counts) for one, counts in zip(density, weight, strict=True)]
        variation = np.empty_like(density)

        def terms(at: slice) -> tuple[Array, Array, list[float]]:
            """Binding and cross-entropies of a part of the points, and the largest log-ratio there; log q becomes the ratio."""
            here = [one[at] for one in log_q]
            _combine(self.mixing, here, variation[:, at])
            bound = self.potentials[:, at] / self.tau
            variation[:, at] += bound
            cross_entropy = -np.array([[np.einsum("n,n", rho, one) for one in here] for rho in density[:, at]])
            for one, counts in zip(log_q, weight, strict=True):
                with np.errstate(divide="ignore"):
                    np.subtract(np.log(counts[at]), one[at], out=one[at])
            return np.einsum("an,an->a", bound, density[:, at]), cross_entropy, [float(one[at].max()) for one in log_q]

        bindings, cross_entropies, largest = zip(*threads.over_chunks(terms, self.grid.size), strict=True)
        binding = np.sum(bindings, axis=0) / self.grid.size
        cross_entropy = np.sum(cross_entropies, axis=0) / self.grid.size
        for b, top in enumerate(np.max(largest, axis=0)):
            # d/d rho_b of sum_a M_ab int rho_a log K rho_b is K (sum_a M_ab rho_a / K rho_b), whose argument may be huge.
            self._add_pull(variation[b], log_q[b], float(top), kernel, density[b])
        means = self._mean_pass(variation, 1.0, np.zeros_like(self.mixing), state, move)
        return self._evaluation(state, means, binding, cross_entropy)

    def _add_pull(self, variation: Array, log_ratio: Array, top: float, kernel: Kernel, weight: Array) -> None:
        """Add K exp(log_ratio), whose largest exponent is top, to a variation; the ratio is used up."""

        def take_exponential(at: slice) -> None:
            log_ratio[at] -= top
            np.exp(log_ratio[at], out=log_ratio[at])

        def add(at: slice) -> None:
            pull[at] *= np.exp(top)
            variation[at] += pull[at]

        threads.over_chunks(take_exponential, self.grid.size)
        pull = self.grid.smooth_closely(log_ratio, kernel, float(np.exp(-top)), weight)
        threads.over_chunks(add, self.grid.size)

    def _not_finite(self, state: LogDensity) -> Evaluation:
        nothing = np.full(self.modalities, np.nan)
        return Evaluation(state, np.nan, np.nan, nothing, np.full_like(self.mixing, np.nan), nothing, np.nan)

    def _mean_pass(self, linear: Array, scale: float, mixing: Array, state: LogDensity, move: "_Move") -> Array:
        """Run the compiled pass and return the means of its sums, (A, columns), with the minimum in LEAST."""
        sums = pixelwise.partial_sums(self.modalities, self.grid.size)
        # fmt: off
        threads.over_blocks(
            pixelwise.energy_pass, sums.shape[1], self.modalities * self.grid.size,
            linear, scale / self.modalities, mixing / self.modalities,
            state.field, state.shift, state.floor, state.log_floor,
            move.keep, move.length, move.centre, move.out, sums,
        )
        # fmt: on
        means = sums.sum(axis=1) / self.grid.size
        means[:, pixelwise.LEAST] = sums[:, :, pixelwise.LEAST].min(axis=1)
        return np.asarray(means)

    def _evaluation(self, state: LogDensity, means: Array, binding: Array, cross_entropy: Array) -> Evaluation:
        excess_mass = 1 - state.floor
        slope, least = means[:, pixelwise.SLOPE], means[:, pixelwise.LEAST]
        size = float(np.sum(np.abs(binding)) + np.sum(np.abs(self.mixing * cross_entropy))) / self.modalities
        return Evaluation(
            state=state,
            value=float(np.sum(binding) - np.sum(self.mixing * cross_entropy)) / self.modalities,
            stationarity=float(np.sum(slope - excess_mass * least)),
            binding=binding,
            cross_entropy=cross_entropy,
            multiplier=slope / excess_mass,
            rounding=1e-13 * (1 + size) + (0.0 if self.kernel is None else 2 * LOG_ACCURACY),
        )


def _combine(matrix: Array, fields: Sequence[Array] | Array, out: Array) -> None:
    """out_a = sum_b matrix_ab fields_b; not a matrix product, whose threads would fight with ours."""
    for weights, target in zip(matrix.tolist(), out, strict=True):
        np.multiply(fields[0], weights[0], out=target)
        for weight, field in zip(weights[1:], fields[1:], strict=True):
            if weight:
                target += weight * field
