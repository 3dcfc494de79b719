"""The two solvers that users call: one density against its Gibbs equilibrium, several against each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from time import perf_counter

import numpy as np

from fieldsolve import equilibria
from fieldsolve.arrays import Array
from fieldsolve.bounds import dual, lower_bound
from fieldsolve.curvature import curvature, perturbed
from fieldsolve.densities import LogDensity, check_floor
from fieldsolve.descent import Descent, descend
from fieldsolve.energies import Energy, Evaluation
from fieldsolve.errors import InputError
from fieldsolve.grids import Grid
from fieldsolve.kernels import Kernel
from fieldsolve.matched import Matched, compared, matched_state
from fieldsolve.pairs import Pairs
from fieldsolve.potentials import Potential
from fieldsolve.solution import Phase, Solution
from fieldsolve.starts import of_dual
from fieldsolve.starts import start as starting_state

Watch = Callable[[int, Evaluation], None]

#: Default tolerances in nats: smoothed energies are nearly flat along what their kernel smooths away.
TOLERANCE_INTRINSIC = 1e-9
TOLERANCE_SMOOTHED = 1e-3
MAX_STEPS = 10_000

#: The start that looks for the global minimum of two coupled densities.
GLOBAL = "global"

#: Gap in nats above which a global solve tries more starts, and says that a lower state may exist.
DOUBTFUL = 1e-3

#: Stationarity at which a fully coupled descent hands over to exact best responses, which need no small steps.
HANDOVER = 1e-4

_MOST_ESCAPES = 8  # one or two are usual


def unimodal(
    grid: Grid,
    potential: Potential,
    tau: float,
    floor: float = 0.0,
    *,
    smoothed: bool = False,
    critic: str = "cosine",
    allow_unresolved: bool = False,
    start: str | Array = "uniform",
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
    stability: bool = False,
    escape: bool = False,
    watch: Watch | None = None,
) -> Solution:
    """Minimise the unimodal energy, F (intrinsic) [(6)] or J (smoothed) [(3)], over floored densities on a grid.

    F(rho) = int U rho/tau + int rho log rho, whose minimiser is the Gibbs density exp(-U/tau)/Z [Prop 3.2]; the
    solution's bound is the closed form, with the floor. J has log K rho in place of log rho and no bound.

    tau > 0; 0 <= floor < 1; start: see `starts`; tolerance: of the stationarity, in nats; max_steps: of a descent. stability:
    whether to find the curvature of the state, of a smoothed energy only; escape: whether to leave it along its most
    unstable mode if it is a saddle, and to descend again, until it is none. Raises InputError.
    """
    kernel = Kernel(critic, tau, allow_unresolved)
    after = _After(stability or escape, escape)
    return _solve(grid, [potential], tau, floor, None, smoothed, kernel, start, tolerance, max_steps, after, watch)


def multimodal(
    grid: Grid,
    potentials: Sequence[Potential] | Pairs,
    tau: float,
    floor: float = 1e-3,
    coupling: float = 1.0,
    *,
    smoothed: bool = False,
    critic: str = "cosine",
    allow_unresolved: bool = False,
    bandwidth: float | None = None,
    start: str | Array | None = None,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
    stability: bool = False,
    escape: bool = False,
    watch: Watch | None = None,
) -> Solution:
    """Minimise the multimodal energy, F_lambda (intrinsic) [Def 4.3] or J_lambda (smoothed) [(9)], of two densities.

    F_lambda = (F_1 + F_2 - lambda D)/2 with the symmetric KL divergence D; the coupling lambda is 1 for CLIP. The
    intrinsic energy has a certified lower bound: exact at lambda = 1 [Prop 4.2] and lambda = 0, by duality in between.

    potentials: one a modality, or positive pairs, whose directional potentials [Def 4.1] are then regressed with
    `bandwidth` (radians). start: None for `GLOBAL` where there is a bound of two densities, else tilted. GLOBAL is the lowest
    of the descents from the bound's own minimisers and from the matched state. Other parameters as in `unimodal`.
    Raises InputError, also for a coupled intrinsic problem without a floor, which is unbounded below.
    """
    pairs = potentials if isinstance(potentials, Pairs) else None
    both = list(pairs.potentials(bandwidth) if pairs is not None else potentials)  # type: ignore[arg-type]
    if len(both) < 2:
        raise InputError(f"a multimodal problem needs a potential for each of two modalities, got {len(both)}")
    if floor == 0 and coupling > 0 and not smoothed:
        raise InputError(
            "without a floor the coupled intrinsic energy is unbounded below (one density can vanish where the other "
            "is not); give a floor above 0, a coupling of 0, or the smoothed energy"
        )
    if start is None:
        start = GLOBAL if len(both) == 2 and not smoothed else "tilted"
    kernel = Kernel(critic, tau, allow_unresolved)
    after = _After(stability or escape, escape)
    return _solve(grid, both, tau, floor, coupling, smoothed, kernel, start, tolerance, max_steps, after, watch, pairs)


@dataclass(frozen=True)
class _After:
    """What to do with a state that was found: look at its curvature, leave it if it is a saddle."""

    stability: bool
    escape: bool


def _solve(
    grid: Grid,
    potentials: Sequence[Potential],
    tau: float,
    floor: float,
    coupling: float | None,
    smoothed: bool,
    kernel: Kernel,
    start: str | Array,
    tolerance: float | None,
    max_steps: int,
    after: _After,
    watch: Watch | None,
    pairs: Pairs | None = None,
) -> Solution:
    if after.stability and not smoothed:
        raise InputError("local stability, and escape from saddles, are for the smoothed energy; ask for it, or leave them out")
    began = perf_counter()
    check_floor(floor)
    if tolerance is None:
        tolerance = TOLERANCE_SMOOTHED if smoothed else TOLERANCE_INTRINSIC
    notes = [note for potential in potentials for note in potential.notes]
    if smoothed and tolerance >= TOLERANCE_SMOOTHED:
        notes.append(
            f"at a tolerance of {tolerance:g} nats the energy has settled, but spikes, entropies and centroids may still move; "
            "a smaller --tol (tolerance=) settles them"
        )
    if not grid.resolves(kernel):
        notes.append(
            f"the {kernel.critic} kernel at tau = {tau:g} is narrower than this grid resolves; "
            + ("smoothing by it was allowed all the same" if kernel.unresolved else "its figures are not given")
        )
    elif not grid.can_smooth(kernel):
        notes.append(f"the {kernel.critic} kernel at tau = {tau:g} has no short spectrum; its figures are not given")
    if pairs is not None and max(abs(norm - 1) for norm in pairs.norms) > 0.01:
        notes.append(f"the embeddings have lengths from {pairs.norms[0]:.3g} to {pairs.norms[1]:.3g}; only directions count")
    if pairs is not None and kernel.critic != "cosine":
        notes.append("potentials from pairs are those of the cosine critic")
    values = np.stack([potential.on(grid) for potential in potentials])
    # A constant in a potential moves the energy and nothing else, but its digits would be lost to all that follows.
    levels = values.min(axis=1)
    level = float(levels.mean()) / tau
    relative = values - levels[:, None]
    energy = Energy(grid, relative, tau, 0.0 if coupling is None else coupling, kernel if smoothed else None)
    watch = _raised(watch, level)
    matched = matched_state(energy, floor)
    if isinstance(start, str) and start == GLOBAL:
        found, bound = _lowest(energy, floor, matched, tolerance, max_steps, watch)
    else:
        found = _descent(energy, starting_state(start, energy, floor), tolerance, max_steps, watch)
        bound = lower_bound(energy, floor)
    bent = None
    if after.stability and not found.is_converged:
        notes.append("the local stability is that of stationary states; this one is not converged")
    elif after.stability:
        try:
            bent = curvature(energy, found.state)
            for _ in range(_MOST_ESCAPES if after.escape else 0):
                away = perturbed(energy, found.state, bent.mode) if bent.is_saddle and bent.mode is not None else None
                if away is None:
                    break
                onward = _descent(energy, away, tolerance, max_steps, watch)
                gained = found.evaluation.value - onward.evaluation.value
                found = replace(onward, trace=found.trace.then(onward.trace, nan))
                bent = curvature(energy, found.state)
                if gained <= tolerance:
                    break
            if bent.is_saddle:
                remedy = (
                    "pushes along its mode lower the energy by less than the tolerance"
                    if after.escape
                    else "--escape (escape=True) leaves it"
                )
                notes.append(f"this state is a saddle, not a minimum; {remedy}")
        except InputError as error:
            bent = None
            notes.append(f"the local stability is not known: {error}")
    figures = compared(energy, found.state, matched, level)
    if bound is not None and found.evaluation.value > bound + DOUBTFUL and isinstance(start, str) and start == GLOBAL:
        gap = found.evaluation.value - bound
        notes.append(f"the gap is {gap:.2g} nats: a lower state may exist; other starts or a finer grid may find it")
    if figures is not None and figures.phase is not Phase.MATCHED and np.array_equal(*values):
        notes.append(
            "with equal potentials the intrinsic energy does not say which part of the sphere goes to which modality: "
            "the cut, and with it the centroid gap, is one of many"
        )
    return Solution(
        grid=grid,
        potentials=values,
        labels=tuple(potential.label for potential in potentials),
        wells=potentials[0].wells,
        tau=tau,
        floor=floor,
        coupling=coupling,
        kernel=kernel,
        smoothed=smoothed,
        tolerance=tolerance,
        start=start if isinstance(start, str) else "given densities",
        density=found.state.density(),
        energy=found.evaluation.value + level,
        stationarity=found.evaluation.stationarity,
        bound=None if bound is None else bound + level,
        matched=figures,
        curvature=bent,
        binding=found.evaluation.binding + levels / tau,
        cross_entropy=found.evaluation.cross_entropy,
        log_partition=np.array([equilibria.log_partition(one, tau) for one in relative]) - levels / tau,
        status=found.status,
        trace=replace(found.trace, energy=found.trace.energy + level),
        seconds=perf_counter() - began,
        notes=tuple(notes),
        pairs=None if pairs is None else pairs.points,
        retained_fraction=None if pairs is None else pairs.retained_fraction,
    )


def _raised(watch: Watch | None, level: float) -> Watch | None:
    """The same watch, told energies that are higher by a level."""
    return watch and (lambda steps, evaluation: watch(steps, replace(evaluation, value=evaluation.value + level)))


def _lowest(
    energy: Energy, floor: float, matched: Matched | None, tolerance: float, max_steps: int, watch: Watch | None
) -> tuple[Descent, float | None]:
    """What the start GLOBAL means: the lowest state that is known of two coupled densities, and their energy's bound."""
    if energy.kernel is not None or energy.modalities != 2:
        raise InputError("a global start needs the bound of two densities and an intrinsic energy; start from tilted or another")
    potentials, tau, coupling = energy.potentials, energy.tau, energy.coupling
    if energy.is_vertex_problem:
        exact = equilibria.vertex_minimum(potentials, tau, floor)
        vertices = equilibria.at_vertices(exact, energy.grid.size, floor)
        tilted = _descent(energy, starting_state("tilted", energy, floor), tolerance, max_steps, watch)
        is_exact = tilted.evaluation.value <= exact.value + tilted.evaluation.rounding
        return tilted if is_exact else descend(energy, vertices, tolerance, 0, watch), exact.value
    starts = [] if matched is None else [matched.state]
    if coupling == 0:
        bound = lower_bound(energy, floor)
    else:
        highest = dual(potentials, tau, floor, coupling)
        bound = highest.bound
        starts.append(of_dual(energy, floor, highest))
    least = -inf if bound is None else bound
    descents = [descend(energy, state, tolerance, max_steps, watch, least) for state in starts]
    best = min(descents, key=lambda found: found.evaluation.value)
    if bound is not None and best.evaluation.value > bound + DOUBTFUL:
        more = (starting_state(name, energy, floor) for name in ("tilted", "random:0"))
        best = min(
            [best, *(descend(energy, one, tolerance, max_steps, watch, least) for one in more)],
            key=lambda found: found.evaluation.value,
        )
    return best, bound


def _descent(energy: Energy, state: LogDensity, tolerance: float, max_steps: int, watch: Watch | None) -> Descent:
    if not energy.is_vertex_problem:
        return descend(energy, state, tolerance, max_steps, watch)
    return _finished_by_best_responses(energy, descend(energy, state, max(tolerance, HANDOVER), max_steps, watch), tolerance)


def _finished_by_best_responses(energy: Energy, found: Descent, tolerance: float) -> Descent:
    """Take the descent to the vertices that exact best responses lead to, whichever modality responds first."""
    floor = found.state.floor
    log_densities = found.state.log_density()
    best = min(
        (equilibria.best_responses(energy.potentials, energy.tau, log_densities, floor, first) for first in (0, 1)),
        key=lambda vertices: vertices.value,
    )
    finished = descend(energy, equilibria.at_vertices(best, energy.grid.size, floor), tolerance, 0)
    return Descent(finished.evaluation, finished.status, found.trace.then(finished.trace, np.inf))
