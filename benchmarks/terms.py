"""What terms, many modalities and bounds of smoothed energies cost."""

import numpy as np

import fieldsolve as fs
from benchmarks.solving import read_pass
from benchmarks.timing import best, table
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.dual import dual
from fieldsolve.equilibrium.dual_many import dual_of_many
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.halving import half_smoothed_bound
from fieldsolve.grids import Healpix, Kernel
from fieldsolve.numerics import threads

TERMS = (
    "", "mixture:0.5", "tempered:0.5", "sigmoid", "temperatures:0.3,0.2",
    "centroid:1", "mmd:1,0.1", "energy-distance:1", "uniformity:1,2",
)  # fmt: skip


def modalities() -> str:
    """Certified solves of two to five modalities at nside 16, potentials equal and not."""
    rows: list[list[object]] = []
    couplings = (0.1, 0.3, 0.6)
    with threads.limit(1):
        for count in (2, 3, 4, 5):
            for label, turns in (("equal", [0.0] * count), ("all different", [40.0 * a for a in range(count)])):
                grid = Healpix(16)
                problem = fs.Problem([fs.two_well().misalign(turn, grid) for turn in turns], 0.5, 1e-3, grid=grid)
                cells, bounds, evaluations, gaps = 0.0, 0.0, 0, []
                for coupling in couplings:
                    here = problem.at("coupling", coupling)
                    find = dual if count == 2 else dual_of_many
                    values = here.functional()[0].potentials
                    taken = best(lambda p=here: p.solve(), lambda v=values, c=coupling, f=find: f(v, 0.5, 1e-3, c), repeat=2)
                    cells, bounds = cells + taken[0], bounds + taken[1]
                    evaluations += find(values, 0.5, 1e-3, coupling).evaluations
                    gaps.append(here.solve().gap)
                rows.append([
                    count, label, f"{len(couplings) / cells:.1f}", f"{bounds / cells:.2f}", f"{evaluations / len(couplings):.0f}",
                    f"{max(gaps):.0e}",
                ])  # fmt: skip
    header = [
        "modalities",
        "potentials",
        "certified solves a second, one thread",
        "bound / solve",
        "evaluations",
        "largest gap (nats)",
    ]
    return table("Certified solves of several modalities at nside 16, couplings 0.1 to 0.6", header, rows)


def terms() -> str:
    """One mirror step with each term, in passes over the points, intrinsic and smoothed."""
    rows: list[list[object]] = []
    grid, tau = Healpix(64), 0.3
    field, blocks = np.zeros(grid.size), -(-grid.size // 4096)
    result = np.empty(blocks)
    potentials = np.stack([fs.two_well().on(grid)] * 2)
    state = normalise(0.3 * np.random.default_rng(0).standard_normal(potentials.shape), 1e-3)
    for text in TERMS:
        row: list[object] = [text or "none"]
        for kernel in (None, Kernel("cosine", tau)):
            added = fs.Problem(["flat"] * 2, nside=64, terms=[text] if text else []).terms
            energy = Energy(grid, potentials, tau, 1.0, kernel, added)
            out = np.empty_like(potentials)
            step, read = best(
                lambda e=energy, o=out: e.step(state, 0.5, o),
                lambda: threads.over_blocks(read_pass, blocks, field.size, field, result),
                repeat=5,
            )
            row.append(f"{step / read:.0f}")
        rows.append(row)
    return table(
        "One mirror step of two modalities at nside 64, in passes", ["added term", "intrinsic", "smoothed, tau 0.3"], rows
    )


def halves() -> str:
    """What the bound of smoothed energies is of a solve."""
    rows: list[list[object]] = []
    for nside, tau in ((16, 0.3), (64, 0.3), (64, 0.05), (128, 0.05)):
        problem = fs.Problem(["two-well"] * 2, tau, 1e-3, 0.4, "smoothed", nside=nside)
        energy = problem.functional()[0]
        solve, bound = best(lambda p=problem: p.solve(), lambda e=energy: half_smoothed_bound(e, 1e-3), repeat=2)
        rows.append([nside, tau, f"{bound / solve:.2f}", f"{problem.solve().gap:.2f}"])
    return table(
        "Bounds of smoothed energies, two wells, coupling 0.4", ["nside", "tau", "bound / whole solve", "gap (nats)"], rows
    )
