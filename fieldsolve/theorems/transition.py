"""The first-order transition of two smoothed densities at flat potentials, as states on a grid have it."""

from fieldsolve.equilibrium.bands import band_binodal
from fieldsolve.equilibrium.densities import from_density
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.grids import Grid, Kernel
from fieldsolve.numerics.progress import Progress, Watch

_STEP, _TOLERANCE, _MOST_RAISED = 0.01, 1e-3, 4  # of the coupling, by continuation
_NATS, _BELOW, _MOST_STEPS = 1e-4, 1e-6, 1000  # of a descent; nats by which a state is below uniform densities


def measured_binodal(grid: Grid, kernel: Kernel, watch: Watch | None = None) -> float | None:
    """The coupling, to 1e-3, down to which a separated state of flat potentials lies below the uniform pair on a grid.

    From the state at the binodal of bands on (or a little above it, if that is not below on this grid) a state is followed
    downwards, each descent from the last one that lies below. None if none was found below. Raises InputError if the grid cannot
    resolve the kernel, and for critics that are not linear.
    """
    high = band_binodal(kernel, grid.components).coupling
    problem = Problem(["flat"] * 2, kernel.tau, 0.0, high, "smoothed", grid=grid, critic=str(kernel.critic), tolerance=_NATS)
    for _ in range(_MOST_RAISED):
        solution = problem.at("coupling", high).solve()
        if solution.energy < -_BELOW:
            break
        high += _STEP
    else:
        return None
    state, step = from_density(solution.density, 0.0, grid.log_weights), _STEP
    while step > _TOLERANCE:
        energy = problem.at("coupling", max(high - step, 0.0)).functional()[0]
        found = descend(energy, state, _NATS, _MOST_STEPS)
        if found.evaluation.value < -_BELOW:
            high, state = high - step, found.state
        else:
            step /= 2
        if watch is not None:
            watch(Progress(0, None, f"couplings, the transition is at most at {high:.4f}"))
    return high
