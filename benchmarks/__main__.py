"""Speed and memory as ratios, side by side in one run: see README.md in this folder."""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ducc0
import numpy as np
from numba import njit

import fieldsolve as fs
from benchmarks import free_encoders
from benchmarks.diagnoses import dense_sums, diagnosed, in_a_process
from fieldsolve.diagrams import fill, spec_of
from fieldsolve.equilibrium import densities
from fieldsolve.equilibrium.dual import dual
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs as gibbs_density
from fieldsolve.equilibrium.gibbs import gibbs_bound
from fieldsolve.equilibrium.stability import curvature
from fieldsolve.grids import Healpix, Smoother, allpairs
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.reproduce.gap import training
from fieldsolve.reproduce.gap.binned import SAMPLE, binned_symmetric_kl, encoded_angles, histograms, joint_shares, marginal_shares
from fieldsolve.reproduce.gap.branches import aligned_minimum
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gibbs import model as gibbs
from fieldsolve.reproduce.gibbs import particles
from fieldsolve.runs import in_processes, in_this_process
from fieldsolve.theorems.infonce import infonce

NSIDES = (64, 256, 1024)
TAUS = (0.1, 0.01)


def best(*functions: Callable[[], object], repeat: int = 9) -> list[float]:
    """The shortest time of each function, in seconds; they take turns, so that a busy moment is shared."""
    for function in functions:
        function()
    times = [[] for _ in functions]
    for _ in range(repeat):
        for function, taken in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            taken.append(time.perf_counter() - began)
    return [min(taken) for taken in times]


def table(title: str, header: list[str], rows: list[list[object]]) -> str:
    lines = [f"## {title}", "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def smoothing() -> str:
    import healpy

    rows: list[list[object]] = []
    for nside in NSIDES:
        grid = Healpix(nside)
        field = np.random.default_rng(0).exponential(size=grid.size)
        target = np.empty_like(field)
        geometry = ducc0.healpix.Healpix_Base(nside, "RING").sht_info()
        workers = threads.count(10 * grid.size)
        points = grid.points(0, min(grid.size, 1024))
        for tau in TAUS:
            kernel = Kernel("cosine", tau)
            smoother = Smoother(grid, kernel)
            assert smoother.balance.shape == (grid.size,)  # computed once, and kept
            lmax = kernel.harmonics(2) or 0
            spectrum = kernel.spectrum(2, lmax)

            def bare(field=field, lmax=lmax, geometry=geometry, workers=workers) -> object:
                options = {"spin": 0, "lmax": lmax, "nthreads": workers, **geometry}
                alm = ducc0.sht.experimental.adjoint_synthesis(map=field[None], **options)
                return ducc0.sht.experimental.synthesis(alm=alm, **options)

            copy, transforms, plain, smooth = best(
                lambda target=target, field=field: np.copyto(target, field),
                bare,
                lambda grid=grid, field=field, kernel=kernel: Smoother(grid, kernel).sum(field),
                lambda grid=grid, field=field, kernel=kernel: Smoother(grid, kernel).smooth(field),
            )
            (by_healpy,) = best(
                lambda field=field, spectrum=spectrum, lmax=lmax: healpy.smoothing(
                    field, beam_window=spectrum, lmax=lmax, iter=0
                ),
                repeat=2,
            )
            everything = grid.points()
            (part,) = best(lambda p=points, e=everything, f=field, k=kernel: allpairs.sums(p[:64], e, f, k), repeat=2)
            pairs = part * grid.size / 64
            del everything
            rows.append([
                nside, tau, f"{plain / transforms:.2f}", f"{smooth / transforms:.2f}", f"{smooth / copy:.1f}",
                f"{transforms / copy:.1f}", f"{by_healpy / smooth:.1f}", f"{pairs / smooth:.0f}",
            ])  # fmt: skip
    header = [
        "nside", "tau", "sum / ducc0", "smooth / ducc0", "smooth / copy", "ducc0 / copy", "healpy / smooth",
        "all pairs / smooth",
    ]  # fmt: skip
    return table("Smoothing", header, rows)


@njit(nogil=True, fastmath=True)
def _read(first, last, array, result):
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
        for label, modalities, coupling in (("one modality", 1, 0.0), ("two, coupling 0.5", 2, 0.5)):
            energy = Energy(grid, np.stack([potential] * modalities), 0.5, coupling)
            state = gibbs_density(energy.potentials, 0.5, 1e-3)
            out = np.empty_like(state.field)
            target = np.empty_like(field)
            step, read, copy = best(
                lambda energy=energy, state=state, out=out: energy.step(state, 0.5, out),
                lambda field=field, result=result, blocks=blocks: threads.over_blocks(_read, blocks, field.size, field, result),
                lambda target=target, field=field: np.copyto(target, field),
                repeat=15,
            )
            rows.append([nside, label, f"{step / read:.1f}", f"{step / copy:.1f}", f"{1e9 * step / energy.potentials.size:.2f}"])
    header = ["nside", "problem", "step in passes", "step in numpy copies", "ns a point and modality"]
    return table("One intrinsic mirror step, energy and stationarity included", header, rows)


def smoothed() -> str:
    """One smoothed mirror step of two modalities against the four smoothings that it cannot do without."""
    rows: list[list[object]] = []
    for nside in NSIDES:
        grid = Healpix(nside)
        potential = fs.two_well().on(grid)
        field = np.exp(np.random.default_rng(0).standard_normal(grid.size))
        for tau in (0.5, 0.1):
            kernel = Kernel("cosine", tau)
            energy = Energy(grid, np.stack([potential] * 2), tau, 0.5, kernel)
            state = gibbs_density(energy.potentials, tau, 1e-3)
            out = np.empty_like(state.field)
            step, four, transforms = best(
                lambda energy=energy, state=state, out=out: energy.step(state, 1.0, out),
                lambda grid=grid, kernel=kernel, field=field: [Smoother(grid, kernel).smooth(field) for _ in range(4)],
                lambda grid=grid, kernel=kernel, field=field: [Smoother(grid, kernel).sum(field) for _ in range(4)],
                repeat=5,
            )
            rows.append([nside, tau, f"{step / four:.2f}", f"{step / transforms:.2f}", f"{1e3 * step:.1f}"])
    header = ["nside", "tau", "step / four smoothings", "step / four sums", "step in ms"]
    return table("One smoothed mirror step of two modalities, energy and stationarity included", header, rows)


def stability() -> str:
    """What the lowest eigenvalues of the constrained Hessian cost, in smoothings of one modality."""
    grid, rows = Healpix(64), []
    smooth, spent = Smoother.smooth, [0]

    def counting(self: Smoother, field: np.ndarray) -> np.ndarray:
        spent[0] += np.ndim(field) == 1
        return smooth(self, field)

    states = {"two uniform densities, 0.25 beyond lambda_c": 0.25, "0.01 beyond": 0.01, "0.02 below": -0.02}
    for tau in (1.0, 0.3, 0.1):
        kernel = Kernel("cosine", tau)
        critical = 0.5 - kernel.spectrum(2, 1)[1] / 4
        for label, shift in states.items():
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


def loss() -> str:
    """InfoNCE, value and all gradients, against the same in plain numpy, which holds every similarity at once."""
    rng, rows = np.random.default_rng(0), []
    kernel = Kernel("cosine", 0.1)
    for dimension, batch, count in ((3, 64, 65536), (3, 256, 65536), (128, 64, 4096), (512, 256, 65536)):
        sets = [rng.standard_normal((size, dimension)) for size in (batch, batch, count)]
        sets = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in sets]
        ours, numpy = best(lambda sets=sets: infonce(*sets, kernel), lambda sets=sets: plain_infonce(*sets, kernel), repeat=3)
        reference, found = plain_infonce(*sets, kernel), infonce(*sets, kernel)
        error = max(float(np.abs(one - other).max() / np.abs(other).max()) for one, other in zip(
            (found.anchors, found.positives, found.negatives), reference[1:], strict=True
        ))  # fmt: skip
        rows.append([dimension, batch, count, f"{numpy / ours:.1f}", f"{1e3 * ours:.1f}", f"{error:.0e}"])
    header = ["d", "anchors", "negatives", "numpy / ours", "ours in ms", "largest relative difference"]
    return table("InfoNCE with gradients, against plain numpy on all cores", header, rows)


def plain_infonce(anchors: np.ndarray, positives: np.ndarray, negatives: np.ndarray, kernel: Kernel) -> list[np.ndarray]:
    kappa, batch = kernel.concentration, len(anchors)
    exponents = kappa * np.concatenate([np.sum(anchors * positives, axis=1)[:, None], anchors @ negatives.T], axis=1)
    top = exponents.max(axis=1, keepdims=True)
    softmax = np.exp(exponents - top)
    total = softmax.sum(axis=1, keepdims=True)
    softmax /= total
    own, rest = softmax[:, :1] - 1, softmax[:, 1:]
    value = np.mean(top + np.log(total) - exponents[:, :1])
    pulls = (own * positives + rest @ negatives, anchors), (own * anchors, positives), (rest.T @ anchors, negatives)
    return [value, *(kappa / batch * (pull - np.sum(pull * at, axis=1, keepdims=True) * at) for pull, at in pulls)]


_PEAK = """
import numpy as np, resource, sys
import fieldsolve as fs
from fieldsolve.grids import Kernel, Smoother
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name + ":")) * 1024
def peak(function):
    before = status("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")
    function()
    return (status("VmHWM") - before) / (8 * grid.size)
kernel = Kernel("cosine", 0.01)
fs.Problem(fs.two_well(), nside=32).solve()
Smoother(fs.Healpix(32), Kernel("cosine", 0.1)).smooth(np.ones(12288))
grid = fs.Healpix({nside})
field = np.ones(grid.size)
"""


def memory() -> str:
    nside = 1024
    tasks = {
        "smooth (its result is one of them)": "s = Smoother(grid, kernel); s.balance; print(peak(lambda: s.smooth(field)))",
        "sum (its result is one of them)": "print(peak(lambda: Smoother(grid, kernel).sum(field)))",
        "unimodal, floor 1e-3": "print(peak(lambda: fs.Problem(fs.two_well(), 0.5, 1e-3, grid=grid).solve()))",
        "unimodal, and its summary": "print(peak(lambda: fs.Problem(fs.two_well(), 0.5, 1e-3, grid=grid).solve().summary()))",
    }
    rows: list[list[object]] = []
    for label, code in tasks.items():
        done = subprocess.run(
            [sys.executable, "-c", _PEAK.format(nside=nside) + code], capture_output=True, text=True, check=True
        )
        rows.append([nside, label, f"{float(done.stdout):.2f}"])
    return table("Peak memory, in arrays of the grid's size", ["nside", "what", "arrays"], rows)


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


def sweep() -> str:
    """Certified cells a second from this process and from two spawned ones, with their start-up."""
    rows: list[list[object]] = []
    for nside, count in ((16, 41), (64, 12)):
        axes = {
            "coupling": {"from": 0.0, "to": 0.4, "steps": count},
            "floor": {"from": 1e-4, "to": 0.5, "steps": count, "spacing": "geometric"},
        }
        spec = spec_of({"problem": {"tau": 1.0, "nside": nside}, "axes": axes})
        rates = []
        for run in (in_this_process, in_processes(2)):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                diagram = fill(spec, Path(folder), run)
                rates.append(len(diagram.cells) / (time.perf_counter() - began))
            assert diagram.certified().all()
        row = [nside, len(diagram.cells), f"{rates[0]:.1f}", f"{rates[1]:.1f}", f"{rates[1] / rates[0] / 2:.0%}"]
        rows.append([*row, f"{np.nanmax(diagram.field('gap')):.1e}"])
    header = ["nside", "cells", "cells a second, 1 worker", "2 workers", "parallel efficiency", "largest gap (nats)"]
    return table("Phase diagrams over coupling and floor, transitions and ledger included", header, rows)


def sampled() -> str:
    """The paper's quantities from samples, as it has them, and from fields; errors against what is exact, on one thread."""
    at, sigma, rows = gibbs.TAUS.index(0.5), 0.5, []
    tau, law = gibbs.TAUS[at], Misaligned(sigma)
    exact_mass, state = float(gibbs.cap_masses()[0][at]), aligned_minimum(law, 10)[0]
    exact_gap = binned_symmetric_kl(marginal_shares(joint_shares(law, state)))
    pairs = law.sample(SAMPLE, np.random.default_rng(1))

    def field(nside: int) -> float:
        grid = Healpix(nside)
        density = gibbs_density(gibbs.potential().on(grid)[None], tau, 0.0).density()[0]
        return float(grid.mean(density * grid.coverage(gibbs.wells(), gibbs.CAP_RADIUS)))

    def particle_share() -> float:
        return float(gibbs.in_cap(particles.settle_particles(tau, gibbs.wells(), gibbs.CONCENTRATION, 0)).mean())

    def trained_gap() -> float:
        return binned_symmetric_kl(histograms(encoded_angles(training.train(law, 0), pairs)))

    def minimum_gap() -> float:
        found, _ = aligned_minimum(Misaligned(sigma, 1024), 1, seed=3)
        return binned_symmetric_kl(marginal_shares(joint_shares(law, found)))

    cases = [
        ("cap mass at tau 0.5", exact_mass, ("768 particles, 5000 steps, one seed", particle_share), [
            ("120 000 importance samples", lambda: float(gibbs.importance_sampled(0)[0][at])),
            *((f"field, nside {nside}", lambda nside=nside: field(nside)) for nside in (16, 32, 64)),
        ]),
        ("gap at sigma 0.5", exact_gap, ("one seed of training, 8000 pairs", trained_gap), [
            ("population minimum from one start, exact bins", minimum_gap),
        ]),
    ]  # fmt: skip
    with threads.limit(1), threads.one_blas_thread():
        for what, exact, (name, baseline), others in cases:
            (base,) = best(baseline, repeat=1)
            rows.append([what, name, f"{abs(baseline() - exact):.1e}", "1", f"{base:.3g} s"])
            for name, function in others:
                (taken,) = best(function)
                rows.append([what, name, f"{abs(function() - exact):.1e}", f"{taken / base:.1e}", f"{1e3 * taken:.3g} ms"])
    return table("The paper's figures, sampled and not", ["quantity", "from", "error", "cost / sampled cost", "time"], rows)


def diagnosis() -> str:
    """Whole diagnoses of 512 components in processes of their own, and their pass over all pairs against dense numpy."""
    rows: list[list[object]] = []
    before: tuple[int, float] | None = None
    for count in (2_000, 20_000, 100_000):
        whole, first_pass, memory = in_a_process(diagnosed, count)
        growth = "" if before is None else f"n^{np.log(whole / before[1]) / np.log(count / before[0]):.2f}"
        before = count, whole
        row = [count, f"{whole:.3g} s", growth, f"{first_pass / whole:.0%}", f"{memory:.2f}"]
        if count <= 20_000:
            dense, dense_memory = in_a_process(dense_sums, count)
            row += [f"{first_pass / dense:.2f}", f"{dense_memory:.2f}"]
        rows.append([*row, "-", "-"][:7])
    header = [
        "pairs",
        "whole diagnosis",
        "growth",
        "until all pairs are passed",
        "peak GiB",
        "that / dense numpy",
        "dense numpy's peak GiB",
    ]
    return table("Diagnoses in 512 dimensions, 999 bootstraps and exchanges", header, rows)


def encoders() -> str:
    rows: list[list[object]] = []
    for size in (1000, 4000):
        evaluated, product = best(*free_encoders.evaluation(size), repeat=5)
        rows.append(
            [
                f"value and gradient, {size} x {size} symbols in 64 dimensions",
                f"{evaluated / product:.1f} products of the encoders",
            ]
        )
    small = free_encoders.random_law(16)
    ours, loss, bound = free_encoders.solved(small, 0.5, 1e-8)
    cones, other = free_encoders.by_cones(small, 0.5)
    rows.append(
        [
            f"certified to {loss - bound:.0e}, 16 x 16, against cvxpy's cones, which end {other - loss:.0e} above",
            f"1 : {cones / ours:.0f}",
        ]
    )
    large = free_encoders.random_law(300)
    ours, loss, bound = free_encoders.solved(large, 0.3, 1e-6)
    adam, value, steps = free_encoders.by_adam(large, 0.3, loss, 60 * ours)
    reached = f"the same loss in {steps} steps" if value <= loss else f"still {value - loss:.0e} above after {steps} steps"
    rows.append([f"certified to {loss - bound:.0e}, 300 x 300, against torch's Adam, {reached}", f"1 : {adam / ours:.1f}"])
    fitted, applied = free_encoders.moved(100_000)
    rows.append(["gap's map of 100 000 pairs of 512: fit, and one modality moved", f"{fitted:.1f} s, {applied:.1f} s"])
    return table("Free encoders", ["what", "cost"], rows)


def startup() -> str:
    def process_time(*arguments: str) -> float:
        best_of = []
        for _ in range(7):
            before = os.times()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            after = os.times()
            best_of.append(after.children_user + after.children_system - before.children_user - before.children_system)
        return min(best_of)

    command = str(Path(sys.executable).with_name("fieldsolve"))
    click, numba = process_time("-c", "import click"), process_time("-c", "import numba")
    helped, solved = process_time(command, "--help"), process_time(command, "unimodal", "--nside", "16", "--json")
    rows: list[list[object]] = [
        ["fieldsolve --help", f"{helped / click:.1f} x import click"],
        ["fieldsolve unimodal --nside 16 --json", f"{solved / numba:.1f} x import numba, {solved:.2f} s"],
        ["import numba", f"{numba / click:.1f} x import click"],
    ]
    return table("Start-up, process time (user and system)", ["command", "ratio"], rows)


def main() -> None:
    parts = {function.__name__: function for function in (
        smoothing, smoothed, descent, geometry, bound, stability, loss, sampled, diagnosis, encoders, sweep, memory, clarabel,
        startup,
    )}  # fmt: skip
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=list(parts), action="append")
    parser.add_argument("--write", action="store_true", help="write the tables to RESULTS.md")
    arguments = parser.parse_args()
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    tables = []
    for name in arguments.only or parts:
        tables.append(parts[name]())
        print(tables[-1], flush=True)
    if arguments.write:
        path = Path(__file__).with_name("RESULTS.md")
        head = f"# Results\n\nWritten by `python -m benchmarks --write` for fieldsolve {fs.__version__} ({machine}).\n\n"
        titled = {one.partition("\n")[0]: one.strip() + "\n" for one in tables}
        if arguments.only:  # the others stay
            head, *others = re.split(r"^(?=## )", path.read_text(), flags=re.MULTILINE)
            titled = {one.partition("\n")[0]: one.strip() + "\n" for one in others} | titled
        path.write_text(head + "\n".join(titled.values()))


if __name__ == "__main__":
    main()
