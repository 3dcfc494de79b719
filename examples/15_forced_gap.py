"""When a gap is forced: symbols that carry different amounts of information, above the critical temperature.

Below the critical temperature the loss leaves the gap free. Above it the optimum is unique, and its gap is what the law of pairs
makes of it. Asymmetry of the modalities is not needed: here P = P^T, one encoder could serve both, and the optimum of two has a
gap of up to 0.85 all the same, because the symbols' pointwise information with their own partner varies. A penalty closes it from
a critical weight on, which one encoder's optimum tells in closed form.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from fieldsolve.encoders import EncoderProblem, EncoderSolution, JointLaw, law_from_table
from fieldsolve.encoders.fronts import critical_weight_of_symmetric, front
from fieldsolve.encoders.solve import solve_encoders
from fieldsolve.encoders.temperatures import tau_star

WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.17, 0.18, 0.25)


def law() -> JointLaw:
    """Six symbols at random places of the plane: P ~ a_i a_j exp(x_i.x_j)."""
    rng = np.random.default_rng(0)
    places = 1.2 * rng.standard_normal((6, 2))
    weights = rng.dirichlet(np.ones(6))
    table = np.exp(places @ places.T) * np.multiply.outer(weights, weights)
    table = table + table.T
    return law_from_table(table / table.sum(), "six symbols of uneven information")


@dataclass
class Result:
    star: float
    taus: list[float]
    optima: list[EncoderSolution]
    weight: float
    along: list[EncoderSolution]


def solve() -> Result:
    of = law()
    star = tau_star(of).value
    taus = [factor * star for factor in (1.05, 1.3, 2.0, 4.0, 10.0)]
    optima = [solve_encoders(EncoderProblem(of, tau), 1e-10) for tau in taus]
    cold = 0.5 * star
    return Result(star, taus, optima, critical_weight_of_symmetric(of, cold, "gap"), front(EncoderProblem(of, cold), WEIGHTS))


def check(result: Result) -> None:
    of = law()
    assert of.is_symmetric
    assert abs(result.star - 0.2343017) < 1e-6
    assert np.ptp(np.diag(of.pmi)) > 1  # uneven information is what forces the gap
    assert all(one.gap <= 1e-10 for one in result.optima)
    assert abs(result.optima[1].centroid_gap - 0.8353) < 1e-4
    assert min(one.centroid_gap for one in result.optima[:3]) > 0.5
    assert abs(result.weight - 0.17688) < 1e-5
    for weight, one in zip(WEIGHTS, result.along, strict=True):
        assert (one.centroid_gap < 1e-3) == (weight > result.weight)
    losses = [one.loss for one in result.along[1:]]
    assert losses == sorted(losses)


def plot(result: Result) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(np.array(result.taus) / result.star, [one.centroid_gap for one in result.optima], "o-", color="#D55E00")
    left.set(xscale="log", xlabel="tau / tau*", ylabel="centroid gap of the optimum", ylim=(0, 1), title="forced above tau*")
    right.plot(
        [one.centroid_gap for one in result.along],
        [one.loss + law().mutual_information for one in result.along],
        "o-",
        color="black",
    )
    for weight, one in zip(WEIGHTS, result.along, strict=True):
        right.annotate(
            f"{weight:g}", (one.centroid_gap, one.loss + law().mutual_information), textcoords="offset points", xytext=(5, 5)
        )
    right.set(
        xlabel="centroid gap",
        ylabel="loss above its least (nats)",
        title=f"weights of a penalty at tau*/2; none left from {result.weight:.4f} on",
    )
    return figure


if __name__ == "__main__":
    results = solve()
    check(results)
    print(f"tau* = {results.star:.7f}; the least weight of a penalty without a gap is {results.weight:.6f}")
    for tau, one in zip(results.taus, results.optima, strict=True):
        above = one.loss + law().mutual_information
        print(f"tau {tau:.4f}: gap {one.centroid_gap:.5f}, {above:.6f} nats above its least, certified to {one.gap:.0e}")
    plot(results).savefig("15_forced_gap.png", dpi=110)
