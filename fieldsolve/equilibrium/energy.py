"""The energy of a problem: value, first variation and one mirror step, and what it allows."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fieldsolve.equilibrium import energy_pass
from fieldsolve.equilibrium.densities import (
    LogDensity,
    all_finite,
    corrected_shift,
    from_density,
    is_normalised,
    renormalise,
    symmetric_kl,
)
from fieldsolve.equilibrium.mirror_step import Move, mean_pass
from fieldsolve.equilibrium.terms import Binding, Contrast, Convexity, CrossEntropy, Term, contrast_of
from fieldsolve.equilibrium.terms.cross_entropy import coupling_matrix, is_coupled, mixing_of
from fieldsolve.grids import Grid, Kernel, Smoother
from fieldsolve.grids.smoothing import LOG_ACCURACY
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An energy at a state: its value, its terms, and how far from stationary the state is.

    state: the normalised state; value: the energy in nats.
    stationarity: Frank-Wolfe gap sum_a [int g_a (rho_a - floor) - (1 - floor) min g_a], never negative beyond
    rounding, 0 exactly at first-order stationary states, an upper bound of energy - minimum for convex energies.
    binding: (A,), int U_a rho_a / tau. cross_entropy: (A, A), -int rho_a log q_b with q = rho for intrinsic energies
    and q = K rho for smoothed ones; its diagonal of an intrinsic energy is the entropy of each density. With another contrast q =
    rho on the way, and `Energy.cross_entropies` has them. added: the values of the terms that the problem adds, in their order.
    multiplier: (A,), what the variation g_a equals where rho_a exceeds the floor, at a stationary state.
    rounding: bound of the error of the value, in nats.
    """

    state: LogDensity
    value: float
    stationarity: float
    binding: Array
    cross_entropy: Array
    added: tuple[float, ...]
    multiplier: Array
    rounding: float

    @property
    def symmetric_kl(self) -> float:
        """D = KL(rho_1||rho_2) + KL(rho_2||rho_1), over all pairs; with log K rho for smoothed energies [Rem 4.2]."""
        return symmetric_kl(self.cross_entropy)


@dataclass(frozen=True, eq=False)
class Energy:
    """The InfoNCE energy of densities rho_1 ... rho_A in the large-batch limit, in nats, and what is added to it.

    (1/A) sum_a [ int U_a rho_a / tau + sum_b M_ab int rho_a log q_b ] + sum of added terms

    with q = rho (kernel None): the intrinsic functionals F [(6), Def 4.3], or q = K rho: the smoothed, parametric
    energies J [(3), (9)]. M is the mixing matrix: for two modalities at coupling lambda the energy is
    F_lambda = (F_1 + F_2 - lambda D)/2; lambda = 1 is CLIP. A `Contrast` among the added terms takes the cross-entropies' place.

    potentials: (A, N); tau > 0; coupling: in [0, 1], or a matrix M with rows of sum 1; added: further terms.
    Raises InputError for potentials of the wrong shape or not finite, for tau or a coupling out of range, and for terms that the
    grid or the number of modalities does not allow, or of which two take the cross-entropies' place.
    """

    grid: Grid
    potentials: Array
    tau: float
    coupling: float | Array = 1.0
    kernel: Kernel | None = None
    added: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        if self.potentials.ndim != 2 or self.potentials.shape[1] != self.grid.size:
            raise InputError(f"potentials must have shape (A, {self.grid.size}), not {self.potentials.shape}")
        if not np.all(np.isfinite(self.potentials)):
            raise InputError("a potential has values that are not finite")
        if not (np.isfinite(self.tau) and self.tau > 0):
            raise InputError(f"the temperature tau must be a positive number, not {self.tau}")
        if self.kernel is not None and self.kernel.tau != self.tau:
            raise InputError(f"the energy's tau = {self.tau} and its kernel's {self.kernel.tau} must be the same")
        mixing_of(self.coupling, self.modalities)
        if self.kernel is not None:
            Smoother(self.grid, self.kernel)
        for term in self.added:
            term.check(self.grid, self.modalities)
        contrasts = [str(term) for term in self.added if isinstance(term, Contrast)]
        if len(contrasts) > 1:
            raise InputError(f"the terms {' and '.join(contrasts)} both take the cross-entropies' place; give one of them")
        self.contrast.check(self.grid, self.modalities)

    @property
    def modalities(self) -> int:
        return len(self.potentials)

    @cached_property
    def mixing(self) -> Array:
        """M, shape (A, A): how much of each density's cross-entropy is against itself and against the others."""
        return mixing_of(self.coupling, self.modalities)

    @cached_property
    def contrast(self) -> Term:
        """What the negatives become: the cross-entropies, or the added term that takes their place."""
        return contrast_of(self.added, self.mixing, self.kernel)

    @cached_property
    def penalties(self) -> tuple[Term, ...]:
        """The added terms besides a contrast."""
        return tuple(term for term in self.added if not isinstance(term, Contrast))

    @cached_property
    def binding(self) -> Binding:
        """The alignment of all modalities, at the temperatures that the contrast has for them."""
        own = self.contrast.temperatures(self.tau, self.modalities) if isinstance(self.contrast, Contrast) else self.tau
        return Binding(self.potentials, own)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Everything that the energy is a sum of: binding, contrast, penalties."""
        return self.binding, self.contrast, *self.penalties

    # What the energy allows. Bounds, phases, starts, notes and the descent ask here.

    @cached_property
    def safe_length(self) -> float | None:
        """A mirror step of this length (in units of A, see `step`) never raises the energy: 1 over its relative smoothness.

        None where that is not proved of one of its terms: steps are then shortened until the energy falls.
        """
        proved = [term.smoothness(self.grid, self.modalities) for term in self.terms]
        return None if None in proved else 1 / (sum(one for one in proved if one is not None) or 1.0)

    @cached_property
    def first_length(self) -> float:
        """The length of a descent's first step: the safe one, or that of the terms of which one is proved."""
        proved = [term.smoothness(self.grid, self.modalities) for term in self.terms]
        return 1 / (1 + sum(one or 0.0 for one in proved)) if self.safe_length is None else self.safe_length

    @property
    def convexity(self) -> Convexity:
        """What is proved of the energy's convexity: the least of what is of its terms."""
        return Convexity(min(term.convexity for term in self.terms))

    @cached_property
    def strength(self) -> float | None:
        """The coupling lambda if the mixing matrix is that of one, 0 for one modality; else None."""
        if self.modalities == 1:
            return 0.0
        strength = float(1 - self.mixing[0, 0])
        if np.ndim(self.coupling) == 0:
            return float(self.coupling)
        return strength if np.allclose(self.mixing, coupling_matrix(strength, self.modalities), rtol=0, atol=1e-15) else None

    @property
    def is_intrinsic(self) -> bool:
        """Whether the energy is local: with log rho, and with nothing added."""
        return self.kernel is None and not self.added

    @cached_property
    def is_coupled(self) -> bool:
        """Whether the mixing matrix makes a density's energy depend on another one's, through logarithms."""
        return is_coupled(self.mixing)

    @property
    def is_contrasted(self) -> bool:
        """Whether a density's negatives come from another modality too."""
        return self.modalities > 1 and (self.is_coupled or isinstance(self.contrast, Contrast))

    @property
    def needs_floor(self) -> bool:
        """Whether the energy is unbounded below without a floor: a density may vanish where another one is not."""
        contrast = self.contrast
        return self.kernel is None and (contrast.needs_floor if isinstance(contrast, Contrast) else self.is_coupled)

    @property
    def has_gibbs_form(self) -> bool:
        """Whether the minimisers are the modalities' own floored Gibbs densities."""
        return self.is_intrinsic and not self.is_coupled

    @property
    def has_vertices(self) -> bool:
        """Whether the energy is concave in each of several densities, so that its minimum is at vertices [Prop 4.2]."""
        return self.is_intrinsic and self.modalities > 1 and self.strength == 1

    @property
    def has_dual(self) -> bool:
        """Whether the pointwise dual of coupled densities bounds the energy."""
        return self.is_intrinsic and self.is_coupled and self.strength is not None

    @property
    def has_phases(self) -> bool:
        """Whether states are matched, separated or collapsed: of two densities at one coupling, or more with equal potentials."""
        return self.is_intrinsic and self.strength is not None and (self.modalities == 2 or self.has_equal_potentials)

    @cached_property
    def has_equal_potentials(self) -> bool:
        """Whether several densities have the same potential."""
        return self.modalities > 1 and all(np.array_equal(self.potentials[0], other) for other in self.potentials[1:])

    @property
    def has_global_start(self) -> bool:
        """Whether the bound of several densities, or their closed form, says where the lowest state is."""
        return self.is_intrinsic and self.modalities > 1 and self.strength is not None

    @property
    def has_hessian(self) -> bool:
        """Whether the second variation has smooth modes, so that its lowest eigenvalues say what is stable."""
        return self.kernel is not None and not self.added

    def evaluate(self, density: Array) -> tuple[Evaluation, Array]:
        """The energy at given densities, which are floored at 0 and normalised first, and its first variation.

        density: (A, N); the variation: (A, N), the derivative with respect to rho_a(z) dmu(z).
        Raises InputError for what is no density, or vanishes where a coupled intrinsic energy does not allow it.
        """
        variation = np.empty(self.potentials.shape)
        state = from_density(density, 0.0, self.grid.log_weights)
        if self.needs_floor and state.log_density().min() <= -1e5:
            raise InputError("the coupled intrinsic energy is infinite where a density vanishes; give it a floor")
        move = Move(0.0, -1.0, np.zeros(self.modalities), variation)
        return self._pass(state, move), variation

    def cross_entropies(self, density: Array) -> Array:
        """-int rho_a log q_b of positive densities (A, N), whatever the contrast is, (A, A)."""
        if self._smoother is not None:
            logs = self._smoother.log_smooth(density)
        elif self.grid.log_weights.size > 1:
            logs = from_density(density, 0.0, self.grid.log_weights).log_density()
        else:
            logs = np.log(density)
        return np.asarray(-np.einsum("an,bn->ab", density, logs) / self.grid.size)

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
        evaluation = self._pass(state, Move(1.0, scaled, centre, out))
        return evaluation, replace(state, field=out, shift=-scaled * (evaluation.multiplier - centre))

    def _pass(self, state: LogDensity, move: Move) -> Evaluation:
        return self._in_one_pass(state, move) if self.is_intrinsic else self._term_by_term(state, move)

    def _in_one_pass(self, state: LogDensity, move: Move) -> Evaluation:
        """Binding and cross-entropies at once, point by point; the state is normalised on the way, as it nearly always is."""
        means = mean_pass(self.potentials, 1 / self.tau, self.mixing, state, move)
        totals = (self.grid.size * means).tolist()
        corrected = [
            corrected_shift(shift, row[energy_pass.MASS], row[energy_pass.FLOORED], state.floor, self.grid.size)
            for shift, row in zip(state.shift.tolist(), totals, strict=True)
        ]
        if not all(is_normalised(*pair, state.floor) for pair in zip(state.shift.tolist(), corrected, strict=True)):
            if not all_finite(state.field):
                return self._not_finite(state)
            state = renormalise(state.with_shift(np.array(corrected)))
            means = mean_pass(self.potentials, 1 / self.tau, self.mixing, state, move)
        binding = self.modalities * means[:, energy_pass.BINDING]
        return self._evaluation(state, means, binding, -means[:, energy_pass.CROSS :], ())

    def _term_by_term(self, state: LogDensity, move: Move) -> Evaluation:
        """Each term's variation from the densities themselves, then the pass; local cross-entropies are the pass's own."""
        if not all_finite(state.field):
            return self._not_finite(state)
        state = renormalise(state)
        density = state.density()
        variation = np.empty_like(density)
        binding = self.binding.parts(self.grid, density, variation)
        local, cross_entropy = np.zeros_like(self.mixing), None
        if isinstance(self.contrast, CrossEntropy):
            local = self.mixing if self.kernel is None else local
            if self._smoother is not None:
                cross_entropy = self.contrast.add_smoothed(self._smoother, density, variation)
        values = []
        for term in self.added:
            value, own = (self.contrast if isinstance(term, Contrast) else term).evaluate(self.grid, density)
            values.append(value)
            variation += self.modalities * own
        means = mean_pass(variation, 1.0, local, state, move)
        if cross_entropy is None:
            cross_entropy = -means[:, energy_pass.CROSS :]
        return self._evaluation(state, means, binding, cross_entropy, tuple(values))

    @cached_property
    def _smoother(self) -> Smoother | None:
        return None if self.kernel is None else Smoother(self.grid, self.kernel)

    def _not_finite(self, state: LogDensity) -> Evaluation:
        nothing = np.full(self.modalities, np.nan)
        added = (np.nan,) * len(self.added)
        return Evaluation(state, np.nan, np.nan, nothing, np.full_like(self.mixing, np.nan), added, nothing, np.nan)

    def _evaluation(
        self, state: LogDensity, means: Array, binding: Array, cross_entropy: Array, added: tuple[float, ...]
    ) -> Evaluation:
        excess_mass = 1 - state.floor
        slope, least = means[:, energy_pass.SLOPE], means[:, energy_pass.LEAST]
        mixing = self.mixing if isinstance(self.contrast, CrossEntropy) else np.zeros_like(self.mixing)
        size = float(np.sum(np.abs(binding)) + np.sum(np.abs(mixing * cross_entropy))) / self.modalities
        size += sum(abs(value) for value in added)
        return Evaluation(
            state=state,
            value=float(np.sum(binding) - np.sum(mixing * cross_entropy)) / self.modalities + sum(added),
            stationarity=float(np.sum(slope - excess_mass * least)),
            binding=binding,
            cross_entropy=cross_entropy,
            added=added,
            multiplier=slope / excess_mass,
            rounding=1e-13 * (1 + size) + (0.0 if self.kernel is None else 2 * LOG_ACCURACY),
        )
