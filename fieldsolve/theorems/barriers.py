"""Barriers over a parameter of a problem, and how long the noise of batches takes across them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from fieldsolve.equilibrium.bands import band_binodal
from fieldsolve.equilibrium.barrier import Barrier, NoBarrierError, barrier
from fieldsolve.equilibrium.batches import positive_of
from fieldsolve.equilibrium.particles import Particles
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.terms.noise import Noise
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.theorems.batches import batch_dispersion
from fieldsolve.theorems.dispersion import dispersion

_SHARES = (0.2, 0.4, 0.6, 0.8, 0.95)  # of the way from the binodal to the spinodal, where nothing else is said
_WITHIN, _SPREAD = 0.5, 0.1  # of exponents: below which times are a walk's rather than an escape's; that they differ by
_HIGHER = 0.02  # of the highest barrier, by which heights differ that are compared


@dataclass(frozen=True)
class Escapes:
    """Which particles are followed: how many of each modality, how long their steps are, how many runs and steps, which seed."""

    count: int = 64
    rate: float = 1.0
    runs: int = 16
    steps: int = 100_000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Noisy:
    """What particles under batches do at one value: the temperature of their noise, the barrier with it, and their times.

    barrier: None where no separated state is below the matched one. times: steps, (runs,), inf for runs that did not come so far.
    exponent: 2 n height/T of n particles of each modality, in whose scale logarithms of escape times grow.
    """

    temperature: float
    barrier: Barrier | None
    exponent: float | None
    times: Array | None

    @property
    def median(self) -> float | None:
        """Of the times, in steps; None where half of the runs did not come so far."""
        return None if self.times is None or not isfinite(np.median(self.times)) else float(np.median(self.times))


@dataclass(frozen=True, eq=False)
class Barriers:
    """Barriers of a problem over the values of one of its parameters, None where there is no lower state; see `barriers`."""

    problem: Problem
    parameter: str
    values: tuple[float, ...]
    found: tuple[Barrier | None, ...]
    escapes: Escapes | None
    noisy: tuple[Noisy, ...]

    @property
    def growth(self) -> float | None:
        """The slope of log median times over the exponents above 1/2, None where they do not differ; some half was measured."""
        pairs = [
            (one.exponent, float(np.log(one.median)))
            for one in self.noisy
            if one.exponent is not None and one.median and one.exponent > _WITHIN
        ]
        exponents, times = np.array(pairs).reshape(-1, 2).T
        is_line = len(pairs) > 1 and float(np.ptp(exponents)) > _SPREAD
        return float(np.polyfit(exponents, times, 1)[0]) if is_line else None

    @property
    def is_ordered(self) -> bool | None:
        """Whether median times rise with the barriers that noise leaves, of pairs whose heights differ; endless runs come last.

        None where fewer than two medians are known, or no heights differ.
        """
        known = [
            (one.barrier.height, float(np.median(one.times)))
            for one in self.noisy
            if one.barrier is not None and one.times is not None
        ]
        if sum(isfinite(median) for _, median in known) < 2:
            return None
        apart = _HIGHER * max(height for height, _ in known)
        pairs = [(low[1], high[1]) for low in known for high in known if low[0] < high[0] - apart]
        return all(early < late for early, late in pairs) if pairs else None

    @property
    def report(self) -> list[str]:
        """What was found, in sentences."""
        name, known = self.parameter, [one for one in self.found if one is not None]
        said = [
            f"{name} {value:.6g}: "
            + (
                "no separated state is lower than the matched one"
                if one is None
                else f"the matched state is held by {one.height:.4g} nats, up to a centroid gap of {one.gap:.4g}"
                if one.height > 0
                else "nothing holds the matched state"
            )
            for value, one in zip(self.values, self.found, strict=True)
        ]
        passes = [one.is_pass for one in known if one.height > 0 and one.is_pass is not None]
        if passes:
            said.append(f"the top is a pass, which one direction lowers, at {sum(passes)} of {len(passes)} values")
        if self.escapes is not None:
            said += self._of_particles(self.escapes)
        said.append(
            "heights are those of the way along the centroid gap, at its least energies that were found; others may be lower"
        )
        return said

    def _of_particles(self, escapes: Escapes) -> list[str]:
        temperatures = [one.temperature for one in self.noisy]
        said = [
            f"batch noise of {escapes.count} particles at rate {escapes.rate:g} has a temperature of {min(temperatures):.3g} to "
            f"{max(temperatures):.3g}: an entropy, which holds the matched state where without noise less does"
        ]
        if self.growth is not None:
            said.append(f"the logarithm of escape times grows by {self.growth:.2f} for each unit of 2 n height/temperature")
        if self.is_ordered is not None:
            said.append(f"median escape times are {'' if self.is_ordered else 'not '}in the order of the barriers")
        return said

    def summary(self) -> dict[str, Any]:
        """Every figure under the name the command line's JSON gives it; `columns` are those of the table."""
        columns: dict[str, list[Any]] = {self.parameter: list(self.values)}
        for name in ("height", "height_back", "gap", "separated_gap", "disagreement"):
            columns[name] = [None if one is None else float(getattr(one, name)) for one in self.found]
        for k, name in enumerate(("lowest_eigenvalue", "second_eigenvalue")):
            columns[name] = [None if one is None or one.eigenvalues is None else float(one.eigenvalues[k]) for one in self.found]
        if self.escapes is not None:
            columns |= {
                "temperature": [one.temperature for one in self.noisy],
                "noisy_height": [None if one.barrier is None else one.barrier.height for one in self.noisy],
                "exponent": [one.exponent for one in self.noisy],
                "median_steps": [one.median for one in self.noisy],
                "escaped": [None if one.times is None else int(np.sum(np.isfinite(one.times))) for one in self.noisy],
            }
        return {
            "schema": "fieldsolve/barrier/1",
            "columns": list(columns),
            "parameter": self.parameter,
            "problem": self.problem.to_json(),
            "report": self.report,
            "growth": self.growth,
            "is_ordered": self.is_ordered,
            "particles": None if self.escapes is None else dict(vars(self.escapes)),
            "profiles": [
                None if one is None else {"gap": one.gaps.tolist(), "energy": one.energies.tolist()} for one in self.found
            ],
            "times": [
                None if one.times is None else [t if isfinite(t) else None for t in one.times.tolist()] for one in self.noisy
            ],
            **columns,
        }


def barriers(
    problem: Problem,
    parameter: str = "coupling",
    values: Sequence[float] | None = None,
    escapes: Escapes | None = None,
    watch: Watch | None = None,
) -> Barriers:
    """The barrier of a problem at each value of a parameter, and with `escapes` the noise of batches beside it.

    Particles under batches of N negatives descend J_N with noise, whose temperature T is measured from their batches; the barrier
    is then that of J_N + (T/2) sum_a int rho_a log rho_a (Fokker, Planck). Of independent noise escape times would grow like
    exp(2 n height/T) (Freidlin, Wentzell); members of a batch push each other, so that this is a scale and no rate. Beyond the
    paper, whose Section 5 asks whether noise crosses. values: by default couplings from
    the binodal to the spinodal of flat potentials. watch: told what is done. Raises InputError as `barrier` does, for escapes
    without a batch or with potentials that are not flat, and where values are needed.
    """
    chosen = [float(one) for one in (_couplings(problem, parameter) if values is None else values)]
    if not chosen:
        raise InputError("barriers are over one value at least; give some")
    problems = [problem.at(parameter, one) for one in chosen]
    if escapes is not None:
        for one in problems:
            _particles(one, escapes)
    found, noisy = list[Barrier | None](), list[Noisy]()
    for k, one in enumerate(problems):
        if watch is not None:
            watch(Progress(k, len(problems), "barriers"))
        found.append(_barrier(one))
        if escapes is not None:
            noisy.append(_with_noise(one, escapes))
    if escapes is not None:
        noisy = _followed(problems, noisy, escapes, watch)
    return Barriers(problem, parameter, tuple(chosen), tuple(found), escapes, tuple(noisy))


def _barrier(problem: Problem) -> Barrier | None:
    try:
        return barrier(problem)
    except NoBarrierError:
        return None


def _with_noise(problem: Problem, escapes: Escapes) -> Noisy:
    temperature = _particles(problem, escapes).temperature(escapes.seed)
    found = _barrier(problem.at("terms", (*problem.terms, Noise(temperature))))
    exponent = None if found is None or temperature == 0 else 2 * escapes.count * found.height / temperature
    return Noisy(temperature, found, exponent, None)


def _followed(problems: Sequence[Problem], noisy: list[Noisy], escapes: Escapes, watch: Watch | None) -> list[Noisy]:
    """With the times that particles take to a gap beyond every top: one for all, so that times can be compared."""
    held = [one.barrier for one in noisy if one.barrier is not None]
    if not held:
        return noisy
    highest = max(one.gap for one in held)
    gap = max((highest + min(one.separated_gap for one in held)) / 2, highest)
    result = []
    for k, (problem, still) in enumerate(zip(problems, noisy, strict=True)):
        one = still
        if watch is not None:
            watch(Progress(k, len(problems), "particles"))
        if one.barrier is not None:
            particles = _particles(problem, escapes)
            one = replace(one, times=particles.escape_times(gap, escapes.steps, escapes.runs, escapes.seed))
        result.append(one)
    return result


def _particles(problem: Problem, escapes: Escapes) -> Particles:
    if problem.batch is None:
        raise InputError("the noise of particles is that of batches; say how many negatives they have (--batch)")
    if np.ptp(problem.values) > 0:
        raise InputError("particles are followed at flat potentials; leave them out, or give --potential flat")
    return Particles(
        problem.kernel, problem.grid.components, float(problem.coupling), problem.batch, positive_of(problem.positive),
        escapes.count, escapes.rate,
    )  # fmt: skip


def _couplings(problem: Problem, parameter: str) -> list[float]:
    """Between the binodal and the spinodal of flat potentials; both move up together with finite batches."""
    if parameter != "coupling" or np.ptp(problem.values, axis=1).max() > 0:
        raise InputError("which values barriers are wanted at is known for couplings at flat potentials alone; give them")
    dimension = problem.grid.components
    spinodal = dispersion(problem.kernel, dimension).breaks_at
    width = spinodal - band_binodal(problem.kernel, dimension).coupling
    if problem.batch is not None:
        positive = positive_of(problem.positive)
        spinodal = batch_dispersion(problem.kernel, dimension, problem.batch, positive, 8).breaks_at
    return [spinodal - (1 - share) * width for share in _SHARES]
