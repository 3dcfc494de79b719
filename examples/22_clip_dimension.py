"""At CLIP's own dimension and temperature: what potentials that are held still predict for its centroid gap, and what it is.

At d = 512 and tau = 0.01 the separated state of flat potentials is two bands in closed form. A descent on the nodes of a zonal
grid is pinned where the nodes are; its spikes, moved off them, are the bands to ten digits. At full coupling, CLIP's own,
potentials predict a centroid gap of 2, flat ones and those of CLIP's features alike; in the features it is 0.851. That is a
failure of potentials that are held still, not of the solver: in training partners move with their densities (see
14_free_encoders.py).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.embeddings.heights import read_heights
from fieldsolve.equilibrium.bands import Band, band_binodal, band_energy, band_state
from fieldsolve.grids import Zonal

DIMENSION, TAU = 512, 0.01
COUPLINGS = (0.40, 0.42, 0.43, 0.45, 0.48, 0.5, 1.0)
FEATURES = Path(os.environ.get("FIELDSOLVE_DATA", Path(__file__).parents[2] / "shared" / "data")) / "features_clip.npy"


@dataclass
class Result:
    states: dict[float, fs.Solution]
    pinned: fs.Solution
    exact: dict[float, Band | None]
    observed: float
    predicted: dict[str, fs.Solution]


def available() -> bool:
    return FEATURES.exists()


def problem(potentials: object, coupling: float) -> fs.Problem:
    return fs.Problem(potentials, TAU, 0.0, coupling, "smoothed", dimension=DIMENSION, tolerance=1e-6)


def pinned_start(grid: Zonal) -> np.ndarray:
    """Both bands on nodes at heights of +-0.75."""
    start = np.full((2, grid.size), 1e-300)
    at = int(np.argmin(np.abs(grid.heights - 0.75)))
    start[0, at] = start[1, grid.size - 1 - at] = grid.size
    return start


def solve() -> Result:
    kernel = fs.Kernel("cosine", TAU)
    states = {coupling: problem(["flat"] * 2, coupling).solve() for coupling in COUPLINGS}
    grid = states[1.0].grid
    pinned = problem(["flat"] * 2, 0.44).at("polish", False).solve(pinned_start(grid))
    heights = read_heights([FEATURES], normalize=True)
    predicted = {"flat": states[1.0], "CLIP's own": problem(heights.potentials(), 1.0).solve()}
    exact = {coupling: band_state(kernel, DIMENSION, coupling) for coupling in COUPLINGS}
    return Result(states, pinned, exact, heights.gap, predicted)


def check(result: Result) -> None:
    kernel = fs.Kernel("cosine", TAU)
    for coupling, state in result.states.items():
        band = result.exact[coupling]
        assert state.converged
        if band is None or band.energy > 0:
            assert state.centroid_gap < 1e-3
        else:
            assert abs(state.centroid_gap - 2 * band.height) < 1e-6
            assert abs(state.energy - band.energy) < 1e-8
    assert result.pinned.stationarity < 1e-9  # on the nodes; and yet its energy is a quarter of a nat too high
    band = band_state(kernel, DIMENSION, 0.44)
    assert band is not None
    assert not result.pinned.converged
    assert result.pinned.energy > band.energy + 0.25
    assert all(1.9 < one.centroid_gap <= 2 + 1e-9 for one in result.predicted.values())
    assert abs(result.observed - 0.851) < 1e-3


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    kernel = fs.Kernel("cosine", TAU)
    binodal = band_binodal(kernel, DIMENSION)
    heights = np.linspace(0, 1, 300)
    for coupling, colour in ((0.40, "grey"), (binodal.coupling, "#0072B2"), (0.43, "#D55E00")):
        values = [band_energy(kernel, DIMENSION, coupling, float(t)) for t in heights]
        left.plot(heights, values, color=colour, label=f"coupling {coupling:.4g}")
    left.axhline(0, color="black", lw=0.8, ls=":")
    left.set(
        xlabel="height t of the bands", ylabel="J (nats), 0 of uniform densities", ylim=(-0.8, 0.8), title="bands, in closed form"
    )
    left.legend(frameon=False, fontsize=8)
    couplings = np.linspace(0.405, 0.52, 200)
    curve = [band_state(kernel, DIMENSION, float(one)) for one in couplings]
    middle.plot(
        couplings, [np.nan if one is None else 2 * one.height for one in curve], color="#D55E00", label="bands, closed form"
    )
    found = {coupling: state.centroid_gap for coupling, state in result.states.items() if coupling < 1}
    middle.plot(list(found), list(found.values()), "o", color="black", label="descent, then atoms")
    middle.plot(0.44, result.pinned.centroid_gap, "x", color="grey", label="pinned by the nodes")
    middle.axvline(binodal.coupling, color="#0072B2", ls="--", lw=0.8, label="binodal")
    middle.axvline(0.5 - kernel.spectrum(DIMENSION - 1, 1)[1] / 4, color="grey", ls="--", lw=0.8, label="spinodal")
    middle.set(xlabel="coupling", ylabel="centroid gap", title="the separated state at d = 512, tau = 0.01")
    middle.legend(frameon=False, fontsize=8)
    names = [*(f"{name} potentials" for name in result.predicted), "CLIP's features"]
    gaps = [*(one.centroid_gap for one in result.predicted.values()), result.observed]
    right.barh(names[::-1], gaps[::-1], color=["#009E73", "#D55E00", "grey"])
    right.set(xlabel="centroid gap", xlim=(0, 2.2), title="potentials held still do not explain the gap")
    for place, gap in enumerate(gaps[::-1]):
        right.text(gap + 0.03, place, f"{gap:.3g}", va="center", fontsize=9)
    return figure


if __name__ == "__main__":
    found = solve()
    check(found)
    for coupling, state in found.states.items():
        print(f"coupling {coupling:g}: centroid gap {state.centroid_gap:.6f}, energy {state.energy:.6f}")
    print(f"pinned at 0.44: centroid gap {found.pinned.centroid_gap:.4f}, energy {found.pinned.energy:.4f}")
    for name, one in found.predicted.items():
        print(f"{name} potentials at full coupling: centroid gap {one.centroid_gap:.4f}")
    print(f"CLIP's features: {found.observed:.4f}")
    plot(found).savefig("22_clip_dimension.png", dpi=110)
