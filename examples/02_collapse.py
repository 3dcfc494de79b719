"""Boundary collapse: two fully coupled densities end as single pixels on the floor [Prop 4.2].

At coupling 1 (CLIP) the energy is concave in each density, so that its minimum is at a pair of vertices, which the
descent reaches and O(N) arithmetic certifies. Without coupling the same potentials give two equal Gibbs densities.
As the grid is refined, the minimum falls to its continuum limit.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.grids import Healpix

TAU, FLOOR = 0.5, 1e-3
NSIDES = (8, 16, 32, 64, 128)
ANGLE = 40.0  # misalignment of the second potential in degrees


@dataclass
class Result:
    coupled: list[fs.Solution]  # one a grid
    free: fs.Solution
    continuum: float


def solve() -> Result:
    potentials = [fs.two_well(), fs.two_well().misalign(ANGLE, Healpix(1))]
    coupled = [fs.Problem(potentials, tau=TAU, floor=FLOOR, grid=fs.Healpix(nside)).solve() for nside in NSIDES]
    free = fs.Problem(potentials, tau=TAU, floor=FLOOR, coupling=0, grid=fs.Healpix(64)).solve()
    # sum_a [(1 - floor) min U_a/tau + floor int U_a/tau] + 2 log floor, at the wells and on a fine grid
    lowest = float(potentials[0].function(potentials[0].wells).min())
    mean = float(potentials[0].on(fs.Healpix(256)).mean())
    continuum = ((1 - FLOOR) * lowest + FLOOR * mean) / TAU + np.log(FLOOR)
    return Result(coupled, free, float(continuum))


def check(result: Result) -> None:
    for solution in result.coupled:
        assert solution.converged
        assert solution.gap is not None
        assert abs(solution.gap) < 1e-12
        np.testing.assert_allclose(solution.spike_mass, 1, rtol=1e-12)
    assert result.free.symmetric_kl < result.coupled[0].symmetric_kl
    remainders = [solution.energy - result.continuum for solution in result.coupled]
    assert all(coarse > 2.5 * fine > 0 for coarse, fine in pairwise(remainders))


def plot(result: Result) -> Figure:
    from fieldsolve.equilibrium.pictures import plot_density

    figure = Figure(figsize=(15, 6.5), layout="constrained")
    sky = {"projection": "mollweide"}
    panels = [["free 1", "free 2", "limit"], ["coupled 1", "coupled 2", "limit"]]
    axes = figure.subplot_mosaic(panels, per_subplot_kw={name: sky for row in panels for name in row if name != "limit"})
    at_64 = result.coupled[NSIDES.index(64)]
    for name, solution in (("free", result.free), ("coupled", at_64)):
        for a in range(2):
            plot_density(axes[f"{name} {a + 1}"], solution, a).set_title(f"coupling {solution.coupling:g}, modality {a + 1}")
    remainders = [solution.energy - result.continuum for solution in result.coupled]
    axes["limit"].loglog(NSIDES, remainders, "o-", color="#D55E00", label="minimum on the grid - continuum infimum")
    reference = np.array([np.log(12 * n**2) / (12 * n**2) for n in NSIDES])
    axes["limit"].loglog(NSIDES, reference / reference[0] * remainders[0], "--", color="grey", label="log(N) / N")
    axes["limit"].set(xlabel="nside", ylabel="nats")
    axes["limit"].legend(frameon=False)
    return figure


if __name__ == "__main__":
    found = solve()
    check(found)
    print(f"continuum infimum {found.continuum:.6f}")
    for nside, solution in zip(NSIDES, found.coupled, strict=True):
        print(f"nside {nside:<4} energy {solution.energy:.6f}  gap {solution.gap:.1e}  D {solution.symmetric_kl:.2f}")
    plot(found).savefig("02_collapse.png", dpi=110)
