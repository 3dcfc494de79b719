"""The dipole: without any potential, two matched uniform densities part into antipodal halves as the coupling grows.

The intrinsic energy lets the matched state break along any pattern at coupling 1/4; smoothing chooses a dipole, and moves the
place to lambda_c = 1/2 - k_1/4, above 1/4 for every temperature. The Hessian's lowest eigenvalue crosses zero there. Beyond it
a small push along its mode ends far away, with the modalities on opposite sides, as rings or clumps that cost nearly
the same; at full coupling they are two antipodal spikes, whose smoothed divergence is 4/tau.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.stability import curvature
from fieldsolve.theorems.dispersion import dispersion

TAUS = (1.0, 0.3, 0.1)
FINE, GRID = fs.Healpix(16), fs.Healpix(8)  # for eigenvalues, and for descents


@dataclass
class Result:
    critical: float
    couplings: list[float]
    eigenvalues: list[float]  # the mean over the three dipoles, which the pixels split
    states: list[fs.Solution]


def solve() -> dict[float, Result]:
    results = {}
    nothing = np.zeros((2, FINE.size))
    uniform = normalise(nothing, 0.0)
    for tau in TAUS:
        kernel = fs.Kernel("cosine", tau)
        critical = dispersion(kernel).breaks_at
        couplings = [critical + shift for shift in (0.005, 0.01, 0.02, 0.05)]
        energies = [Energy(FINE, nothing, tau, coupling, kernel) for coupling in couplings]
        eigenvalues = [float(np.mean(curvature(energy, uniform).eigenvalues[:3])) for energy in energies]
        states = [
            fs.Problem(
                [fs.flat()] * 2, tau=tau, floor=0.0, coupling=coupling, start="uniform", escape=True, energy="smoothed", grid=GRID
            ).solve()
            for coupling in (critical - 0.02, critical + 0.02, 1.0)
        ]
        results[tau] = Result(critical, couplings, eigenvalues, states)
    return results


def check(results: dict[float, Result]) -> None:
    for tau, result in results.items():
        slope = np.polyfit(result.couplings, result.eigenvalues, 1)
        assert abs(-slope[1] / slope[0] - result.critical) < 1e-5
        below, above, full = result.states
        assert below.curvature is not None
        assert not below.curvature.is_saddle
        assert below.centroid_gap < 1e-6
        assert above.centroid_gap > 1.5
        assert full.centroid_gap > 1.9
        assert abs(full.symmetric_kl / (4 / tau) - 1) < 2e-3


def plot(results: dict[float, Result]) -> Figure:
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    left = figure.add_subplot(1, 3, 1)
    for (tau, result), colour in zip(results.items(), ("black", "#D55E00", "#0072B2"), strict=True):
        shifts = np.array(result.couplings) - result.critical
        left.plot(shifts, result.eigenvalues, "o-", color=colour, label=f"tau {tau:g}: lambda_c = {result.critical:.4f}")
        slope = result.eigenvalues[0] / shifts[0]
        left.plot([-0.02, shifts[0]], [-0.02 * slope, result.eigenvalues[0]], ":", color=colour)
    left.axhline(0, color="grey", lw=0.8)
    left.set(xlabel="coupling - lambda_c", ylabel="eigenvalue of the dipole", title="the matched state's stability")
    left.legend(frameon=False, fontsize=8)
    above = results[0.3].states[1]
    for column, (density, name) in enumerate(zip(above.density, ("first", "second"), strict=True), start=2):
        ax = figure.add_subplot(1, 3, column, projection="mollweide")
        GRID.sky(ax, density, "density, 1 = uniform", cmap="magma")
        ax.set_title(f"{name} modality, tau 0.3, 0.02 above lambda_c")
    return figure


if __name__ == "__main__":
    found = solve()
    check(found)
    for tau, result in found.items():
        full = result.states[2]
        print(
            f"tau {tau:g}: breaks at {result.critical:.4f}; at coupling 1 centroid gap {full.centroid_gap:.4f}, "
            f"symmetric KL {full.symmetric_kl:.4g} (two spikes: {4 / tau:.4g})"
        )
    plot(found).savefig("09_dipole.png", dpi=110)
