"""What smoothing costs: sums, logarithms, mirror steps of smoothed energies, memory; mild fields and concentrated ones."""

import subprocess
import sys
from collections.abc import Callable

import ducc0
import numpy as np

import fieldsolve as fs
from benchmarks.timing import best, growth, table
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.grids import Healpix, Kernel, Smoother, allpairs
from fieldsolve.numerics import threads

NSIDES = (64, 128, 256, 512, 1024)


def concentrated(grid: Healpix, tau: float) -> np.ndarray:
    """The two-well Gibbs density, (N,)."""
    return gibbs(fs.two_well().on(grid)[None], tau).density()[0]


def spikes(grid: Healpix) -> np.ndarray:
    """Two pixels with all mass but 1e-12 of it, as minima of smoothed energies have them."""
    density = np.full(grid.size, 1e-12)
    density[[grid.size // 7, grid.size // 3]] = grid.size / 2
    return density


def smoothing() -> str:
    """Smoothing a mild field and a concentrated one, against the bare transforms, a copy, healpy and all pairs."""
    import healpy

    rows: list[list[object]] = []
    for nside in NSIDES:
        grid = Healpix(nside)
        field, narrow = np.random.default_rng(0).exponential(size=grid.size), concentrated(grid, 0.05)
        target = np.empty_like(field)
        geometry = ducc0.healpix.Healpix_Base(nside, "RING").sht_info()
        workers, points = threads.count(10 * grid.size), grid.points()
        for tau in (0.1, 0.01):
            smoother = Smoother(grid, Kernel("cosine", tau))
            assert smoother.balance.shape == (grid.size,)  # computed once, and kept
            lmax = smoother.kernel.harmonics(2) or 0
            spectrum = smoother.kernel.spectrum(2, lmax)

            def bare(field=field, lmax=lmax, geometry=geometry, workers=workers) -> object:
                options = {"spin": 0, "lmax": lmax, "nthreads": workers, **geometry}
                alm = ducc0.sht.experimental.adjoint_synthesis(map=field[None], **options)
                return ducc0.sht.experimental.synthesis(alm=alm, **options)

            copy, transforms, plain, smooth, of_narrow = best(
                lambda target=target, field=field: np.copyto(target, field),
                bare,
                lambda smoother=smoother, field=field: smoother.sum(field),
                lambda smoother=smoother, field=field: smoother.smooth(field),
                lambda smoother=smoother, narrow=narrow: smoother.smooth(narrow),
                repeat=15,
            )
            (by_healpy,) = best(
                lambda field=field, spectrum=spectrum, lmax=lmax: healpy.smoothing(
                    field, beam_window=spectrum, lmax=lmax, iter=0
                ),
                repeat=2,
            )
            (part,) = best(lambda p=points, f=field, k=smoother.kernel: allpairs.sums(p[:64], p, f, k), repeat=2)
            rows.append([
                nside, tau, f"{plain / transforms:.2f}", f"{smooth / transforms:.2f}", f"{of_narrow / smooth:.2f}",
                f"{smooth / copy:.1f}", f"{by_healpy / smooth:.1f}", f"{part * grid.size / 64 / smooth:.0f}",
            ])  # fmt: skip
    header = [
        "nside", "tau", "sum / ducc0", "smooth / ducc0", "Gibbs density / mild field", "smooth / copy", "healpy / smooth",
        "all pairs / smooth",
    ]  # fmt: skip
    return table("Smoothing", header, rows)


def logarithms() -> str:
    """log K rho of concentrated densities against smoothings, and against sums over all pairs, timed on a part of the points."""
    rows: list[list[object]] = []
    cases: dict[str, tuple[float, Callable[[Healpix], np.ndarray]]] = {
        "Gibbs, tau 0.1": (0.1, lambda grid: concentrated(grid, 0.1)),
        "Gibbs, tau 0.05": (0.05, lambda grid: concentrated(grid, 0.05)),
        "Gibbs, tau 0.02": (0.02, lambda grid: concentrated(grid, 0.02)),
        "spikes, tau 0.05": (0.05, spikes),
        "log-normal, tau 0.05": (0.05, lambda grid: np.exp(6 * np.random.default_rng(0).standard_normal(grid.size))),
    }
    for label, (tau, made) in cases.items():
        sizes, seconds = [], []
        for nside in NSIDES:
            grid = Healpix(nside)
            smoother, density, points = Smoother(grid, Kernel("cosine", tau)), made(grid), grid.points()
            at = np.random.default_rng(1).choice(grid.size, max(4, min(256, 30_000_000 // grid.size)), replace=False)
            log_masses = np.log(density * smoother.balance)
            smooth, closely, weighted = best(
                lambda s=smoother, d=density: s.smooth(d),
                lambda s=smoother, d=density: s.log_smooth(d),
                lambda s=smoother, d=density: s.log_smooth(d, weight=d),
                repeat=5,
            )
            routes = [
                lambda p=points, w=log_masses, k=smoother.kernel, at=at: allpairs.log_sums(p[at], p, w, k),
                lambda p=points, w=log_masses, t=tau, at=at: by_blas(p[at], p, w, 1 / t),
                lambda p=points, w=log_masses, t=tau, at=at: by_torch(p[at], p, w, 1 / t),
            ]
            pairs, blas, torch = (one * grid.size / len(at) / closely for one in best(*routes, repeat=2))
            exact = by_blas(points[at], points, log_masses, 1 / tau) + np.log(smoother.balance[at]) - np.log(grid.size)
            error = np.abs(smoother.log_smooth(density)[at] - exact - grid.log_peak(smoother.kernel)).max()
            sizes.append(grid.size)
            seconds.append(closely)
            ratios = f"{closely / smooth:.1f}", f"{weighted / smooth:.1f}", f"{pairs:.0f}", f"{blas:.0f}", f"{torch:.0f}"
            exponent = f"N^{growth(sizes, seconds):.2f}" if nside == NSIDES[-1] else ""
            rows.append([label, nside, *ratios, f"{error:.0e}", exponent])
    header = [
        "density", "nside", "log_smooth / smooth", "weighted / smooth", "all pairs, compiled / log_smooth", "numpy / log_smooth",
        "torch / log_smooth", "largest error", "growth",
    ]  # fmt: skip
    return table("Logarithms of smoothed densities, to 1e-10 at every point", header, rows)


def by_blas(targets: np.ndarray, sources: np.ndarray, log_masses: np.ndarray, kappa: float) -> np.ndarray:
    """log sum_j exp(log_masses_j + kappa (x_i.y_j - 1)) in plain numpy: one matrix product, one log-sum-exp."""
    exponents = kappa * (targets @ sources.T - 1) + log_masses
    top = exponents.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(exponents - top).sum(axis=1))


def by_torch(targets: np.ndarray, sources: np.ndarray, log_masses: np.ndarray, kappa: float) -> np.ndarray:
    """The same in PyTorch."""
    import torch

    x, y, w = (torch.from_numpy(one) for one in (targets, sources, log_masses))
    return torch.logsumexp(kappa * (x @ y.T - 1) + w, dim=1).numpy()


def smoothed() -> str:
    """One smoothed mirror step of two modalities against the four smoothings that it cannot do without."""
    rows: list[list[object]] = []
    for nside in (64, 256, 1024):
        grid = Healpix(nside)
        potential = fs.two_well().on(grid)
        field = np.exp(np.random.default_rng(0).standard_normal(grid.size))
        for tau, coupling, floor in ((0.5, 0.5, 1e-3), (0.1, 0.5, 1e-3), (0.1, 1.0, 0.0), (0.05, 1.0, 0.0)):
            kernel = Kernel("cosine", tau)
            energy = Energy(grid, np.stack([potential, potential[::-1]]), tau, coupling, kernel)
            state = gibbs(energy.potentials, tau, floor)
            out = np.empty_like(state.field)
            step, four = best(
                lambda energy=energy, state=state, out=out: energy.step(state, 1.0, out),
                lambda grid=grid, kernel=kernel, field=field: [Smoother(grid, kernel).smooth(field) for _ in range(4)],
                repeat=5,
            )
            rows.append([nside, tau, coupling, f"{floor:g}", f"{step / four:.2f}", f"{1e3 * step:.1f}"])
    header = ["nside", "tau", "coupling", "floor", "step / four smoothings", "step in ms"]
    return table("One smoothed mirror step of two modalities at their Gibbs densities", header, rows)


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
