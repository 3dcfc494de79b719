"""What solves cost: mirror steps, certified solves, smoothed ones, curvature, a large one."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numba import njit

import fieldsolve as fs
from benchmarks.smoothing import spikes
from benchmarks.timing import best, growth, table
from fieldsolve.equilibrium import densities
from fieldsolve.equilibrium.dual import dual
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs as gibbs_density
from fieldsolve.equilibrium.gibbs import gibbs_bound
from fieldsolve.equilibrium.stability import curvature
from fieldsolve.grids import Healpix, Kernel, Smoother
from fieldsolve.numerics import threads

NSIDES = (64, 256, 1024)


@njit(nogil=True, fastmath=True)
def read_pass(first, last, array, result):
    """One pass: every element is read once."""
    for block in range(first, last):
        total = 0.0
        for i in range(block * 4096, min((block + 1) * 4096, array.size)):
            total += array[i]
        result[block] = total


def descent() -> str:
    rows: list[list[object]] = []
    for nside in NSIDES:
        grid = Healpix(nside)
        blocks = -(-grid.size // 4096)
        result = np.empty(blocks)
        field = np.zeros(grid.size)
        potential = fs.two_well().on(grid)
        pair = np.stack([potential] * 2)
        cases = {
            "one modality": (1, 0.0, gibbs_density(potential[None], 0.5, 1e-3)),
            "two, coupling 0.5": (2, 0.5, gibbs_density(pair, 0.5, 1e-3)),
            "two, coupling 1, Gibbs at tau 0.05": (2, 1.0, gibbs_density(pair, 0.05, 1e-12)),
            "two, coupling 1, spikes": (2, 1.0, densities.from_density(np.stack([spikes(grid)] * 2), 1e-12)),
        }
        for label, (modalities, coupling, state) in cases.items():
            energy = Energy(grid, np.stack([potential] * modalities), 0.5, coupling)
            out = np.empty_like(state.field)
            target = np.empty_like(field)
            step, read, copy = best(
                lambda energy=energy, state=state, out=out: energy.step(state, 0.5, out),
                lambda field=field, result=result, blocks=blocks: threads.over_blocks(
                    read_pass, blocks, field.size, field, result
                ),
                lambda target=target, field=field: np.copyto(target, field),
                repeat=15,
            )
            rows.append([nside, label, f"{step / read:.1f}", f"{step / copy:.1f}", f"{1e9 * step / energy.potentials.size:.2f}"])
    header = ["nside", "problem", "step in passes", "step in numpy copies", "ns a point and modality"]
    return table("One intrinsic mirror step, energy and stationarity included", header, rows)


def geometry() -> str:
    """Mirror steps to 1e-10 of floored Gibbs: on rho, as the package does, and on the excess density sigma."""
    rows: list[list[object]] = []
    for nside in (4, 8, 16):
        grid, tau, floor = Healpix(nside), 0.2, 0.1
        potential = fs.two_well().on(grid)
        exact = gibbs_density(potential[None], tau, floor).density()[0]
        sigma, steps = np.ones(grid.size), 0
        while np.abs(floor + (1 - floor) * sigma - exact).max() > 1e-10:
            sigma *= np.exp(-potential / tau - np.log(floor + (1 - floor) * sigma))
            sigma /= sigma.mean()
            steps += 1
        rows.append([nside, len(fs.Problem(fs.two_well(), tau=tau, floor=floor, grid=grid).solve().trace), steps])
    return table("Steps to the floored Gibbs density", ["nside", "descent on rho", "descent on sigma"], rows)


def bound() -> str:
    """What the certified bound costs against the descents, over couplings from 0.05 to 0.95, and how both grow."""
    couplings = (0.05, 0.15, 0.3, 0.6, 0.95)
    rows: list[list[object]] = []
    seconds = {}
    with threads.limit(1):
        for nside in (8, 16, 32, 64, 128):
            problem = fs.Problem(tau=1.0, floor=1e-2, nside=nside, misalign=10.0)
            potentials = np.stack([potential.on(problem.grid) for potential in problem.resolved])
            size = potentials.shape[1]
            duals, steps, cells, evaluations = 0.0, 0.0, 0.0, 0
            for coupling in couplings:
                energy = Energy(problem.grid, potentials, 1.0, coupling)
                found = dual(potentials, 1.0, 1e-2, coupling)
                state, out = densities.from_density(np.ones((2, size)), 1e-2), np.empty((2, size))
                taken = best(
                    lambda c=coupling, p=potentials: dual(p, 1.0, 1e-2, c),
                    lambda e=energy, s=state, o=out: e.step(s, 1.0, o),
                    lambda c=coupling, p=problem: p.at("coupling", c).solve(),
                    repeat=3,
                )
                duals, steps, cells = duals + taken[0], steps + taken[1], cells + taken[2]
                evaluations += found.evaluations
            seconds[size] = cells
            one = duals / evaluations
            row = [nside, f"{evaluations / len(couplings):.0f}", f"{one / steps * len(couplings):.1f}", f"{duals / cells:.2f}"]
            rows.append([*row, f"{1e9 * cells / len(couplings) / size:.0f}", f"{len(couplings) / cells:.1f}"])
    sizes = np.log(list(seconds))
    growth = np.polyfit(sizes, np.log(list(seconds.values())), 1)[0]
    header = [
        "nside",
        "evaluations of the dual",
        "one evaluation / mirror step",
        "dual / whole certified solve",
        "ns a pixel, whole solve",
        "certified solves a second, one thread",
    ]
    title = f"Certified global solves, couplings {couplings[0]} to {couplings[-1]}: time grows like N^{growth:.2f}"
    return table(title, header, rows)


def global_solves() -> str:
    """Certified solves of two coupled densities from nside 64 to 1024, on all threads."""
    rows: list[list[object]] = []
    for tau, coupling in ((0.3, 0.5), (0.1, 0.5), (0.05, 0.25), (0.05, 0.95)):
        sizes, seconds = [], []
        for nside in (64, 128, 256, 512, 1024):
            problem = fs.Problem(tau=tau, coupling=coupling, nside=nside)
            energy, _ = problem.functional()
            state, out = gibbs_density(energy.potentials, tau, 1e-3), np.empty(energy.potentials.shape)
            taken, step = best(problem.solve, lambda e=energy, s=state, o=out: e.step(s, 1.0, o), repeat=1 if nside > 256 else 3)
            solution = problem.solve() if nside < 1024 else None
            sizes.append(problem.grid.size)
            seconds.append(taken)
            gap = "" if solution is None else f"{solution.gap:.0e}"
            rows.append([
                tau, coupling, nside, f"{taken:.2f} s", f"{taken / step:.0f}", gap,
                f"N^{growth(sizes, seconds):.2f}" if nside == 1024 else "",
            ])  # fmt: skip
    header = ["tau", "coupling", "nside", "solve", "solve / mirror step", "gap (nats)", "growth"]
    return table("Certified global solves of two densities, potentials evaluated before", header, rows)


def smoothed_solves() -> str:
    """Descents of smoothed energies to the default tolerance, potentials and balance included."""
    rows: list[list[object]] = []
    cases = {
        "one modality, tau 0.05": {"potentials": "two-well", "tau": 0.05},
        "two, tau 0.1, coupling 1": {"tau": 0.1, "coupling": 1.0},
        "two, tau 0.05, coupling 0.5": {"tau": 0.05, "coupling": 0.5},
    }
    for label, options in cases.items():
        sizes, seconds = [], []
        for nside in (64, 128, 256, 512):
            problem = fs.Problem(nside=nside, energy="smoothed", **options)
            smoother = Smoother(problem.grid, problem.kernel)
            assert smoother.balance.shape == (problem.grid.size,)
            field = np.ones(problem.grid.size)
            (smooth,) = best(lambda s=smoother, f=field: s.smooth(f))
            began = time.perf_counter()
            solution = problem.solve()
            seconds.append(time.perf_counter() - began)
            sizes.append(problem.grid.size)
            assert solution.converged
            rows.append([
                label, nside, len(solution.trace), f"{seconds[-1]:.2f} s", f"{seconds[-1] / smooth:.0f}",
                f"N^{growth(sizes, seconds):.2f}" if nside == 512 else "",
            ])  # fmt: skip
    header = ["problem", "nside", "steps", "solve", "solve / smoothing", "growth"]
    return table("Descents of smoothed energies", header, rows)


def large() -> str:
    """`fieldsolve unimodal` at nside 2048, fifty million points: the whole command, in a process of its own."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [str(Path(sys.executable).with_name("fieldsolve")), "unimodal", "--nside", "2048", "--json", "--quiet"]
    seconds, peaks = [], []
    for _ in range(2):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - began)
        peaks.append(int(done.stdout) * 1024)
    field, target = np.ones(Healpix(2048).size), np.empty(Healpix(2048).size)
    (copy,) = best(lambda: np.copyto(target, field), repeat=3)
    rows: list[list[object]] = [[f"{min(seconds):.1f} s", f"{min(seconds) / copy:.0f}", f"{max(peaks) / field.nbytes:.1f}"]]
    return table("fieldsolve unimodal --nside 2048", ["time", "in copies of an array", "peak memory, in arrays"], rows)


def stability() -> str:
    """What the lowest eigenvalues of the constrained Hessian cost, in smoothings of one modality."""
    grid, rows = Healpix(64), []
    smooth, spent = Smoother.smooth, [0]

    def counting(self: Smoother, field: np.ndarray) -> np.ndarray:
        spent[0] += np.ndim(field) == 1
        return smooth(self, field)

    states = {"two uniform densities, 0.25 beyond lambda_c": 0.25, "0.01 beyond": 0.01, "0.02 below": -0.02, "solved": None}
    for tau in (1.0, 0.3, 0.1):
        kernel = Kernel("cosine", tau)
        critical = 0.5 - kernel.spectrum(2, 1)[1] / 4
        for label, shift in states.items():
            if shift is None:
                problem = fs.Problem(nside=64, tau=tau, coupling=1.0, energy="smoothed")
                (energy, _), label = problem.functional(), "the solution at coupling 1 with two wells"
                state = densities.from_density(problem.solve().density, problem.floor)
            else:
                energy = Energy(grid, np.zeros((2, grid.size)), tau, critical + shift, kernel)
                state = densities.normalise(np.zeros((2, grid.size)), 0.0)
            Smoother.smooth, spent[0] = counting, 0
            found = curvature(energy, state)
            Smoother.smooth = smooth
            every = spent[0]
            spent[0], Smoother.smooth = 0, counting
            curvature(energy, state, most=1)
            Smoother.smooth = smooth
            rows.append([tau, label, f"{'' if found.are_all else 'at least '}{found.unstable}", spent[0], every])
    header = ["tau", "state", "unstable modes", "smoothings, six lowest", "smoothings, all unstable ones counted"]
    return table("Lowest eigenvalues of the Hessian at nside 64, two modalities", header, rows)


def clarabel() -> str:
    import cvxpy

    grid, tau, floor = Healpix(32), 0.5, 1e-3
    potential = fs.two_well().on(grid)
    density = cvxpy.Variable(grid.size)
    objective = (potential @ density / tau - cvxpy.sum(cvxpy.entr(density))) / grid.size
    problem = cvxpy.Problem(cvxpy.Minimize(objective), [density >= floor, cvxpy.sum(density) == grid.size])
    (through_cvxpy,) = best(lambda: problem.solve(solver=cvxpy.CLARABEL), repeat=3)
    cone = problem.solver_stats.solve_time
    energy = Energy(grid, potential[None], tau)

    def ours() -> object:
        from fieldsolve.equilibrium.descent import descend

        return descend(energy, densities.normalise(np.zeros((1, grid.size)), floor), 1e-9, 10)

    (solve,) = best(ours, repeat=50)
    found = ours()
    rows = [[
        grid.size, f"{through_cvxpy / solve:.0f}", f"{cone / solve:.0f}", f"{found.evaluation.value - problem.value:.1e}",
        f"{found.evaluation.value - gibbs_bound(potential, tau, floor):.1e}",
    ]]  # fmt: skip
    header = [
        "N",
        "Clarabel through cvxpy / ours",
        "Clarabel's own solve time / ours",
        "our energy - Clarabel's",
        "our energy - bound",
    ]
    return table("Floored Gibbs density, against a cone solver", header, rows)
