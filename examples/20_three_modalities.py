"""Three modalities, as image, text and audio: who stays apart from whom, certified.

Three coupled densities with equal potentials leave the matched state for good at coupling 1/3, and a separated one is lower long
before. When the third modality's potential is turned away from the others', the odd one out parts first: at coupling 0.12 it is
14 nats from either, while the two that agree are 1 nat apart; at 0.2 all three are. The bound says how far from the lowest
energy each state is: next to nothing.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs

COUPLINGS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
NAMES = ("image", "text", "audio")


@dataclass
class Result:
    equal: list[fs.Solution]
    turned: dict[float, fs.Solution]
    binodal: float
    spinodal: float


def solve() -> Result:
    problem = fs.Problem(["two-well"] * 3, 0.5, 1e-3, nside=16)
    found = problem.transitions()
    turned = {one: problem.at("coupling", one).at("misalign", 60.0).solve() for one in (0.12, 0.2)}
    return Result([problem.at("coupling", one).solve() for one in COUPLINGS], turned, found.binodal, found.spinodal)


def apart(solution: fs.Solution) -> np.ndarray:
    """Symmetric KL of every pair, (A, A)."""
    cross, own = solution.cross_entropy, np.diag(solution.cross_entropy)
    return np.asarray(cross + cross.T - own[:, None] - own[None])


def check(result: Result) -> None:
    assert abs(result.spinodal - 1 / 3) < 1e-8
    assert 0.05 < result.binodal < 0.15
    for coupling, solution in zip(COUPLINGS, result.equal, strict=True):
        assert solution.gap is not None
        assert solution.gap < 1e-6
        assert (solution.phase_sentence or "").startswith("matched" if coupling < result.binodal else "separated")
    assert abs(dict(zip(COUPLINGS, result.equal, strict=True))[0.3].energy + 2.389855) < 1e-5
    for solution in result.turned.values():
        assert solution.gap is not None
        assert solution.gap < 1e-6
    weak, strong = (apart(solution) for solution in result.turned.values())
    assert min(weak[0, 2], weak[1, 2]) > 10 * weak[0, 1]
    assert strong[0, 1] > 10


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot(COUPLINGS, [one.energy for one in result.equal], "o-", color="black", label="lowest state")
    matched = [one.matched.energy if one.matched and one.matched.energy is not None else np.nan for one in result.equal]
    left.plot(COUPLINGS, matched, "--", color="#D55E00", label="matched state")
    left.set(xlabel="coupling", ylabel="energy (nats)")
    middle.plot(COUPLINGS, [one.symmetric_kl / 3 for one in result.equal], "o-", color="#0072B2")
    middle.set(xlabel="coupling", ylabel="symmetric KL of a pair (nats), mean")
    for ax in (left, middle):
        ax.axvline(result.binodal, color="#E69F00", label=f"binodal {result.binodal:.3f}")
        ax.axvline(result.spinodal, color="#D55E00", ls=":", label="spinodal 1/3")
    left.legend(frameon=False, fontsize=8)
    pairs = apart(result.turned[0.12])
    image = right.imshow(pairs, cmap="cividis")
    right.set_xticks(range(3), NAMES)
    right.set_yticks(range(3), NAMES)
    for (a, b), value in np.ndenumerate(pairs):
        right.text(b, a, f"{value:.1f}", ha="center", va="center", color="white" if value < pairs.max() / 2 else "black")
    right.set_title("symmetric KL of pairs (nats)\naudio turned by 60 degrees, coupling 0.12", fontsize=10)
    figure.colorbar(image, ax=right, shrink=0.8)
    figure.suptitle("Three modalities with two wells each, tau = 0.5, floor 0.001")
    return figure


if __name__ == "__main__":
    answer = solve()
    check(answer)
    print(f"binodal {answer.binodal:.4f}, spinodal {answer.spinodal:.4f}")
    for coupling, solution in zip(COUPLINGS, answer.equal, strict=True):
        print(f"coupling {coupling:g}: {solution.phase_sentence}")
    plot(answer).savefig("20_three_modalities.png", dpi=110)
