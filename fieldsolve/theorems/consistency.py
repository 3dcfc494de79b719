"""Large-batch consistency: InfoNCE with N negatives against the energy it tends to, in value and gradient [Thm 3.1, 4.1]."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldsolve.grids import Kernel, Smoother
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.theorems.directions import Side
from fieldsolve.theorems.expectations import batch_bias, expected_gradient_error, law_bias
from fieldsolve.theorems.infonce import population_infonce
from fieldsolve.theorems.laws import PairLaw

NEGATIVES = tuple(2**k for k in range(2, 17))

MOST_NEGATIVES = 2**22

#: Laws on at most so many points are integrated over all anchors and positives.
MOST_POINTS = 1024

_COLUMNS = (
    "negatives", "bias", "bias_error", "expected_bias", "leading", "law_bias", "gradient_error", "gradient_spread",
    "expected_gradient_error",
)  # fmt: skip
_SETTLED = 0.02  # a predicted curve is asymptotic once its slopes stay this close to the exponent
_WELL_ABOVE = 8  # times the numbers below which the leading order does not hold
_LEAST_FITTED = 4  # numbers of negatives


@dataclass(frozen=True, eq=False)
class Slope:
    """A slope fitted in logarithms to what was measured at `since` and more negatives, with its standard error."""

    value: float
    error: float
    since: int


@dataclass(frozen=True, eq=False)
class Consistency:
    """A batch's loss with N negatives against its limit, and that against the energy J; arrays are over the numbers N.

    The parameters of the gradient are those of linear encoders z -> A z/|A z| at A = 1, one a modality, (modalities, d, d).

    kernel, modalities, batch, seeds, label: what was asked for. energy: J; limit: what the batch's loss less log N tends to, an
    estimate of J + log V with the standard error limit_error. negatives: N.
    bias: the loss less log N less the limit, mean over draws of the negatives, with what has a known mean taken off
    (`Side.bias`); bias_error: its standard error; expected_bias: the exact expectation;
    law_bias: the exact expectation over anchors and positives too, None on large grids.
    gradient_error: root mean square of |grad L_N - grad L|/|grad L| over draws; gradient_spread: its standard deviation;
    expected_gradient_error: its leading-order prediction. gradient_largest: |grad L_N|, the largest that was met;
    gradient_bound: what Props 3.1 and 4.1 bound it by. onset: E[k(z, z+)/Gamma], N up to which the positive's own term outweighs
    all negatives; effective: Var_w[k/Gamma], N up to which a few negatives outweigh the others.
    """

    kernel: Kernel
    modalities: int
    batch: int
    seeds: int
    label: str
    energy: float
    limit: float
    limit_error: float
    log_volume: float
    negatives: Array
    bias: Array
    bias_error: Array
    expected_bias: Array
    law_bias: Array | None
    gradient_error: Array
    gradient_spread: Array
    expected_gradient_error: Array
    gradient_largest: float
    gradient_bound: float
    onset: float
    effective: float

    @property
    def leading(self) -> float:
        """The coefficient of 1/N in the expected bias."""
        return self.onset - self.effective / 2

    @property
    def value_slope(self) -> Slope | None:
        """The slope of the bias where its expectation falls like 1/N; None if N does not reach so far."""
        is_clear = np.abs(self.bias) > 3 * self.bias_error
        return self._slope(-1.0, self.expected_bias, np.abs(self.bias), self.bias_error, is_clear)

    @property
    def gradient_slope(self) -> Slope | None:
        """The slope of the gradient's error where its prediction falls like N^(-1/2) and holds; None if N does not reach so far.

        It is of leading order, for numbers of negatives well above `onset` and `effective`.
        """
        error = self.gradient_spread / sqrt(self.seeds)
        holds = self.negatives > _WELL_ABOVE * max(self.onset, self.effective)
        return self._slope(-0.5, self.expected_gradient_error, self.gradient_error, error, holds)

    def _slope(self, exponent: float, predicted: Array, measured: Array, error: Array, usable: NDArray[np.bool_]) -> Slope | None:
        local = np.diff(np.log(np.abs(predicted))) / np.diff(np.log(self.negatives))
        unsettled = np.flatnonzero(~(np.abs(local - exponent) <= _SETTLED))
        used = usable & (np.arange(len(predicted)) > (unsettled[-1] if len(unsettled) else -1))
        if used.sum() < _LEAST_FITTED:
            return None
        design = np.stack([np.ones(int(used.sum())), np.log(self.negatives[used])], axis=1)
        weights = (measured[used] / error[used]) ** 2
        covariance = np.linalg.inv((design * weights[:, None]).T @ design)
        fitted = covariance @ (design * weights[:, None]).T @ np.log(measured[used])
        return Slope(float(fitted[1]), sqrt(float(covariance[1, 1])), int(self.negatives[used][0]))

    @property
    def report(self) -> list[str]:
        """What was found, in sentences."""
        sentences = [
            f"energy J {self.energy:.8g}; this batch of {self.batch} anchors tends to {self.limit - self.log_volume:.8g}, with a "
            f"sampling error of {self.limit_error:.2g}; biases are against the batch's own limit",
            f"the positive's own term outweighs all negatives up to N = {self.onset:.3g}, "
            f"and few negatives the others up to {self.effective:.3g}",
            f"largest |gradient| {self.gradient_largest:.4g}, uniform bound {self.gradient_bound:.4g}",
        ]
        for what, slope, exponent in (("value", self.value_slope, -1), ("gradient", self.gradient_slope, -0.5)):
            if slope is None:
                reason = "too few N are past the pre-asymptotic regime, or above the noise; more negatives or seeds may help"
                sentences.append(f"{what}: no slope, {reason}")
            else:
                sentences.append(
                    f"{what}: slope {slope.value:.4f} +- {slope.error:.4f} from N = {slope.since} on (theory {exponent:g})"
                )
        return sentences

    def summary(self) -> dict[str, Any]:
        """Every figure under the name the command line's JSON gives it; `columns` are those of the table."""
        values: dict[str, Any] = {
            "schema": "fieldsolve/consistency/1",
            "modalities": self.modalities,
            "tau": self.kernel.tau,
            "critic": str(self.kernel.critic),
            "law": self.label,
            "batch": self.batch,
            "seeds": self.seeds,
            "energy": self.energy,
            "log_volume": self.log_volume,
            "limit": self.limit,
            "limit_error": self.limit_error,
            "onset": self.onset,
            "effective": self.effective,
            "gradient_largest": self.gradient_largest,
            "gradient_bound": self.gradient_bound,
            "report": self.report,
            "negatives": self.negatives.tolist(),
            "bias": self.bias.tolist(),
            "bias_error": self.bias_error.tolist(),
            "expected_bias": self.expected_bias.tolist(),
            "leading": self._where_it_holds(self.leading / self.negatives),
            "law_bias": None if self.law_bias is None else self.law_bias.tolist(),
            "gradient_error": self.gradient_error.tolist(),
            "gradient_spread": self.gradient_spread.tolist(),
            "expected_gradient_error": self._where_it_holds(self.expected_gradient_error),
        }
        for what, slope in (("value", self.value_slope), ("gradient", self.gradient_slope)):
            for part in ("value", "error", "since"):
                name = f"{what}_slope" if part == "value" else f"{what}_slope_{part}"
                values[name] = None if slope is None else getattr(slope, part)
        values["columns"] = [name for name in _COLUMNS if values[name] is not None]
        return values

    def _where_it_holds(self, leading: Array) -> list[float | None]:
        """What is of leading order, and None for numbers of negatives that are too few for it."""
        enough = self.negatives >= max(self.onset, self.effective)
        return [value if here else None for value, here in zip(leading.tolist(), enough.tolist(), strict=True)]


def consistency(
    law: PairLaw,
    kernel: Kernel,
    modalities: int = 1,
    negatives: Sequence[int] = NEGATIVES,
    batch: int = 64,
    seeds: int = 20,
    seed: int = 0,
    watch: Watch | None = None,
) -> Consistency:
    """Compare InfoNCE (one modality) or its symmetric form (two) with the energy J for growing numbers of negatives.

    L_N - log N -> J + log V, the value by c/N with c = E[k(z, z+)/Gamma - Var_w k/(2 Gamma^2)], the gradient of one batch by
    N^(-1/2) [Thm 3.1, 4.1]. Anchors and positives are drawn once, negatives afresh for each seed and N.
    The expected bias is exact for those anchors: log x = int_0^inf (exp(-t) - exp(-t x))/t dt makes it
    an integral over powers of E exp(-t k).

    negatives: rising numbers, from 1 to 4 194 304; watch: told how many draws are done. Raises
    InputError for what does not fit.
    """
    numbers = np.asarray(negatives)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise InputError(f"the numbers of negatives must be whole numbers, not {list(negatives)}")
    if len(numbers) < 2 or numbers[0] < 1 or numbers[-1] > MOST_NEGATIVES or np.any(np.diff(numbers) <= 0):
        raise InputError(
            f"the numbers of negatives must rise, from at least 1 to at most {MOST_NEGATIVES}, and be at least two, "
            f"not {list(negatives)}"
        )
    if batch < 2 or seeds < 2:
        raise InputError(f"error bars need a batch of at least 2 anchors, and at least 2 seeds, not {batch} and {seeds}")
    if seed < 0:
        raise InputError(f"a seed is a whole number, at least 0, not {seed}")
    Smoother(law.grid, kernel)
    if modalities not in (1, 2):
        raise InputError(f"InfoNCE has one modality, or two in its symmetric form, not {modalities}")
    if modalities == 1 and np.abs(law.marginals[0] - law.marginals[1]).max() > 1e-9:
        raise InputError("with one modality both views must have the same law; this one has two different marginals")
    streams = np.random.default_rng(seed).spawn(seeds + 1)
    drawn = law.sample(batch, streams[0])
    points = law.grid.points()
    sides = [Side(law, kernel, drawn, a, b) for a, b in ([(0, 0)] if modalities == 1 else [(0, 1), (1, 0)])]
    limit_gradient = _mean([side.gradient(side.limit, points, modalities) for side in sides])
    if not np.linalg.norm(limit_gradient) > 0:
        raise InputError(
            "the gradient of this batch's limit is 0, so its relative error has no meaning; spread the law's content"
        )
    biases, errors, largest = np.empty((seeds, len(numbers))), np.empty((seeds, len(numbers))), 0.0
    for row, stream in enumerate(streams[1:]):
        for column, count in enumerate(numbers.tolist()):
            pools = [points[law.sample_marginal(side.negative, count, stream)] for side in sides]
            losses = [side.loss(pool) for side, pool in zip(sides, pools, strict=True)]
            biases[row, column] = _mean([side.bias(loss, count) for side, loss in zip(sides, losses, strict=True)])
            parts = zip(sides, losses, pools, strict=True)
            gradient = _mean([side.gradient(loss, pool, modalities) for side, loss, pool in parts])
            errors[row, column] = np.linalg.norm(gradient - limit_gradient) / np.linalg.norm(limit_gradient)
            largest = max(largest, float(np.linalg.norm(gradient)))
        if watch is not None:
            watch(Progress(row + 1, seeds, "draws"))
    terms = _mean([side.limit.terms for side in sides])
    return Consistency(
        kernel=kernel,
        modalities=modalities,
        batch=batch,
        seeds=seeds,
        label=law.label,
        energy=_energy(law, kernel, sides),
        limit=float(np.mean(terms)),
        limit_error=float(np.std(terms, ddof=1) / sqrt(batch)),
        log_volume=law.grid.log_volume(kernel),
        negatives=numbers,
        bias=biases.mean(axis=0),
        bias_error=biases.std(axis=0, ddof=1) / sqrt(seeds),
        expected_bias=_mean([batch_bias(side, numbers) for side in sides]),
        law_bias=law_bias(law, kernel, modalities, numbers) if law.grid.size <= MOST_POINTS else None,
        gradient_error=np.sqrt(np.mean(errors**2, axis=0)),
        gradient_spread=errors.std(axis=0, ddof=1),
        expected_gradient_error=expected_gradient_error(sides, modalities, numbers) / float(np.linalg.norm(limit_gradient)),
        gradient_largest=largest,
        gradient_bound=gradient_bound(kernel, modalities),
        onset=float(_mean([np.mean(side.own_ratio) for side in sides])),
        effective=float(_mean([np.mean(side.variance) for side in sides])),
    )


def gradient_bound(kernel: Kernel, modalities: int) -> float:
    """The uniform bound of |grad L_N| for linear encoders at the identity, at every N [Prop 3.1, 4.1].

    With L_s = sup |grad s| on the sphere (1 for cosine, 2 for rbf), encoders of Jacobian norm 1 and a softmax over any
    negatives: 4 L_s/tau for one modality; for two, 2 L_s/tau for each encoder, together 2 sqrt(2) L_s/tau.
    """
    return (4.0 if modalities == 1 else 2 * sqrt(2)) * kernel.critic.steepest / kernel.tau


def _mean(parts: Sequence[Any]) -> Any:
    """Over the two directions of a symmetric loss, or the one of a plain loss."""
    return sum(parts) / len(parts)


def _energy(law: PairLaw, kernel: Kernel, sides: Sequence[Side]) -> float:
    """J with the plain partition field of the grid's points, which is what losses of points on the grid tend to."""
    points, size = law.grid.points(), law.grid.size
    potentials, peak = law.potentials(str(kernel.critic)), law.grid.log_peak(kernel)
    energy = 0.0
    for side in sides:
        q = law.marginals[side.anchor]
        fields = population_infonce(points, points, points, side.density, kernel).log_fields
        energy += float(q @ potentials[side.anchor]) / (size * kernel.tau) + float(q @ fields) / size + peak
    return energy / len(sides)
