"""CLIP's scale: at which coupling do two uniform densities part in 512 dimensions at temperature 0.01, and how?

A kernel exp(z.z'/tau) that is sharp on S^2 is blunt in high dimension: its first eigenvalue k_1 depends on tau d. Smoothing
protects the matched state most where k_1 is small, but never beyond coupling 1/2, and always loses it to a dipole: the
centroids part first, which is the modality gap as it is measured. A penalty beta = 1 - lambda on the symmetric KL would have to
exceed 1 - lambda_c to keep the modalities matched.
"""

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.theorems.dispersion import Dispersion, dispersion

DIMENSIONS = tuple(2**k for k in range(1, 13))
TAUS = (0.01, 0.07, 0.5)


def solve() -> dict[float, list[Dispersion]]:
    return {tau: [dispersion(fs.Kernel("cosine", tau), dimension, lmax=4) for dimension in DIMENSIONS] for tau in TAUS}


def check(found: dict[float, list[Dispersion]]) -> None:
    for rows in found.values():
        places = np.array([row.breaks_at for row in rows])
        assert np.all(np.diff(places) > 0)
        assert np.all((places > 0.25) & (places < 0.5))
        assert all(row.mode == 1 for row in rows)
    clip = found[0.01][DIMENSIONS.index(512)]
    # k_1 = I_256(100)/I_255(100) = x/(h + sqrt(h^2 + x^2)) to leading order, x = 1/tau, h = d/2
    x, h = 100.0, 256.0
    assert abs(clip.spectrum[1] - x / (h + np.hypot(h, x))) < 1e-3
    assert abs(clip.breaks_at - 0.4529) < 1e-4


def plot(found: dict[float, list[Dispersion]]) -> Figure:
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    ax = figure.subplots()
    for (tau, rows), colour in zip(found.items(), ("#D55E00", "#0072B2", "black"), strict=True):
        ax.semilogx(DIMENSIONS, [row.breaks_at for row in rows], "o-", color=colour, label=f"tau = {tau:g}", base=2)
    clip = found[0.01][DIMENSIONS.index(512)]
    ax.annotate(
        f"CLIP: {clip.breaks_at:.4f},\na dipole", (512, clip.breaks_at), (40, 0.47), arrowprops={"arrowstyle": "->"}, fontsize=9
    )
    ax.axhline(0.25, color="grey", ls=":", label="intrinsic energy")
    penalty = ax.secondary_yaxis("right", functions=(lambda coupling: 1 - coupling, lambda beta: 1 - beta))
    penalty.set_ylabel("penalty beta that keeps them matched")
    ax.set(xlabel="components of the embeddings", ylabel="coupling where the matched state breaks")
    ax.legend(frameon=False)
    return figure


if __name__ == "__main__":
    results = solve()
    check(results)
    for tau, rows in results.items():
        print(f"tau {tau:g}, 512 components: breaks at coupling {rows[DIMENSIONS.index(512)].breaks_at:.4f}, along a dipole")
    plot(results).savefig("10_clip_scale.png", dpi=110)
