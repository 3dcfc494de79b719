"""The paper's experiment D.3 without samples: its large-batch objective has two phases, and goes from one to the other at once.

Two linear encoders see a common angle, one of them misaligned by sigma. The energy that the symmetric CLIP loss tends to is an
integral over angles. One of its minima is aligned: both densities nearly match, and their gap grows with sigma. The other is
separated: encoders of rank one send each modality to two points far from those of the other. Their energies cross at sigma =
0.5192.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from fieldsolve.numerics.arrays import Array
from fieldsolve.reproduce.gap.binned import density_symmetric_kl
from fieldsolve.reproduce.gap.branches import Branches, aligned_minimum, follow_phases
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gap.population import minimise

SIGMAS = np.round(np.arange(0, 0.85, 0.1), 2)


@dataclass
class Result:
    branches: Branches
    gaps: Array


def solve() -> Result:
    gaps = []
    state, _ = aligned_minimum(Misaligned(float(SIGMAS[0])), 4)
    for sigma in SIGMAS.tolist():
        law = Misaligned(sigma)
        assert state is not None
        state = minimise(law, state)
        assert state is not None
        gaps.append(density_symmetric_kl(law, state)[0])
    return Result(follow_phases(SIGMAS.tolist()), np.array(gaps))


def check(result: Result) -> None:
    found = result.branches
    assert abs(found.crossing - 0.51916) < 1e-4
    is_aligned = found.aligned_energy < found.separated_energy
    np.testing.assert_array_equal(is_aligned, found.sigmas < found.crossing)
    # Both are minima throughout: descents stay in the phase that they are in.
    assert np.all(found.aligned_curvature > 0)
    assert np.all(found.separated_slope > 0)
    assert np.all(found.separated_curvature > 0)
    assert result.gaps[0] < 1e-12
    assert np.all(np.diff(result.gaps) > 0)


def plot(result: Result) -> Figure:
    found = result.branches
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(found.sigmas, found.aligned_energy, "o-", color="#0072B2", label="aligned")
    left.plot(found.sigmas, found.separated_energy, "o-", color="#D55E00", label="separated")
    left.axvline(found.crossing, color="black", lw=0.8, ls="--", label=f"they cross at {found.crossing:.4f}")
    left.set(xlabel="misalignment sigma", ylabel="energy J (nats)", title="large-batch energy of linear encoders")
    left.legend(frameon=False)
    right.plot(SIGMAS, result.gaps, "o-", color="#0072B2")
    right.set(xlabel="misalignment sigma", ylabel="nats", title="symmetric KL of the aligned phase's densities")
    return figure


if __name__ == "__main__":
    results = solve()
    check(results)
    print(f"energies cross at sigma = {results.branches.crossing:.6f}; the aligned phase ends at {results.branches.end:.3f}")
    for sigma, gap in zip(SIGMAS, results.gaps, strict=True):
        print(f"sigma {sigma:<4}  gap of the aligned phase {gap:.6f}")
    plot(results).savefig("11_two_phases.png", dpi=110)
