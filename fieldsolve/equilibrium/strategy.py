"""How the lowest state is looked for: which starts, what follows a descent, and when a saddle is left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, nan

import numpy as np

from fieldsolve.equilibrium import dealing, sheets, vertices
from fieldsolve.equilibrium.bounds import lower_bound
from fieldsolve.equilibrium.densities import LogDensity, from_density, normalise
from fieldsolve.equilibrium.descent import Descent, descend
from fieldsolve.equilibrium.dual import dual
from fieldsolve.equilibrium.dual_many import dual_of_many
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.phases import Matched, matched_state
from fieldsolve.equilibrium.stability import Curvature, curvature, perturb
from fieldsolve.equilibrium.starts import has_bands
from fieldsolve.equilibrium.starts import start as starting_state
from fieldsolve.equilibrium.terms import Convexity
from fieldsolve.grids.smoothing import can_smooth
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch

#: The start that looks for the global minimum of several densities, or of an energy with vertices.
GLOBAL = "global"

#: The start at what solves the problem without smoothing, for smoothed energies.
INTRINSIC = "intrinsic"

#: The start at two bands, for smoothed energies on zonal grids.
BANDS = "bands"

#: The start at what solves the problem without its added terms.
PLAIN = "plain"

#: What smoothed energies of several modalities start from: the lowest end is taken.
_SMOOTHED_STARTS = ("tilted", INTRINSIC)

#: What energies with added terms start from, where nothing better is known: noise finds what no direction does.
_ADDED_STARTS = ("tilted", "gibbs", PLAIN, "random:0")

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


def default_starts(energy: Energy, floor: float) -> tuple[str, ...]:
    """The starts of a problem that names none: what the energy allows; the lowest end counts."""
    if energy.added and energy.convexity is not Convexity.JOINTLY:
        if vertices.has_overlap_vertices(energy, floor):
            return (GLOBAL,)
        return _ADDED_STARTS
    if energy.modalities == 1:
        return ("uniform",)
    if energy.kernel is not None:
        return (*_SMOOTHED_STARTS, BANDS) if has_bands(energy) else _SMOOTHED_STARTS
    return (GLOBAL if energy.has_global_start else "tilted",)


def lowest_end(search: Search, starts: Sequence[str], matched: Matched | None) -> tuple[str, Descent, float | None]:
    """The start that leads lowest, where it leads, and the energy's bound.

    Of several, a later one that is still higher after 500 steps is given up. Of two ends that differ by no more than the
    tolerance the converged one is taken.
    """
    if len(starts) == 1:
        return starts[0], *find_from(search, starts[0], matched)
    start, best = starts[0], _from(search, starts[0])
    for other in starts[1:]:
        found = _from(replace(search, max_steps=min(search.max_steps, _MOST_EXTRA)), other)
        if not found.is_converged and found.evaluation.value < best.evaluation.value and search.max_steps > _MOST_EXTRA:
            found = _from(search, other)
        if _is_better(found, best, search.tolerance):
            start, best = other, found
    return start, best, lower_bound(search.energy, search.floor, best.evaluation, search.watch)


def _is_better(found: Descent, best: Descent, tolerance: float) -> bool:
    gained = best.evaluation.value - found.evaluation.value
    if found.is_converged == best.is_converged:
        return gained > 0
    return gained > tolerance if best.is_converged else gained >= -tolerance


def lowest_by_default(search: Search, matched: Matched | None) -> tuple[str, Descent, float | None]:
    """`lowest_end` from the starts of a problem that names none.

    Of several starts of a smoothed energy the one that leads lowest on a grid with pixels four times as wide is taken, if that
    resolves the kernel. The states themselves are no good there: spikes sit on pixels, and moving them takes more steps
    than a fresh descent. Then modalities exchange their densities: which side is whose is for unequal potentials to say, and a
    descent from a tilt does not come back from the wrong one.
    """
    starts = default_starts(search.energy, search.floor)
    coarse = _on_coarser(search.energy) if len(starts) > 1 else None
    if coarse is not None:
        starts = (lowest_by_default(replace(search, energy=coarse), None)[0],)
    start, best, bound = lowest_end(search, starts, matched)
    energy = search.energy
    if energy.kernel is None or energy.modalities != 2 or energy.has_equal_potentials:
        return start, best, bound
    there = best.state
    exchanged = search.finish(replace(there, field=there.field[::-1].copy(), shift=there.shift[::-1].copy()))
    return start, exchanged if _is_better(exchanged, best, search.tolerance) else best, bound


def _on_coarser(energy: Energy) -> Energy | None:
    """A smoothed energy on a grid with pixels four times as wide, potentials averaged, or None."""
    grid, potentials = energy.grid, energy.potentials
    for _ in range(2):
        coarse = grid.coarser()
        if coarse is None or coarse.size < _LEAST_POINTS or energy.kernel is None or not can_smooth(coarse, energy.kernel):
            return None
        grid, potentials = coarse, grid.coarsened(potentials)
    try:
        return replace(energy, grid=grid, potentials=potentials)
    except InputError:  # of a term whose kernel is narrower
        return None


def find_from(search: Search, start: str | Array, matched: Matched | None) -> tuple[Descent, float | None]:
    """The state that a start leads to, and the energy's bound. Raises InputError for a start that the energy does not allow."""
    if isinstance(start, str) and start == GLOBAL:
        return _lowest(search, matched)
    found = _from(search, start)
    return found, lower_bound(search.energy, search.floor, found.evaluation, search.watch)


def _from(search: Search, start: str | Array) -> Descent:
    """The state that a start besides the global one leads to."""
    if isinstance(start, str) and start == INTRINSIC:
        return search.finish(_of_intrinsic(search))
    if isinstance(start, str) and start == PLAIN:
        return search.finish(_without_terms(search))
    return search.finish(search.begin(start))


def _of_intrinsic(search: Search) -> LogDensity:
    """The state that the same energy without smoothing has by default, with a floor of its own where the problem has none."""
    energy = search.energy
    if energy.kernel is None or energy.added:
        raise InputError("the intrinsic start is for smoothed energies without added terms; start from tilted or another")
    plain = Energy(energy.grid, energy.potentials, energy.tau, energy.coupling)
    floor = max(search.floor, _LEAST_FLOOR)
    there = Search(plain, floor, _ROUGH, search.max_steps, search.watch)
    if plain.has_dual and plain.modalities > 2:
        highest = dual_of_many(
            plain.potentials, plain.tau, floor, plain.strength or 0.0, _ROUGH, search.watch, plain.grid.weights
        )
        dealt = dealing.of_dual(plain, floor, highest, in_slabs=True).density()
        return from_density(dealt, search.floor, plain.grid.log_weights)
    found, _ = find_from(there, default_starts(plain, floor)[0], matched_state(plain, floor))
    return normalise(found.state.log_density(), search.floor, found.state.log_weights)


def _without_terms(search: Search) -> LogDensity:
    """The state that the same energy without its added terms has by default, with a floor of its own where it needs one."""
    energy = search.energy
    if not energy.added:
        raise InputError("the plain start is for energies with added terms; start from tilted or another")
    plain = replace(energy, added=())
    floor = max(search.floor, _LEAST_FLOOR) if plain.needs_floor else search.floor
    there = replace(search, energy=plain, floor=floor, tolerance=max(search.tolerance, _ROUGH))
    found = lowest_by_default(there, matched_state(plain, floor))[1]
    return normalise(found.state.log_density(), search.floor, found.state.log_weights)


def _lowest(search: Search, matched: Matched | None) -> tuple[Descent, float | None]:
    """What the start GLOBAL means: the lowest state that is known of several densities, and their energy's bound."""
    energy, floor = search.energy, search.floor
    if vertices.has_overlap_vertices(energy, floor):
        exact = vertices.overlap_minimum(energy, floor)
        return replace(search, max_steps=0).descend(
            vertices.at_vertices(exact, energy.grid.size, floor, energy.grid.log_weights)
        ), exact.value
    if not energy.has_global_start:
        raise InputError("a global start needs the bound of several densities at one coupling; start from tilted or another")
    if energy.has_vertices:
        exact = vertices.vertex_minimum(energy.potentials, energy.tau, floor, energy.grid.log_weights)
        tilted = search.finish(search.begin("tilted"))
        if tilted.evaluation.value <= exact.value + tilted.evaluation.rounding:
            return tilted, exact.value
        at_best = vertices.at_vertices(exact, energy.grid.size, floor, energy.grid.log_weights)
        return replace(search, max_steps=0).descend(at_best), exact.value
    starts, bound = _of_bound(search)
    starts += [] if matched is None else [matched.state]
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


def _of_bound(search: Search) -> tuple[list[LogDensity], float | None]:
    """The states that an intrinsic energy's bound leads to, best first, and the bound."""
    energy, floor = search.energy, search.floor
    if not energy.has_dual:
        return [starting_state("gibbs", energy, floor)], lower_bound(energy, floor)
    strength = energy.strength or 0.0
    if energy.modalities == 2:
        pair = dual(energy.potentials, energy.tau, floor, strength, watch=search.watch, weights=energy.grid.weights)
        return list(sheets.of_dual(energy, floor, pair)), pair.bound if isfinite(pair.bound) else None
    highest = dual_of_many(energy.potentials, energy.tau, floor, strength, watch=search.watch, weights=energy.grid.weights)
    return [dealing.of_dual(energy, floor, highest)], highest.bound if isfinite(highest.bound) else None


def _lowest_of(descents: list[Descent]) -> Descent:
    return min(descents, key=lambda found: found.evaluation.value)


def _by_best_responses(energy: Energy, found: Descent, tolerance: float) -> Descent:
    """Take the descent to the vertices that exact best responses lead to, whichever modality responds first."""
    floor, log_densities = found.state.floor, found.state.log_density()
    best = min(
        (
            vertices.best_responses(energy.potentials, energy.tau, log_densities, floor, first, energy.grid.log_weights)
            for first in range(energy.modalities)
        ),
        key=lambda pair: pair.value,
    )
    finished = descend(energy, vertices.at_vertices(best, energy.grid.size, floor, energy.grid.log_weights), tolerance, 0)
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
