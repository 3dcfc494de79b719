"""What grids of one and two directions, atoms, finite batches and barriers cost."""

import numpy as np

import fieldsolve as fs
from benchmarks.timing import best, table
from fieldsolve.equilibrium.bands import band_state
from fieldsolve.equilibrium.barrier import barrier
from fieldsolve.equilibrium.batches import positive_of
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.sections import Section
from fieldsolve.equilibrium.terms.finite_batch import FiniteBatch
from fieldsolve.grids import Circle, Disk, Grid, Healpix, Kernel, Zonal
from fieldsolve.numerics import threads

_WELLS = "vmf:6@axis*0.7+4@-axis*0.3"


def zonal() -> str:
    """Certified cells a second at CLIP's dimension and temperature, and smoothed steps in products with the kernel's matrix."""
    rows: list[list[object]] = []
    with threads.limit(1):
        for dimension, tau in ((8, 0.1), (512, 0.01), (4096, 0.01)):
            couplings = (0.1, 0.3, 0.6, 0.9, 1.0)
            problem = fs.Problem([_WELLS, "poly:0,-0.4"], tau, 1e-3, dimension=dimension)
            solves = [problem.at("coupling", coupling) for coupling in couplings]
            (seconds,) = best(lambda s=solves: [one.solve() for one in s], repeat=3)
            gap = max(one.solve().gap or 0.0 for one in solves[:4])
            grid, kernel = problem.grid, Kernel("cosine", tau)
            if dimension == 512:
                grid = Zonal(512, 156)
            energy = Energy(grid, np.zeros((2, grid.size)), tau, 0.4, kernel)
            state = normalise(0.1 * np.stack([grid.heights, -grid.heights]), 0.0, grid.log_weights)
            out, matrix, field = (
                np.empty((2, grid.size)),
                np.exp(grid.log_rows(kernel, *[np.arange(grid.size)] * 2)),
                grid.weights,
            )
            step, product = best(lambda e=energy, s=state, o=out: e.step(s, 1.0, o), lambda m=matrix, f=field: m @ f, repeat=200)
            bands = fs.Problem(["flat"] * 2, tau, 0.0, 0.49, "smoothed", dimension=dimension)
            polished, pinned = best(
                lambda b=bands: b.solve("bands"), lambda b=bands: b.at("polish", False).solve("bands"), repeat=3
            )
            band = band_state(kernel, dimension, 0.49)
            error = "-" if band is None else f"{abs(bands.solve('bands').centroid_gap / 2 - band.height):.0e}"
            rows.append([
                f"{dimension}, {tau:g}", problem.grid.size, f"{len(couplings) / seconds:.1f}", f"{gap:.0e}", grid.size,
                f"{1e6 * step:.0f}", f"{step / product:.1f}", f"{polished / pinned:.1f}", error,
            ])  # fmt: skip
    header = [
        "d, tau", "nodes", "certified solves a second", "largest gap below coupling 1 (nats)", "nodes of a step",
        "smoothed step of two densities (microseconds)", "in products K f (BLAS)", "solve with atoms / without", "error of t",
    ]  # fmt: skip
    return table("Densities of one direction, one thread", header, rows)


def batches() -> str:
    """One step of the energy of N negatives against a smoothed one."""
    rows: list[list[object]] = []
    grids: list[tuple[Grid, float]] = [(Circle(256), 0.1), (Zonal(512, 156), 0.01), (Healpix(8), 0.2), (Healpix(16), 0.1)]
    with threads.limit(1):
        for grid, tau in grids:
            kernel = Kernel("cosine", tau)
            height = grid.points() @ grid.axis
            state, out = normalise(np.stack([height, -height]), 0.0, grid.log_weights), np.empty((2, grid.size))
            smoothed = Energy(grid, np.zeros((2, grid.size)), tau, 0.3, kernel)
            for negatives, positive in ((16, "none"), (1024, "aligned")):
                finite = Energy(grid, np.zeros((2, grid.size)), tau, 0.3, kernel, (FiniteBatch(negatives, positive),))
                own, plain = best(
                    lambda e=finite, s=state, o=out: e.step(s, 1.0, o),
                    lambda e=smoothed, s=state, o=out: e.step(s, 1.0, o),
                    repeat=5,
                )
                rows.append([str(grid), tau, negatives, positive_of(positive).words, f"{1e3 * own:.1f}", f"{own / plain:.0f}"])
    header = ["grid", "tau", "N", "positive", "step (milliseconds)", "smoothed steps"]
    return table("A step of N negatives, one thread", header, rows)


def disks() -> str:
    """Sums over densities of two directions, against pairs of shells, and sections of a centroid gap against plain steps."""
    rows: list[list[object]] = []
    with threads.limit(1):
        for grid, tau in ((Disk(16), 0.1), (Disk(64), 0.02), (Disk(512), 0.01)):
            kernel, field, few = Kernel("cosine", tau), grid.weights, np.arange(64)
            every = np.arange(grid.size)
            sums, pairs = best(
                lambda g=grid, k=kernel, f=field: g.pair_sums(k, f),
                lambda g=grid, k=kernel, f=field, e=every, few=few: np.exp(g.log_rows(k, few, e)) @ f,
                repeat=3,
            )
            rows.append([str(grid), tau, grid.size, f"{1e3 * sums:.1f}", f"{pairs * grid.size / len(few) / sums:.0f}"])
    header = ["grid", "tau", "nodes", "sum (milliseconds)", "pair by pair, by how much longer (from 64 rows)"]
    return table("Sums over densities of two directions, one thread", header, rows)


def sections() -> str:
    """A step within a section of given centroid gap against a plain smoothed step, and a barrier against a solve."""
    rows: list[list[object]] = []
    settings: list[tuple[Grid, float, float]] = [(Circle(64), 0.5, 0.31), (Zonal(3, 40), 0.3, 0.3), (Zonal(512), 0.01, 0.44)]
    with threads.limit(1):
        for grid, tau, coupling in settings:
            problem = fs.Problem(["flat"] * 2, tau, 0.0, coupling, "smoothed", grid=grid)
            energy, out = problem.functional()[0], np.empty((2, grid.size))
            section = Section(energy, grid.axis, 0.1)
            state = section.nearest(np.zeros((2, grid.size)), 0.0)[0]
            own, plain = best(
                lambda s=section, x=state, o=out: s.step(x, 1.0, o), lambda e=energy, x=state, o=out: e.step(x, 1.0, o), repeat=50
            )
            climb, solve = best(lambda p=problem: barrier(p), lambda p=problem: p.solve(), repeat=1)
            rows.append([str(grid), tau, coupling, f"{own / plain:.1f}", f"{climb:.1f}", f"{climb / solve:.0f}"])
    header = ["grid", "tau", "coupling", "section's step / step", "barrier (s)", "barrier / solve"]
    return table("Sections and barriers, one thread", header, rows)
