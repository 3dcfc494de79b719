"""In-modal negatives close the gap of encoders that move: at any weight, or from a critical one where information is uneven.

Many trainers add InfoNCE terms within each modality. With potentials held still they have to outweigh the cross-modal loss
(fieldsolve stability); with partners that move any weight of in-modal negatives takes the gap of transitive laws to 0, at no loss
and with the same recall. Where symbols' information varies there is a critical weight, which one encoder's optimum gives.
In-modal *positives* are another loss, and leave the gap.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from fieldsolve.encoders import EncoderProblem, EncoderSolution, JointLaw, law_from_table, law_named, measures, solve_encoders
from fieldsolve.encoders.fronts import critical_weight_of_symmetric
from fieldsolve.encoders.losses import InModalNegatives, InModalPositives, JointSoftmax
from fieldsolve.encoders.objective import Objective

RING = law_named("ring:8,5")
TAU = 0.1
WEIGHTS = (0.001, 0.01, 0.1, 1.0)


def uneven() -> JointLaw:
    """Symbols whose information with their own partner varies, symmetric."""
    rng = np.random.default_rng(0)
    places = 1.2 * rng.standard_normal((6, 2))
    weights = rng.dirichlet(np.ones(6))
    table = np.exp(places @ places.T) * np.multiply.outer(weights, weights)
    table = table + table.T
    return law_from_table(table / table.sum(), "uneven information")


@dataclass
class Result:
    plain: EncoderSolution
    ring: list[EncoderSolution]
    joint: EncoderSolution
    critical: float
    negatives: list[EncoderSolution]
    positives: list[EncoderSolution]


def solve() -> Result:
    law, tau = uneven(), 0.5 * 0.2343017
    critical = critical_weight_of_symmetric(law, tau, "in-modal-negatives")
    return Result(
        plain=solve_encoders(EncoderProblem(RING, TAU), 1e-10),
        ring=[solve_encoders(EncoderProblem(RING, TAU, InModalNegatives(weight)), 1e-11) for weight in WEIGHTS],
        joint=solve_encoders(EncoderProblem(RING, TAU, JointSoftmax(0.01)), 1e-11),
        critical=critical,
        negatives=[
            solve_encoders(EncoderProblem(law, tau, InModalNegatives(factor * critical)), 1e-10)
            for factor in (0.1, 0.5, 0.95, 1.05, 2)
        ],
        positives=[solve_encoders(EncoderProblem(law, tau, InModalPositives(weight)), 1e-9) for weight in (0.1, 1.0, 10.0)],
    )


def check(result: Result) -> None:
    best = measures.recall(RING, result.plain.similarity)
    for one in (*result.ring, result.joint):
        assert one.centroid_gap < 2e-3
        assert abs(measures.recall(RING, one.similarity) - best) < 1e-9
        assert one.gap <= 1e-10
        cross = Objective(EncoderProblem(RING, TAU)).slopes(one.point)[0]
        assert cross + RING.mutual_information < 1e-6
    assert abs(result.critical - 0.02973825) < 1e-7
    gaps = [one.centroid_gap for one in result.negatives]
    assert min(gaps[:3]) > 0.05
    assert max(gaps[3:]) < 1e-3
    for one, gap in zip(result.positives, (0.85, 0.84, 0.66), strict=True):
        assert abs(one.centroid_gap - gap) < 0.005


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogx(WEIGHTS, [one.centroid_gap for one in result.ring], "o-", color="#009E73", label="ring, in-modal negatives")
    left.axhspan(0, 2 * np.sqrt(1 - TAU / 0.2), color="#DDDDDD", label="without: any of these")
    left.set(xlabel="weight", ylabel="centroid gap", ylim=(-0.05, 1.6), title="even information: any weight")
    left.legend(frameon=False, loc="center")
    factors = (0.1, 0.5, 0.95, 1.05, 2)
    right.plot(factors, [one.centroid_gap for one in result.negatives], "o-", color="#009E73", label="in-modal negatives")
    right.axvline(1, color="black", ls="--", lw=0.8, label=f"critical weight {result.critical:.5f}")
    for weight, one in zip((0.1, 1, 10), result.positives, strict=True):
        right.axhline(one.centroid_gap, color="#D55E00", lw=1, label=f"in-modal positives, weight {weight:g}")
    right.set(xlabel="weight / critical weight", ylabel="centroid gap", ylim=(-0.05, 1.6), title="uneven information")
    right.legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    results = solve()
    check(results)
    for weight, one in zip(WEIGHTS, results.ring, strict=True):
        print(f"ring, weight {weight:g}: gap {one.centroid_gap:.6f}")
    print(f"uneven information: critical weight {results.critical:.8f}")
    plot(results).savefig("17_remedy_of_encoders.png", dpi=110)
