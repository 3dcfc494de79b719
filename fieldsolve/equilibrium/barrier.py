"""The barrier between the matched and a separated state of two densities: the least energy at each centroid gap, and its top."""

from dataclasses import dataclass, replace

import numpy as np

from fieldsolve.equilibrium.atoms import Atoms, Polished
from fieldsolve.equilibrium.densities import LogDensity, normalise
from fieldsolve.equilibrium.descent import Descent, descend
from fieldsolve.equilibrium.differences import eigenvalues_by_differences
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.held import hold
from fieldsolve.equilibrium.polishing import atoms_energy, atoms_of, is_line, why_unpolished
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.sections import Section, gap_along
from fieldsolve.equilibrium.stability import Curvature, curvature
from fieldsolve.equilibrium.starts import start
from fieldsolve.equilibrium.strategy import Search, lowest_by_default
from fieldsolve.grids import Grid
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch

_SECTIONS, _FINEST = 36, 1e-3  # of the largest gap there is, in equal ratios; the first of them
_ROUGH, _STEPS, _TOLERANCE = 60, 200, 1e-8  # steps of a section's descent on the way, and at its top; nats
_LEAD = 0.02  # by which the first modality goes ahead, so that no symmetry is kept that costs energy
_APART = 0.02  # of three sections, by which a further one differs from them
_REFINED = 5  # further sections that the top is looked for on
_ALONE, _FOLLOWED = 2000, 11  # steps of the matched state's descents; couplings that it is followed over
_FREE, _FREE_TOLERANCE = 300, 1e-5  # steps of a descent to the state on either side; nats
_BELOW = 1e-8  # nats by which a state is lower than the matched one
_STIFF = 3.0  # times the top's curvature, that atoms are held by
_MOST_ATOMS = 64
_MOST_POINTS = 4096
_KEPT = 6  # eigenvalues
_FLATTER = 0.05  # of the lowest eigenvalue: what is left of others at a top that sections were followed to
_PARTED = 1e-3  # centroid gap that says along which direction states part
_SAME, _STATIONARY = (
    0.05,
    0.01,
)  # of the height: how much lower, and how little stationary, atoms at the pass may be


class NoBarrierError(InputError):
    """There is no pass, because no densities with a larger centroid gap are below the matched state."""


@dataclass(frozen=True, eq=False)
class Barrier:
    """A pass between the matched and a separated state of two densities, along their centroid gap; see `barrier`.

    gaps, energies: (G,), the least energies found at these gaps in nats, from the matched state to the first section below it.
    matched: energy of the matched state; separated, separated_gap: energy and gap of the lower one of where the way down leads,
    and of the lowest state known. gap, energy, density: of the top, the last one (2, N) on the grid. polished: the top as atoms
    off the grid's points, None where that is not known; gap and energy are then theirs. curvature: of the top on the grid, None
    where it is not known; eigenvalues: its, or by differences, None on grids without harmonics. disagreement: in nats, of the top
    come to from the matched state, and from beyond.
    """

    problem: Problem
    gaps: Array
    energies: Array
    matched: float
    separated: float
    separated_gap: float
    gap: float
    energy: float
    density: Array
    polished: Polished | None
    curvature: Curvature | None
    eigenvalues: Array | None
    disagreement: float

    @property
    def height(self) -> float:
        """From the matched state to the top, in nats: 0 where nothing holds that state."""
        return max(self.energy - self.matched, 0.0)

    @property
    def is_pass(self) -> bool | None:
        """Whether one direction lowers the top's energy and no other by a twentieth as much; None where that is not known."""
        if self.eigenvalues is None or len(self.eigenvalues) < 2:
            return None
        lowest, second = self.eigenvalues[:2].tolist()
        return bool(lowest < 0 and second >= _FLATTER * lowest)

    @property
    def height_back(self) -> float:
        """From the separated state to the top, in nats."""
        return max(self.energy - self.separated, 0.0)


def barrier(problem: Problem, watch: Watch | None = None) -> Barrier:
    """The mountain pass of a smoothed energy of two densities from their matched state to a lower, separated one.

    E(g) = min J over densities with int z.e (rho_1 - rho_2) dmu = g, along the direction e in which the lowest state known is
    separated (beyond the paper; its Section 5 asks for it). Any way from one gap to another meets all gaps between, so that the
    top of E is nowhere above the highest state of a way; where the least states depend on g without a jump it is the pass itself.
    There dE/dg = 0, so that it is stationary; it is lowest within its section, so that one direction at most lowers it. Sections
    are followed from the matched state on. Their energies are local minima, and ways along another direction may be lower still.

    On zonal grids and circles the top is polished off the grid's points. watch: told the sections. Raises InputError for other
    energies, and where no section is below the matched state.
    """
    if problem.modalities != 2 or problem.energy != "smoothed":
        raise InputError("barriers are of the smoothed energy of two modalities; ask for it, and give two potentials")
    if problem.grid.size > _MOST_POINTS:
        raise InputError(
            f"barriers take hundreds of descents, on grids of at most {_MOST_POINTS} points, not the {problem.grid.size} of "
            f"{problem.grid}; use --dimension, --circle or --nside 16"
        )
    energy, levels = problem.functional()
    floor, level = float(problem.floor or 0.0), float((levels / energy.binding.tau).mean())
    matched = _matched(energy, floor)
    lowest = lowest_by_default(Search(energy, floor, _FREE_TOLERANCE, _FREE), None)[1]
    if not energy.has_equal_potentials and matched.evaluation.value <= lowest.evaluation.value + _BELOW:
        raise NoBarrierError(
            "the state that is followed up from coupling 0 is the lowest that is known, so that there is no barrier: either "
            "nothing lower is separated, or at this coupling nothing holds the matched state any more; use others"
        )
    way = _Way(energy, floor, _direction(energy.grid, matched, lowest), watch)
    way.follow(matched)
    top = way.top()
    reached = descend(energy, way.beyond(top).found.state, _FREE_TOLERANCE, _FREE)
    separated = min(reached, lowest, key=lambda one: one.evaluation.value)
    polished = None if way.is_downhill else _polished(problem, energy, levels, way, top)
    bent = _curvature(energy, top.found.state)
    value = top.found.evaluation.value if polished is None else polished.energy
    return Barrier(
        problem=problem,
        gaps=np.array([one.gap for one in way.profile]),
        energies=np.array([one.value for one in way.profile]) + level,
        matched=matched.evaluation.value + level,
        separated=separated.evaluation.value + level,
        separated_gap=gap_along(problem.grid, way.axis, separated.state.density()),
        gap=top.gap if polished is None else way.gap_of(polished.atoms),
        energy=value + level,
        density=top.found.state.density(),
        polished=polished,
        curvature=bent,
        eigenvalues=_eigenvalues(energy, top.found.state) if bent is None else bent.eigenvalues,
        disagreement=0.0 if way.is_downhill else abs(top.value - way.from_beyond(top)),
    )


@dataclass(frozen=True, eq=False)
class _At:
    """A section's lowest state that was found."""

    gap: float
    found: Descent

    @property
    def value(self) -> float:
        return self.found.evaluation.value


class _Way:
    """Sections from the matched state's gap on, until one is lower than that state."""

    def __init__(self, energy: Energy, floor: float, axis: Array, watch: Watch | None) -> None:
        self._energy, self._floor, self.axis, self._watch = energy, floor, axis, watch
        self.lowest, self.profile, self.curve = list[_At](), list[_At](), 0.0

    def follow(self, matched: Descent) -> None:
        """Up from the matched state to the first section below it."""
        grid = self._energy.grid
        first = gap_along(grid, self.axis, matched.state.density())
        largest = 2 * (1 - self._floor) * float(grid.evaluate(lambda points: points @ self.axis).max())
        gaps = first + np.geomspace(_FINEST, 1, _SECTIONS) * (largest - first)
        self.lowest = [_At(first, matched)]
        for gap in gaps[:-1].tolist():
            self.lowest.append(self._section(self.lowest[-1], gap, _ROUGH, _LEAD))
            if self.lowest[-1].value < matched.evaluation.value - _BELOW:
                return
        raise NoBarrierError(
            "no densities with a larger centroid gap lie below the matched state, so that there is no barrier between; "
            "use a larger coupling, above the binodal that fieldsolve stability prints"
        )

    def from_beyond(self, top: _At) -> float:
        """The top's energy where it is come to from the first section beyond it."""
        return self._section(self.beyond(top), top.gap, steps=_STEPS).value

    @property
    def is_downhill(self) -> bool:
        """Whether nothing holds the matched state."""
        return max(self.lowest, key=lambda one: one.value) is self.lowest[0]

    def top(self) -> _At:
        """The highest section, looked for between those that were followed by parabolas through the three highest."""
        k, self.profile = int(np.argmax([one.value for one in self.lowest])), self.lowest
        if k == 0:
            return self.lowest[0]
        three = [self._section(one, one.gap, _STEPS) for one in self.lowest[k - 1 : k + 2]]
        self.profile = [*self.lowest[: k - 1], *three, *self.lowest[k + 2 :]]
        for _ in range(_REFINED):
            gap = _between(three)
            near = three[0] if gap < three[1].gap else three[1]
            new = self._section(near, gap, _STEPS)
            self.profile = sorted([*self.profile, new], key=lambda one: one.gap)
            four = sorted([*three, new], key=lambda one: one.gap)
            best = min(max(int(np.argmax([one.value for one in four])), 1), 2)
            three = four[best - 1 : best + 2]
        self.curve = _bend(three)
        return three[1]

    def beyond(self, top: _At) -> _At:
        """The first section beyond the top."""
        return next(one for one in self.lowest if one.gap > top.gap)

    def gap_of(self, atoms: Atoms) -> float:
        """The gap of atoms over a floor."""
        moved = atoms.centroids(self._energy.grid, self._floor)
        return float((moved[0] - moved[1]) @ self.axis)

    def _section(self, near: _At, gap: float, steps: int, lead: float = 0.0) -> _At:
        section = Section(self._energy, self.axis, gap)
        field = near.found.state.log_density()
        begun, h = section.nearest(field, self._floor)
        if lead:
            ahead = np.array([[1 + lead], [1 - lead]])
            begun, _ = section.nearest(field + h * ahead * section.tilt, self._floor)
        if self._watch is not None:
            self._watch(Progress(0, None, f"sections at a centroid gap of {gap:.3f}"))
        return _At(gap, descend(section, begun, _TOLERANCE, steps))


def _matched(energy: Energy, floor: float) -> Descent:
    """Of equal potentials the two densities that are one, lowest; of others the state that is followed up from coupling 0.

    The energy of two equal densities is that of one modality, which rounding cannot part.
    """
    shape = energy.potentials.shape
    if energy.has_equal_potentials:
        one = replace(energy, potentials=energy.potentials[:1], coupling=0.0)
        alone = descend(one, start("uniform", one, floor), _TOLERANCE, _ALONE)
        state = normalise(np.broadcast_to(alone.state.log_density(), shape).copy(), floor, energy.grid.log_weights)
        return descend(energy, state, np.inf, 0)
    strength, found = energy.strength, None
    if strength is None:
        raise InputError("barriers are of one coupling, not of a mixing matrix; give a number")
    for coupling in np.linspace(0.0, strength, _FOLLOWED).tolist():
        at = replace(energy, coupling=coupling)
        found = descend(at, start("uniform", at, floor) if found is None else found.state, _FREE_TOLERANCE, _ALONE)
    assert found is not None
    return found


def _curvature(energy: Energy, state: LogDensity) -> Curvature | None:
    try:
        return curvature(energy, state) if energy.has_hessian else None
    except InputError:  # of grids without harmonics, and of densities too faint
        return None


def _eigenvalues(energy: Energy, state: LogDensity) -> Array | None:
    """The lowest eigenvalues by differences; None on grids without harmonics."""
    try:
        return eigenvalues_by_differences(energy, state)[:_KEPT]
    except InputError:
        return None


def _direction(grid: Grid, matched: Descent, lowest: Descent) -> Array:
    """Along which the lowest state that is known is separated more than the matched one; the grid's own where it is not."""
    further, own = (np.diff(grid.centroid(one.state.density()), axis=0)[0] for one in (lowest, matched))
    length = float(np.linalg.norm(own - further))
    return np.asarray((own - further) / length) if length > _PARTED else grid.direction


def _between(three: list[_At]) -> float:
    """Where a parabola through three sections is highest, or the middle of the wider interval where that is one of them."""
    at, values = [one.gap for one in three], [one.value for one in three]
    left, right = ((values[1] - values[k]) / (at[1] - at[k]) for k in (0, 2))
    bend = _bend(three) / 2
    gap = 0.5 * (at[0] + at[1] - left / bend) if bend < 0 and left > right else at[1]
    apart = _APART * (at[2] - at[0])
    if at[0] + apart < gap < at[2] - apart and abs(gap - at[1]) > apart:
        return gap
    k = int(at[2] - at[1] > at[1] - at[0])
    return (at[k] + at[k + 1]) / 2


def _bend(three: list[_At]) -> float:
    """The second derivative of a parabola through three sections."""
    at, values = [one.gap for one in three], [one.value for one in three]
    left, right = ((values[1] - values[k]) / (at[1] - at[k]) for k in (0, 2))
    return 2 * (right - left) / (at[2] - at[0])


def _polished(problem: Problem, energy: Energy, levels: Array, way: _Way, top: _At) -> Polished | None:
    """The top off the grid's points, on grids of one angle, where it is few enough atoms."""
    if why_unpolished(energy) is not None or not is_line(energy.grid):
        return None
    floor = float(problem.floor or 0.0)
    atoms = atoms_of(energy, top.found.state.density(), floor)
    if max(len(masses) for masses in atoms.masses) > _MOST_ATOMS:
        return None
    shells = energy.grid.shells()
    assert shells is not None
    axis = way.axis if shells.directions == shells.dimension else way.axis[[-1, 0]] * [1, 0]
    found = hold(atoms_energy(problem, energy, levels, floor), atoms, axis, top.gap, _STIFF * max(-way.curve, 1e-6))
    height = top.value - way.lowest[0].value
    if found is None or found.stationarity > _STATIONARY * height or abs(found.energy - top.value) > _SAME * height:
        return None
    return found
