"""The two solvers that users call: one density against its Gibbs equilibrium, several against each other."""

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from fieldsolve import equilibria
from fieldsolve.arrays import Array
from fieldsolve.bounds import lower_bound
from fieldsolve.densities import LogDensity, check_floor
from fieldsolve.descent import Descent, descend
from fieldsolve.energies import Energy, Evaluation
from fieldsolve.errors import InputError
from fieldsolve.grids import Grid
from fieldsolve.kernels import Kernel
from fieldsolve.pairs import Pairs
from fieldsolve.potentials import Potential
from fieldsolve.solution import Solution
from fieldsolve.starts import start as starting_state

Watch = Callable[[int, Evaluation], None]

#: Default tolerances in nats: smoothed energies are nearly flat along what their kernel smooths away.
TOLERANCE_INTRINSIC = 1e-9
TOLERANCE_SMOOTHED = 1e-3
MAX_STEPS = 10_000

#: Stationarity at which a fully coupled descent hands over to exact best responses, which need no small steps.
HANDOVER = 1e-4


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
    watch: Watch | None = None,
) -> Solution:
    """Minimise the unimodal energy, F (intrinsic) [(6)] or J (smoothed) [(3)], over floored densities on a grid.

    F(rho) = int U rho/tau + int rho log rho, whose minimiser is the Gibbs density exp(-U/tau)/Z [Prop 3.2]; the
    solution's bound is the closed form, with the floor. J has log K rho in place of log rho and no bound.

    tau > 0; 0 <= floor < 1; start: see `starts`; tolerance: of the stationarity, in nats. Raises InputError.
    """
    return _solve(
        grid, [potential], tau, floor, None, smoothed, Kernel(critic, tau, allow_unresolved), start, tolerance, max_steps, watch
    )


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
    start: str | Array = "tilted",
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
    watch: Watch | None = None,
) -> Solution:
    """Minimise the multimodal energy, F_lambda (intrinsic) [Def 4.3] or J_lambda (smoothed) [(9)], of two densities.

    F_lambda = (F_1 + F_2 - lambda D)/2 with the symmetric KL divergence D; the coupling lambda is 1 for CLIP. At
    lambda = 1 the intrinsic descent ends with exact best responses [Prop 4.2] and the bound is the exact minimum on
    the grid; at lambda = 0 it is two Gibbs minima; in between, and for J, there is none.

    potentials: one a modality, or positive pairs, whose directional potentials [Def 4.1] are then regressed with
    `bandwidth` (radians). Other parameters as in `unimodal`.
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
    kernel = Kernel(critic, tau, allow_unresolved)
    return _solve(grid, both, tau, floor, coupling, smoothed, kernel, start, tolerance, max_steps, watch, pairs)


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
    watch: Watch | None,
    pairs: Pairs | None = None,
) -> Solution:
    began = perf_counter()
    check_floor(floor)
    if tolerance is None:
        tolerance = TOLERANCE_SMOOTHED if smoothed else TOLERANCE_INTRINSIC
    notes = [note for potential in potentials for note in potential.notes]
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
    energy = Energy(grid, values, tau, 0.0 if coupling is None else coupling, kernel if smoothed else None)
    state = starting_state(start, energy, floor)
    if energy.is_vertex_problem:
        found = descend(energy, state, max(tolerance, HANDOVER), max_steps, watch)
        found = _finished_by_best_responses(energy, found, tolerance)
    else:
        found = descend(energy, state, tolerance, max_steps, watch)
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
        energy=found.evaluation.value,
        stationarity=found.evaluation.stationarity,
        bound=lower_bound(energy, floor),
        binding=found.evaluation.binding,
        cross_entropy=found.evaluation.cross_entropy,
        log_partition=np.array([equilibria.log_partition(one, tau) for one in values]),
        status=found.status,
        trace=found.trace,
        seconds=perf_counter() - began,
        notes=tuple(notes),
        pairs=None if pairs is None else pairs.points,
        retained_fraction=None if pairs is None else pairs.retained_fraction,
    )


def _finished_by_best_responses(energy: Energy, found: Descent, tolerance: float) -> Descent:
    """Take the descent to the vertices that exact best responses lead to, whichever modality responds first."""
    floor = found.state.floor
    log_densities = found.state.log_density()
    best = min(
        (equilibria.best_responses(energy.potentials, energy.tau, log_densities, floor, first) for first in (0, 1)),
        key=lambda vertices: vertices.value,
    )
    fields = np.stack([equilibria.vertex(pixel, energy.grid.size, floor) for pixel in best.pixels])
    finished = descend(energy, LogDensity(fields, np.zeros(2), floor), tolerance, 0)
    return Descent(finished.evaluation, finished.status, found.trace.then(finished.trace, np.inf))
