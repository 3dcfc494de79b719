"""How the lowest state is looked for: which starts, what follows a descent, and when a saddle is left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, nan

import numpy as np

from fieldsolve.equilibrium import vertices
from fieldsolve.equilibrium.densities import LogDensity, from_density
from fieldsolve.equilibrium.descent import Descent, descend
from fieldsolve.equilibrium.dual import dual, lower_bound
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.phases import Matched, matched_state
from fieldsolve.equilibrium.sheets import of_dual
from fieldsolve.equilibrium.stability import Curvature, curvature, perturb
from fieldsolve.equilibrium.starts import start as starting_state
from fieldsolve.grids.smoothing import can_smooth
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch

#: The start that looks for the global minimum of two densities.
GLOBAL = "global"

#: The start at what solves the problem without smoothing, for smoothed energies.
INTRINSIC = "intrinsic"

#: What smoothed energies of several modalities start from: the lower end is taken.
_SMOOTHED_STARTS = ("tilted", INTRINSIC)

#: Gap in nats above which a global solve tries more starts, and says that a lower state may exist.
DOUBTFUL = 1e-3

#: Stationarity at which a fully coupled descent hands over to exact best responses, which need no small steps.
HANDOVER = 1e-4

_LEAST_POINTS = 700  # of a grid that starts are compared on
_MOST_ESCAPES = 8  # one or two are usual
_MOST_EXTRA = 500  # steps from a further start that does not lead lower
_LEAST_FLOOR, _ROUGH = 1e-3, 1e-6  # of the intrinsic problem that a smoothed one starts from; its tolerance in nats


@dataclass(frozen=True, eq=False)
class Search:
    """How to descend: to which tolerance in nats, in how many steps, and who watches."""

    energy: Energy
    floor: float
    tolerance: float
    max_steps: int
    watch: Watch | None = None

    def begin(self, name: str | Array) -> LogDensity:
        """The state of a start's name, or of given densities."""
        return starting_state(name, self.energy, self.floor)

    def descend(self, state: LogDensity, bound: float = -inf) -> Descent:
        """The plain descent from a state."""
        return descend(self.energy, state, self.tolerance, self.max_steps, self.watch, bound)

    def finish(self, state: LogDensity) -> Descent:
        """The descent from a state, and where the energy has vertices the exact best responses that it leads to."""
        if not self.energy.has_vertices:
            return self.descend(state)
        found = replace(self, tolerance=max(self.tolerance, HANDOVER)).descend(state)
        return _by_best_responses(self.energy, found, self.tolerance)


def default_starts(energy: Energy) -> tuple[str, ...]:
    """The starts of a problem that names none: what the energy allows; the lowest end counts."""
    if energy.modalities == 1:
        return ("uniform",)
    if energy.kernel is not None and not energy.added:
        return _SMOOTHED_STARTS
    return (GLOBAL if energy.has_global_start else "tilted",)


def lowest_end(search: Search, starts: Sequence[str], matched: Matched | None) -> tuple[str, Descent, float | None]:
    """The start that leads lowest, where it leads, and the energy's bound.

    Of several, a later one that is still higher after 500 steps is given up.
    """
    start, (best, bound) = starts[0], find_from(search, starts[0], matched)
    for other in starts[1:]:
        found, _ = find_from(replace(search, max_steps=min(search.max_steps, _MOST_EXTRA)), other, matched)
        if not found.is_converged and found.evaluation.value < best.evaluation.value and search.max_steps > _MOST_EXTRA:
            found, _ = find_from(search, other, matched)
        if (not found.is_converged, found.evaluation.value) < (not best.is_converged, best.evaluation.value):
            start, best = other, found
    return start, best, bound


def lowest_by_default(search: Search, matched: Matched | None) -> tuple[str, Descent, float | None]:
    """`lowest_end` from the starts of a problem that names none.

    Of several starts of a smoothed energy the one that leads lowest on a grid with pixels four times as wide is taken, if that
    resolves the kernel. The states themselves are no good there: spikes sit on pixels, and moving them takes more steps
    than a fresh descent.
    """
    starts = default_starts(search.energy)
    coarse = _on_coarser(search.energy) if len(starts) > 1 else None
    if coarse is not None:
        starts = (lowest_by_default(replace(search, energy=coarse), None)[0],)
    return lowest_end(search, starts, matched)


def _on_coarser(energy: Energy) -> Energy | None:
    """A smoothed energy on a grid with pixels four times as wide, potentials averaged, or None."""
    grid, potentials = energy.grid, energy.potentials
    for _ in range(2):
        coarse = grid.coarser()
        if coarse is None or coarse.size < _LEAST_POINTS or energy.kernel is None or not can_smooth(coarse, energy.kernel):
            return None
        grid, potentials = coarse, grid.coarsened(potentials)
    return replace(energy, grid=grid, potentials=potentials)


def find_from(search: Search, start: str | Array, matched: Matched | None) -> tuple[Descent, float | None]:
    """The state that a start leads to, and the energy's bound. Raises InputError for a start that the energy does not allow."""
    if isinstance(start, str) and start == GLOBAL:
        return _lowest(search, matched)
    state = _of_intrinsic(search) if isinstance(start, str) and start == INTRINSIC else search.begin(start)
    return search.finish(state), lower_bound(search.energy, search.floor)


def _of_intrinsic(search: Search) -> LogDensity:
    """The state that the same energy without smoothing has by default, with a floor of its own where the problem has none."""
    energy = search.energy
    if energy.kernel is None or energy.added:
        raise InputError("the intrinsic start is for smoothed energies without added terms; start from tilted or another")
    plain = Energy(energy.grid, energy.potentials, energy.tau, energy.coupling)
    floor = max(search.floor, _LEAST_FLOOR)
    there = Search(plain, floor, _ROUGH, search.max_steps, search.watch)
    found, _ = find_from(there, default_starts(plain)[0], matched_state(plain, floor))
    return from_density(found.state.density(), search.floor)


def _lowest(search: Search, matched: Matched | None) -> tuple[Descent, float | None]:
    """What the start GLOBAL means: the lowest state that is known of two densities, and their energy's bound."""
    energy, floor = search.energy, search.floor
    if not energy.has_global_start:
        raise InputError("a global start needs the bound of two densities and an intrinsic energy; start from tilted or another")
    if energy.has_vertices:
        exact = vertices.vertex_minimum(energy.potentials, energy.tau, floor)
        tilted = search.finish(search.begin("tilted"))
        if tilted.evaluation.value <= exact.value + tilted.evaluation.rounding:
            return tilted, exact.value
        at_best = vertices.at_vertices(exact, energy.grid.size, floor)
        return replace(search, max_steps=0).descend(at_best), exact.value
    starts = [] if matched is None else [matched.state]
    if not energy.has_dual:
        bound = lower_bound(energy, floor)
    else:
        highest = dual(energy.potentials, energy.tau, floor, energy.strength or 0.0, watch=search.watch)
        bound = highest.bound
        balanced, raw = of_dual(energy, floor, highest)
        starts = [balanced, raw, *starts]
    least = -inf if bound is None else bound
    best = search.descend(starts[0], least)
    if best.evaluation.value > least + search.tolerance:
        best = _lowest_of([best, *(search.descend(state, least) for state in starts[1:])])
    elif matched is not None and energy.value(matched.state) <= best.evaluation.value + best.evaluation.rounding:
        best = search.descend(matched.state, least)
    if bound is not None and best.evaluation.value > bound + DOUBTFUL:
        more = [search.descend(search.begin(name), least) for name in ("tilted", "random:0")]
        best = _lowest_of([best, *more])
    return best, bound


def _lowest_of(descents: list[Descent]) -> Descent:
    return min(descents, key=lambda found: found.evaluation.value)


def _by_best_responses(energy: Energy, found: Descent, tolerance: float) -> Descent:
    """Take the descent to the vertices that exact best responses lead to, whichever modality responds first."""
    floor, log_densities = found.state.floor, found.state.log_density()
    best = min(
        (vertices.best_responses(energy.potentials, energy.tau, log_densities, floor, first) for first in (0, 1)),
        key=lambda pair: pair.value,
    )
    finished = descend(energy, vertices.at_vertices(best, energy.grid.size, floor), tolerance, 0)
    return Descent(finished.evaluation, finished.status, found.trace.then(finished.trace, np.inf))


def settle(search: Search, found: Descent, escape: bool) -> tuple[Descent, Curvature]:
    """A converged state with its curvature; with `escape` the state that saddles lead to, left along their most unstable mode.

    Raises InputError where the curvature is not known.
    """
    energy = search.energy
    bent = curvature(energy, found.state, watch=search.watch)
    for _ in range(_MOST_ESCAPES if escape else 0):
        away = perturb(energy, found.state, bent.mode) if bent.is_saddle and bent.mode is not None else None
        if away is None:
            break
        onward = search.finish(away)
        gained = found.evaluation.value - onward.evaluation.value
        found = replace(onward, trace=found.trace.then(onward.trace, nan))
        bent = curvature(energy, found.state, watch=search.watch)
        if gained <= search.tolerance:
            break
    return found, bent
