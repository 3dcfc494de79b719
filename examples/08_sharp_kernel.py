"""Sharp kernels: the smoothed energy becomes the intrinsic one, and the divergence between modalities stays.

One modality nears its limit at second order in the temperature, because F - J is a divergence; two modalities at
first order. The theorem's bound holds for both. What sharpening does not remove is the symmetric KL between them.
"""

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.grids import Healpix
from fieldsolve.theorems.sharpness import Sharpness, sharpness


def solve() -> tuple[Sharpness, Sharpness]:
    grid, wells = fs.Healpix(64), fs.two_well()
    return sharpness(grid, [wells]), sharpness(grid, [wells, wells.misalign(40, Healpix(1))])


def check(found: tuple[Sharpness, Sharpness]) -> None:
    one, two = found
    assert abs(one.difference_rate - 2) < 0.05
    assert abs(two.difference_rate - 1) < 0.05
    for each in found:
        assert np.all(np.abs(each.difference) <= each.bound)
        assert np.all(each.log_outside <= each.log_outside_bound)
    assert abs(two.smoothed_symmetric_kl[-1] / two.symmetric_kl - 1) < 3e-3


def plot(found: tuple[Sharpness, Sharpness]) -> Figure:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for one, colour, name in zip(found, ("black", "#0072B2"), ("one modality", "two modalities"), strict=True):
        label = f"{name}: falls like tau^{one.difference_rate:.2f}"
        left.loglog(one.taus, np.abs(one.difference), "o-", ms=3, color=colour, label=label)
        left.loglog(one.taus, one.bound, "--", color=colour, label="bound by the KDE error")
    left.set(xlabel="temperature tau", ylabel="nats", title="|J - F|")
    two = found[1]
    right.semilogx(two.taus, two.smoothed_symmetric_kl, "o-", ms=3, color="black", label="symmetric KL, smoothed")
    right.axhline(two.symmetric_kl, color="#D55E00", ls="--", label="symmetric KL of the densities")
    right.semilogx(two.taus, two.kde_error.max(axis=0), color="#0072B2", label="KDE error")
    right.set(xlabel="temperature tau", title="the KDE error vanishes, the divergence stays")
    for ax in (left, right):
        ax.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    results = solve()
    check(results)
    for line in results[1].report:
        print(line)
    plot(results).savefig("08_sharp_kernel.png", dpi=110)
