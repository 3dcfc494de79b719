"""Remedies against the gap on one problem: the weights that formulas give, and the states on both sides of them.

In-modal InfoNCE, one softmax over all negatives, uniformity, and penalties by centroids and by a narrow kernel: with partners
held still each has a weight from which on two uniform densities stay together, which descents from next to them confirm. The
lowest states part a while longer, because the transition is of first order.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.remedies.effect import Effect, effect
from fieldsolve.remedies.pictures import plot_comparison
from fieldsolve.remedies.published import remedy_of
from fieldsolve.remedies.states import states_of
from fieldsolve.remedies.study import Comparison, Free, Study

TAU, NSIDE = 0.3, 4
NAMES = ("in-modal-negatives", "joint-softmax", "uniformity:2.0", "centroid", "mmd:0.2")
CLIP = fs.Kernel("cosine", 0.01), 512
FACTORS = (0.0, 1.1, 4.0)


@dataclass
class Result:
    effects: dict[str, Effect]
    at_clip: dict[str, Effect]
    apart: dict[str, tuple[float, float]]
    comparison: Comparison


def solve() -> Result:
    kernel, grid = fs.Kernel("cosine", TAU), fs.Healpix(NSIDE)
    problem = fs.Problem(["two-well"] * 2, TAU, 1e-3, energy="smoothed", grid=grid)
    remedies = {name: remedy_of(name)[0] for name in NAMES}
    effects = {name: effect(remedy, 0.0, kernel, 3) for name, remedy in remedies.items()}
    height = grid.points()[:, 2]
    start = normalise(1e-2 * np.stack([height, -height]), 0.0)
    apart, studies = {}, []
    for name, remedy in remedies.items():
        critical, gaps = effects[name].centroid_weight, []
        for factor in (0.93, 1.07):
            setting = remedy.setting(min(factor * critical, remedy.most))
            flat = Energy(grid, np.zeros((2, grid.size)), TAU, setting.coupling, kernel, setting.terms)
            centroids = grid.centroid(descend(flat, start, 1e-6, 400).state.density())
            gaps.append(float(np.linalg.norm(centroids[0] - centroids[1])))
        apart[name] = gaps[0], gaps[1]
        weights = sorted({min(factor * critical, remedy.most) for factor in FACTORS})
        studies.append(Study(effects[name], states_of(remedy, problem, weights), Free(remedy.free_sentence, None, None)))
    at_clip = {name: effect(remedy, 0.0, *CLIP) for name, remedy in remedies.items()}
    return Result(effects, at_clip, apart, Comparison(tuple(studies)))


def check(result: Result) -> None:
    for name, weight in (("in-modal-negatives", 2.083), ("joint-softmax", 0.5), ("uniformity:2.0", 1.26465), ("centroid", 0.712)):
        assert abs(result.effects[name].centroid_weight / weight - 1) < 1e-3
    for name, weight in (("in-modal-negatives", 1.208), ("joint-softmax", 0.5), ("uniformity:2.0", 26.389)):
        assert abs(result.at_clip[name].centroid_weight / weight - 1) < 1e-3
    assert not np.isfinite(result.at_clip["uniformity:2.0"].whole_weight)
    for name, (below, above) in result.apart.items():
        assert below > 0.1
        assert above < 5e-3 or name == "centroid"  # whose other degrees grow on
    for study in result.comparison.studies:
        states = study.states
        assert states is not None
        words = states.columns()["state"]
        assert words[0] == "apart"
        assert words[-1] == ("centroids together" if str(study.effect.remedy) == "centroid" else "together")


def plot(result: Result) -> Figure:
    return plot_comparison(result.comparison)


if __name__ == "__main__":
    answer = solve()
    check(answer)
    for name, one in answer.effects.items():
        print(f"{name}: no dipole grows from weight {one.centroid_weight:.4g} on")
    plot(answer).savefig("18_remedies.png", dpi=110)
