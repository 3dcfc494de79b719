"""Phases of coupled densities: the matched state, what becomes of it as the coupling grows, and where it breaks."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from fieldsolve.equilibrium import dual_many, local_passes, local_problem
from fieldsolve.equilibrium.densities import LogDensity, require_floor, spike_mass
from fieldsolve.equilibrium.dual import point_box
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.grids.grid import EQUAL
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array

#: Share of the excess mass on one pixel from which on a separated density counts as collapsed.
COLLAPSED = 0.5

#: To which transitions are located in the coupling.
TOLERANCE = 1e-9

_LONGEST_STEP = 1 / 16  # along a branch; longer ones could miss that a pair has ended and another one begun
_SHORT = 1e-7, 1 / 256  # step that Newton's method takes unless the branch has ended: absolute, and of the way still to go
_MOST_ITERATIONS = 100
_SHORTEST = 1e-3  # step of Newton's method, as a fraction of the full one
_BALANCED = 1e-10  # mass that may be missing; the last step leaves its square
_CHEAPER = 1e-11  # gain per mass, above rounding, that makes another pair cheaper


def spinodal_of_equals(modalities: int) -> float:
    """The coupling (A - 1)/(2 A) at which A >= 2 equal densities stop being a local minimum, whatever they, tau and the floor
    are.

    The second variation along perturbations of sum 0 is (1 - lambda - lambda (A + 1)/(A - 1)) sum_a int delta_a^2/rho.
    """
    return (modalities - 1) / (2 * modalities)


class Phase(Enum):
    """What kind of state coupled densities are in.

    matched: on the branch of the Gibbs pair of coupling 0. separated: at some points one density has driven the other
    away. collapsed: separated, with at least half of each density's excess mass on one pixel.
    """

    MATCHED = "matched"
    SEPARATED = "separated"
    COLLAPSED = "collapsed"


class Stability(Enum):
    """What the matched state is at a coupling; the value is how the user reads on after "the matched state is".

    stable: the global minimum. metastable: a local minimum on the grid, where at least a pixel for each modality must move (at
    most 0.38/N nats), above a separated state of the continuum; on coarse grids such a state may still be higher. unstable: no
    local minimum, or, with unequal potentials, no longer there.
    """

    STABLE = "stable"
    METASTABLE = "metastable"
    UNSTABLE = "unstable"


@dataclass(frozen=True, eq=False)
class StatePhase:
    """How a state compares to the matched one: its phase, and the matched state's stability and energy (None if it has ended)."""

    phase: Phase
    stability: Stability
    energy: float | None


@dataclass(frozen=True, eq=False)
class Matched:
    """The matched state at a coupling: the branch of stationary states that starts at the Gibbs pair of coupling 0.

    state: floored densities; multipliers: nu_1, nu_2 ... of A F. It is a local minimum of the energy if
    `is_minimum`: the second variation is then positive at every point.
    """

    state: LogDensity
    multipliers: tuple[float, ...]
    is_minimum: bool


def matched_state(energy: Energy, floor: float) -> Matched | None:
    """The matched state of two densities or of equals, or None where the branch has ended, and for smoothed or other energies.

    With equal potentials it is the common floored Gibbs density at any coupling, and a local minimum below (A - 1)/(2 A).
    Otherwise the branch is followed from coupling 0, in steps as long as Newton's method for the two multipliers allows, until
    the pair at some point ends: its second variation stops being positive above the floor, or a density that the floor held
    would lift off without a matched pair to go to. On a grid the mass balance holds single pixels back for a little longer, of
    order 1/N.
    """
    if not _has_phases(energy, floor):
        return None
    coupling = energy.strength or 0.0
    log_weights = energy.grid.log_weights
    if coupling > 0 and not energy.has_equal_potentials:
        return _Branch(energy.potentials, energy.tau, floor, log_weights).at(coupling, _SHORT)
    uncoupled = _gibbs_state(energy.potentials, energy.tau, floor, log_weights)
    return Matched(uncoupled.state, uncoupled.multipliers, coupling < spinodal_of_equals(energy.modalities))


def _has_phases(energy: Energy, floor: float) -> bool:
    return energy.has_phases and (floor > 0 or not energy.needs_floor)


@dataclass(frozen=True)
class Transitions:
    """Where the matched state stops being the global minimum, and where it stops being a minimum, in the coupling."""

    binodal: float
    spinodal: float


def transitions(potentials: Array, tau: float, floor: float, log_weights: Array = EQUAL) -> Transitions:
    """Binodal and spinodal of two densities, or of more with equal potentials, each to 1e-9 by bisection along the matched
    branch.

    Spinodal: the second variation at a matched pair, whose determinant is a multiple of 1 - 2 lambda - 2 lambda cosh(log(a/b)),
    vanishes at the first point where both densities are above the floor (or a density that the floor held lifts off past the
    fold): at 1/4 for equal potentials, whatever the temperature and the floor, and below it for others that are both
    above the floor somewhere.

    Binodal: up to there, at the matched state's multipliers, no point has a pair that is cheaper than its matched one, so
    that the dual equals the energy and certifies it. Beyond, letting points take the cheaper pair lowers the energy
    in the continuum; on a grid, where at least a pixel for each modality must move, only a little later, of order 1/N.

    potentials: (A, N); 0 < floor < 1; log_weights: the grid's. Raises InputError for a floor out of range.
    """
    require_floor(floor)
    branch = _Branch(potentials, tau, floor, log_weights) if len(potentials) == 2 else None
    equals = _gibbs_state(potentials, tau, floor, log_weights)
    end = spinodal_of_equals(len(potentials)) if branch is None else branch.end()
    low, high = 0.0, end
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        found = equals if branch is None else branch.at(middle)
        if found is not None and is_globally_minimal(potentials, tau, floor, middle, found):
            low = middle
        else:
            high = middle
    return Transitions(float(low), float(end))


def is_globally_minimal(potentials: Array, tau: float, floor: float, coupling: float, found: Matched) -> bool:
    """Whether, at a matched state's multipliers, no point has cheaper densities: it is then the global minimum."""
    if coupling == 0:
        return True
    linear, weights = potentials / tau, np.exp(found.state.log_weights)
    if len(potentials) > 2:
        nu = np.array(found.multipliers)
        box_of_many = dual_many.point_box(potentials, floor, coupling, weights)
        dearer = dual_many.slack(linear, nu, box_of_many, found.state.log_density())
        return dearer <= _CHEAPER * (1 + float(np.abs(linear).max()))
    sums = local_passes.partial_sums(linear.shape[1])
    box = point_box(potentials, floor, coupling, weights)
    fields = found.state.log_density()
    work = local_passes.WORK * linear.shape[1]
    threads.over_blocks(local_passes.slack_pass, len(sums), work, linear, *found.multipliers[:2], box, weights, fields, sums)
    return bool(sums[:, local_passes.VALUE].max() <= _CHEAPER * (1 + np.abs(linear).max()))


def compare(energy: Energy, state: LogDensity, matched: Matched | None) -> StatePhase | None:
    """The phase of a state, and what the matched state (None where its branch has ended) is; None where there are no phases.

    A state counts as matched if no log-density of it differs from the matched state's by more than a tenth (and a quarter of
    the way to the floor): at a point that has separated, one density has fallen to the floor.
    """
    if not _has_phases(energy, state.floor):
        return None
    stability, own, phase = Stability.UNSTABLE, None, Phase.SEPARATED
    if matched is not None:
        own = energy.value(matched.state)
        difference = float(np.abs(matched.state.log_density() - state.log_density()).max())
        if difference <= min(0.1, -state.log_floor / 4):
            phase = Phase.MATCHED
        if matched.is_minimum:
            lowest = is_globally_minimal(energy.potentials, energy.tau, state.floor, energy.strength or 0.0, matched)
            stability = Stability.STABLE if lowest else Stability.METASTABLE
    if phase is not Phase.MATCHED and float(spike_mass(state.density(), state.floor, energy.grid.weights).min()) >= COLLAPSED:
        phase = Phase.COLLAPSED
    return StatePhase(phase, stability, own)


class _Branch:
    """The matched branch of two densities, followed upwards in the coupling and remembered as far as it was followed."""

    def __init__(self, potentials: Array, tau: float, floor: float, log_weights: Array) -> None:
        require_floor(floor)
        self._linear = potentials / tau
        self._reached = [(0.0, _gibbs_state(potentials, tau, floor, log_weights))]
        self._missed = 1.0

    def at(self, coupling: float, shortest: tuple[float, float] = (TOLERANCE, 0.0)) -> Matched | None:
        """The state at a coupling, or None if the branch ends before it: no step longer than the shortest leads on.

        shortest: as a difference of couplings, and as a share of the way still to go.
        """
        at, found = max((pair for pair in self._reached if pair[0] <= coupling), key=lambda pair: pair[0])
        step = min(coupling - at, _LONGEST_STEP)
        while at < coupling < self._missed:
            target = min(at + step, coupling)
            there = _newton(self._linear, target, found)
            if there is not None:
                at, found = target, there
                self._reached.append((at, found))
            elif step <= max(shortest[0], shortest[1] * (coupling - at)):
                self._missed = target
            else:
                step /= 2
        return found if at == coupling else None

    def end(self) -> float:
        """The coupling at which the branch ends, to TOLERANCE, or 1."""
        self.at(np.nextafter(1.0, 0.0))
        return self._missed


def _gibbs_state(potentials: Array, tau: float, floor: float, log_weights: Array) -> Matched:
    state = gibbs(potentials, tau, floor, log_weights)
    settled = replace(state, field=state.log_density(), shift=np.zeros(len(potentials)))
    return Matched(settled, tuple((1 - state.shift).tolist()), True)


def _newton(linear: Array, coupling: float, before: Matched) -> Matched | None:
    """The pairs of mass 1 that follow a state of the branch, by Newton's method for the multipliers.

    None if a point's pair ends on the way, or the masses are not met.
    """
    size, floor = linear.shape[1], before.state.floor
    box, weights = local_problem.box(coupling, floor, np.inf), np.exp(before.state.log_weights)
    sums = local_passes.partial_sums(size)
    nu, length, best, state, found = before.multipliers, 1.0, np.inf, before.multipliers, before.state.field
    change = (0.0, 0.0)
    for _ in range(_MOST_ITERATIONS):
        fields = np.empty_like(linear)
        threads.over_blocks(
            local_passes.matched_pass, len(sums), local_passes.WORK * size,
            linear, *nu, box, weights, before.state.field, fields, sums,
        )  # fmt: skip
        means = (sums.sum(axis=0) / size).tolist()
        lack_1, lack_2 = 1 - means[local_passes.MASS_1], 1 - means[local_passes.MASS_2]
        missing = max(abs(lack_1), abs(lack_2)) if means[local_passes.FOLDED] == 0 else np.inf
        if missing < best:
            best, state, found, length = missing, nu, fields, 1.0
            r11, r12, r22 = means[local_passes.RESPONSE_11 :]
            determinant = r11 * r22 - r12 * r12
            if determinant == 0:  # within rounding of the end of the branch
                break
            change = (r22 * lack_1 - r12 * lack_2) / determinant, (r11 * lack_2 - r12 * lack_1) / determinant
        elif best <= _BALANCED or length < _SHORTEST or not best < np.inf:
            break
        else:
            length /= 4
        nu = state[0] + length * change[0], state[1] + length * change[1]
    settled = replace(before.state, field=found, shift=np.zeros(2))
    return Matched(settled, state, True) if best <= _BALANCED else None
