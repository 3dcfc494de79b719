"""What a user should know of a solution besides its numbers: tests, and the sentence for each that holds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from fieldsolve.equilibrium.bounds import why_unbounded
from fieldsolve.equilibrium.densities import symmetric_kl
from fieldsolve.equilibrium.descent import Descent
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.phases import Phase, StatePhase
from fieldsolve.equilibrium.polishing import Settled, is_spiked, points_covered
from fieldsolve.equilibrium.problem import TOLERANCES, Problem
from fieldsolve.equilibrium.stability import Curvature
from fieldsolve.equilibrium.strategy import DOUBTFUL
from fieldsolve.equilibrium.terms import Convexity
from fieldsolve.grids import Grid
from fieldsolve.grids.smoothing import can_smooth
from fieldsolve.numerics.arrays import Array

_APART = 0.1  # nats of symmetric KL


@dataclass(frozen=True, eq=False)
class Case:
    """A solved problem as the notes see it. start: the name that was used; why_unknown: why the curvature is not known;
    cross_entropy: -int rho_a log q_b; spikes: what became of spikes."""

    problem: Problem
    energy: Energy
    start: str
    found: Descent
    bound: float | None
    matched: StatePhase | None
    curvature: Curvature | None
    why_unknown: str | None
    cross_entropy: Array
    spikes: Settled

    @cached_property
    def density(self) -> Array:
        """The state's, (A, N)."""
        return self.found.state.density()

    @property
    def gap(self) -> float:
        """Energy minus bound, 0 without one."""
        return 0.0 if self.bound is None else self.found.evaluation.value - self.bound


def _is_settled_loosely(case: Case) -> bool:
    return case.problem.nats >= TOLERANCES["smoothed"] and case.spikes.polished is None


def _loosely(case: Case) -> str:
    return (
        f"at a tolerance of {case.problem.nats:g} nats the energy has settled, but spikes, entropies and centroids may still "
        "move; a smaller --tol (tolerance=) settles them"
    )


def _is_unresolved(case: Case) -> bool:
    return not case.problem.grid.resolves(case.problem.kernel)


def _unresolved(case: Case) -> str:
    kernel = case.problem.kernel
    return f"the {kernel.critic} kernel at tau = {kernel.tau:g} is narrower than this grid resolves; " + (
        "smoothing by it was allowed all the same" if kernel.unresolved else "its values are not given"
    )


def _has_no_values(case: Case) -> bool:
    return not _is_unresolved(case) and not can_smooth(case.problem.grid, case.problem.kernel)


def _no_values(case: Case) -> str:
    kernel = case.problem.kernel
    return f"the {kernel.critic} kernel at tau = {kernel.tau:g} has no short spectrum; its values are not given"


def _is_of_another_critic(case: Case) -> bool:
    return case.problem.critic != "cosine" and any(potential.points is not None for potential in case.problem.resolved)


def _is_saddle(case: Case) -> bool:
    return case.curvature is not None and case.curvature.is_saddle


def _saddle(case: Case) -> str:
    remedy = (
        "pushes along its mode lower the energy by less than the tolerance"
        if case.problem.escape
        else "--escape (escape=True) leaves it"
    )
    return f"this state is a saddle, not a minimum; {remedy}"


def _has_free_ties(case: Case) -> bool:
    return case.matched is not None and case.matched.phase is not Phase.MATCHED and case.energy.has_equal_potentials


def _is_narrow(case: Case) -> bool:
    is_collapsed = case.matched is not None and case.matched.phase is Phase.COLLAPSED
    return case.problem.energy == "intrinsic" and not is_collapsed and is_spiked(case.problem.grid, case.density, 0.0)


def _narrow(case: Case) -> str:
    count = points_covered(case.problem.grid, case.density, 0.0).min()
    return (
        f"a density stands on about {count:.1f} points, which do not resolve it: its energy is the grid's, "
        "not the continuum's; a finer grid tells"
    )


def _counted(case: Case) -> str:
    assert case.spikes.polished is not None
    return " and ".join(f"{len(masses)}" for masses in case.spikes.polished.atoms.masses) + " of them"


def _loose(case: Case) -> str:
    what = "a lower state may exist; other starts or a finer grid may find it"
    if case.energy.kernel is not None or case.energy.added or case.energy.strength is None:
        what = "the bound of such an energy is valid but not tight, and a lower state may exist; other starts may find it"
    return f"the gap is {case.gap:.2g} nats: {what}"


def _unbounded(case: Case) -> str:
    reason = why_unbounded(case.energy, float(case.problem.floor or 0.0))
    return f"there is no bound of the energy: {reason}; a lower state may exist, and other starts may find it"


def _is_convex_and_apart(case: Case) -> bool:
    is_convex = case.energy.convexity is Convexity.JOINTLY and case.energy.is_contrasted
    return is_convex and symmetric_kl(case.cross_entropy) > _APART


def _convex_and_apart(case: Case) -> str:
    return (
        "the energy is convex and this is its minimum, and still the densities are "
        f"{symmetric_kl(case.cross_entropy):.3g} nats apart: convexity does not close a gap that small differences of "
        "the potentials open"
    )


#: In the order in which they are said.
NOTES: tuple[tuple[Callable[[Case], bool], Callable[[Case], str]], ...] = (
    (_is_settled_loosely, _loosely),
    (_is_unresolved, _unresolved),
    (_has_no_values, _no_values),
    (_is_narrow, _narrow),
    (
        lambda case: case.spikes.polished is not None,
        lambda case: (
            f"the densities are spikes, which were moved off the grid's points: {_counted(case)}; energies, centroids and "
            "divergences are theirs"
        ),
    ),
    (
        lambda case: case.spikes.why is not None,
        lambda case: f"a density stands on few points, which the grid holds where they are: {case.spikes.why}",
    ),
    (_is_of_another_critic, lambda case: "potentials from pairs are those of the cosine critic"),
    (lambda case: case.why_unknown is not None, lambda case: f"the local stability is not known: {case.why_unknown}"),
    (_is_saddle, _saddle),
    (
        lambda case: case.gap > DOUBTFUL,
        _loose,
    ),
    (lambda case: case.bound is None and why_unbounded(case.energy, float(case.problem.floor or 0.0)) is not None, _unbounded),
    (_is_convex_and_apart, _convex_and_apart),
    (
        lambda case: case.problem.energy == "intrinsic" and bool(case.energy.penalties) and case.problem.modalities > 1,
        lambda _: (
            "intrinsic states under a penalty may be mixed pixel by pixel, which its kernel takes for one density; "
            "--energy smoothed (energy=) looks at the loss's own scale"
        ),
    ),
    (
        _has_free_ties,
        lambda _: (
            "with equal potentials the intrinsic energy does not say which part of the sphere goes to which modality: "
            "the cut, and with it the centroid gap, is one of many"
        ),
    ),
)


def notes_on_error(grid: Grid, error: float) -> tuple[str, ...]:
    """What is to be said of a discretisation error (nats)."""
    if error <= DOUBTFUL:
        return ()
    return (
        f"energy and bound are those of {grid}; between it and the next coarser grid the energy moves by {3 * error:.2g} nats, "
        "so that the continuum's is not known better; a finer grid tells",
    )


def notes_of(case: Case) -> tuple[str, ...]:
    """What was done to get the potentials, and every note whose test holds."""
    own = [note for potential in case.problem.resolved for note in potential.notes]
    return *dict.fromkeys(own), *(sentence(case) for holds, sentence in NOTES if holds(case))
