"""Contrastive losses as convex functions of the logits of symbols, and penalties: what is minimised over all encoders.

A loss sees the logits Y = X/tau of the Gram matrix X of both encoders: the block of the modalities with each other, and where it
needs them the blocks of each with itself. Each of these losses is convex in Y (log-sum-exp and linear functions of its entries).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, log
from typing import NamedTuple

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.passes import Sums, exponentiate, pull
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import text_of

_NEARLY_ONE = 1 - 2.0**-53


class Logits(NamedTuple):
    """The logits where a loss is evaluated. largest: none exceeds it; bias: of a sigmoid loss.

    cross, first, second: make the block of the modalities with each other (n, m), of the first with itself (n, n) and of the
    second with itself (m, m), each time anew: whoever asks may write on it.
    """

    cross: Callable[[], Array]
    first: Callable[[], Array]
    second: Callable[[], Array]
    largest: float
    bias: float = 0.0


class Slopes(NamedTuple):
    """A loss's value in nats and its derivatives with respect to the entries of each block of logits, and to the bias."""

    value: float
    cross: Array | None = None
    first: Array | None = None
    second: Array | None = None
    bias: float = 0.0


class Loss:
    """What a loss says of itself besides its values; a loss is an immutable dataclass with a name.

    is_single: one encoder serves both modalities; has_bias: a bias is learned. The best bias lies within 1/tau of bias_centre.
    """

    name = ""
    is_single = False
    has_bias = False
    bias_centre = 0.0

    def check(self, law: JointLaw) -> None:
        """Raise InputError for laws that the loss is not defined on."""

    def least(self, law: JointLaw) -> float:
        """What the loss cannot go below whatever its logits, in nats; minus infinity where nothing is known in closed form."""
        raise NotImplementedError

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        """Value and derivatives."""
        raise NotImplementedError


@dataclass(frozen=True)
class Symmetric(Loss):
    """InfoNCE in both directions with infinitely many negatives [(2), Thm 4.1], less log N:

    -<P, Y> + 1/2 sum_i p_i log sum_j q_j e^{Y_ij} + 1/2 sum_j q_j log sum_i p_i e^{Y_ij}; at least minus the mutual information.
    """

    name = "symmetric"

    def least(self, law: JointLaw) -> float:
        return -law.mutual_information

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        return _cross(law, logits, 0.5, 0.5)


@dataclass(frozen=True)
class OneSided(Loss):
    """InfoNCE with anchors of the first modality and negatives of the second only: -<P, Y> + sum_i p_i log sum_j q_j e^{Y_ij}."""

    name = "one-sided"

    def least(self, law: JointLaw) -> float:
        return -law.mutual_information

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        return _cross(law, logits, 1.0, 0.0)


@dataclass(frozen=True)
class OneEncoder(Loss):
    """Unimodal InfoNCE [(1), Thm 3.1]: one encoder for both views, -<P, Y> + sum_i p_i log sum_j p_j e^{Y_ij}, P symmetric."""

    name = "one-encoder"
    is_single = True

    def check(self, law: JointLaw) -> None:
        _require_symmetric(law, self)

    def least(self, law: JointLaw) -> float:
        return -law.mutual_information

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        return _cross(law, logits, 1.0, 0.0)


@dataclass(frozen=True)
class InModalNegatives(Loss):
    """Symmetric InfoNCE plus `weight` times one with negatives of the anchor's own modality; positives are still the partners.

    The second is -<P, Y> + 1/2 sum_i p_i log sum_k p_k e^{Y_ik} + 1/2 the same of the second modality.
    """

    weight: float
    name = "in-modal-negatives"

    def __post_init__(self) -> None:
        _require_weight(self.weight, self)

    def least(self, law: JointLaw) -> float:
        return -inf

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        across = _cross(law, logits, 0.5, 0.5, 1 + self.weight)
        (one, first), (other, second) = (_own(law, logits, k, self.weight / 2) for k in (0, 1))
        return Slopes(across.value + one + other, across.cross, first, second)


@dataclass(frozen=True)
class InModalPositives(Loss):
    """Symmetric InfoNCE plus `weight` times unimodal InfoNCE of each modality with the same symmetric law, the mean of both."""

    weight: float
    name = "in-modal-positives"

    def __post_init__(self) -> None:
        _require_weight(self.weight, self)

    def check(self, law: JointLaw) -> None:
        _require_symmetric(law, self)

    def least(self, law: JointLaw) -> float:
        return -(1 + self.weight) * law.mutual_information

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        across = _cross(law, logits, 0.5, 0.5)
        (one, first), (other, second) = (_own(law, logits, k, self.weight / 2, self.weight / 2) for k in (0, 1))
        return Slopes(across.value + one + other, across.cross, first, second)


@dataclass(frozen=True)
class JointSoftmax(Loss):
    """One softmax over negatives of both modalities, the anchor's own with the share `own`:

    -<P, Y> + 1/2 sum_i p_i log(own sum_k p_k e^{Y_ik} + (1 - own) sum_j q_j e^{Y_ij}) + 1/2 the same of the second modality.
    """

    own: float
    name = "joint-softmax"

    def __post_init__(self) -> None:
        if not 0 < self.own < 1:
            raise InputError(f"{text_of(self)}: the own modality's share of the negatives is between 0 and 1")

    def least(self, law: JointLaw) -> float:
        return -inf

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        p, q, top = law.first, law.second, logits.largest
        cross, first, second = logits.cross(), logits.first(), logits.second()
        binding = float(np.vdot(law.table, cross))
        across, of_first, of_second = (
            exponentiate(block, a, b, top) for block, a, b in ((cross, p, q), (first, p, p), (second, q, q))
        )
        both = [
            np.logaddexp(log(self.own) + own, log(1 - self.own) + other)
            for own, other in ((of_first.rows, across.rows), (of_second.rows, across.columns))
        ]
        value = 0.5 * float(p @ both[0] + q @ both[1]) - binding
        by = [0.5 * weights * np.exp(top - one) for weights, one in zip((p, q), both, strict=True)]
        pull(first, p, p, self.own * by[0], np.zeros_like(p))
        pull(second, q, q, self.own * by[1], np.zeros_like(q))
        pull(cross, p, q, (1 - self.own) * by[0], (1 - self.own) * by[1])
        cross -= law.table
        return Slopes(value, cross, first, second)


@dataclass(frozen=True)
class Sigmoid(Loss):
    """SigLIP's loss with `negatives` a positive and the bias b, fixed or "learned":

    sum P log(1 + e^{-Y-b}) + negatives sum p q log(1 + e^{Y+b}); at its pointwise minimum Y + b = PMI - log negatives.
    """

    negatives: float = 1.0
    bias: str = "learned"
    name = "sigmoid"

    def __post_init__(self) -> None:
        if not 0 < self.negatives < inf:
            raise InputError(f"{text_of(self)}: the number of negatives a positive is above 0")
        if self.bias != "learned" and self.fixed_bias is None:
            raise InputError(f"{text_of(self)}: the bias is a number, or `learned`")

    @property
    def has_bias(self) -> bool:  # type: ignore[override]
        return self.bias == "learned"

    @property
    def bias_centre(self) -> float:  # type: ignore[override]
        return -log(self.negatives)

    @property
    def fixed_bias(self) -> float | None:
        """The bias where it is a number."""
        try:
            value = float(self.bias)
        except ValueError:
            return None
        return value if isfinite(value) else None

    def least(self, law: JointLaw) -> float:
        others = self.negatives * np.multiply.outer(law.first, law.second)
        partners = law.table > 0
        of_partners = law.table[partners] * np.log1p(others[partners] / law.table[partners])
        return float(of_partners.sum() + np.sum(others * np.log1p(law.table / others)))

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        block = logits.cross()
        block += logits.bias
        others = self.negatives * np.multiply.outer(law.first, law.second)
        tail = np.log1p(np.exp(-np.abs(block)))
        value = float(np.sum(law.table * (tail + np.maximum(-block, 0))) + np.sum(others * (tail + np.maximum(block, 0))))
        share = np.exp(np.minimum(block, 0) - tail)  # 1/(1 + e^-x)
        slope = share * (others + law.table) - law.table
        return Slopes(value, slope, bias=float(slope.sum()))


@dataclass(frozen=True)
class FewNegatives(Loss):
    """Symmetric InfoNCE's expectation with so many independent negatives beside the positive, less log N [(2)].

    E log((k+ + sum_n k_n)/N) = int_0^inf (ds/s) [e^{-sN} - E e^{-s k+} phi(s)^N], phi(s) = sum_j q_j e^{-s k_j} (Frullani), by
    the trapezoidal rule in log s, which converges geometrically.
    """

    negatives: int
    name = "negatives"

    def __post_init__(self) -> None:
        if not 1 <= self.negatives <= 1_000_000:
            raise InputError(f"{text_of(self)}: the number of negatives is from 1 to 1000000; `symmetric` has infinitely many")

    def least(self, law: JointLaw) -> float:
        if not law.is_positive:
            return -inf
        top = float(law.pmi.max())
        return self.evaluate(law, Logits(law.pmi.copy, law.pmi.copy, law.pmi.copy, top)).value

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        block = logits.cross()
        slope = -law.table
        value = -float(np.vdot(law.table, block))
        for table, weights, here, there in (
            (law.table, law.second, block, slope), (law.table.T, law.first, block.T, slope.T)
        ):  # fmt: skip
            value += self._add(table, weights, here, there)
        return Slopes(value, slope)

    def _add(self, table: Array, weights: Array, block: Array, slope: Array) -> float:
        """Half of one direction's expected logarithm, whose derivative is added to `slope`."""
        count, top = self.negatives, float(block.max())
        kernel = np.exp(block - top)
        value, lowest = 0.0, -37.0 - log(count + 1)
        highest = log(40.0 / (count + 1)) + top - float(block.min())
        step = 0.2
        for s in np.exp(np.arange(lowest, max(highest, 4.0) + step, step)).tolist():
            missing = -np.expm1(-s * kernel)  # phi to the power of many negatives needs its distance from 1
            fall = 1 - missing
            log_phi = np.log1p(-np.minimum(missing @ weights, _NEARLY_ONE))
            partners = np.sum(table * fall, axis=1)
            value += float(np.expm1(-s * count) + np.sum(table * missing) - partners @ np.expm1(count * log_phi))
            others = np.multiply.outer(count * np.exp((count - 1) * log_phi) * partners, weights)
            slope += 0.5 * step * s * kernel * fall * (np.exp(count * log_phi)[:, None] * table + others)
        return 0.5 * (step * value + top)


Every = Symmetric | OneSided | OneEncoder | InModalNegatives | InModalPositives | JointSoftmax | Sigmoid | FewNegatives

#: Losses by name, as in in-modal-negatives:0.5 or sigmoid:negatives=8,bias=-2.
LOSSES: dict[str, type[Every]] = {
    one.name: one
    for one in (Symmetric, OneSided, OneEncoder, InModalNegatives, InModalPositives, JointSoftmax, Sigmoid, FewNegatives)
}


def _cross(law: JointLaw, logits: Logits, row_share: float, column_share: float, partners: float = 1.0) -> Slopes:
    """-partners <P, Y> + row_share sum_i p_i log sum_j q_j e^{Y_ij} + column_share sum_j q_j log sum_i p_i e^{Y_ij}."""
    p, q, block = law.first, law.second, logits.cross()
    binding = float(np.vdot(law.table, block))
    sums = exponentiate(block, p, q, logits.largest)
    pull(block, p, q, *_weights(sums, row_share * p, column_share * q, logits.largest))
    block -= partners * law.table if partners != 1 else law.table
    return Slopes(row_share * float(p @ sums.rows) + column_share * float(q @ sums.columns) - partners * binding, block)


def _own(law: JointLaw, logits: Logits, modality: int, share: float, partners: float = 0.0) -> tuple[float, Array]:
    """share sum_i p_i log sum_k p_k e^{Y_ik} - partners <P, Y> of a modality's block with itself, and its derivative."""
    p = (law.first, law.second)[modality]
    block = (logits.first, logits.second)[modality]()
    binding = partners * float(np.vdot(law.table, block)) if partners else 0.0
    sums = exponentiate(block, p, p, logits.largest)
    pull(block, p, p, share * p * np.exp(logits.largest - sums.rows), np.zeros_like(p))
    if partners:
        block -= partners * law.table
    return share * float(p @ sums.rows) - binding, block


def _weights(sums: Sums, of_rows: Array, of_columns: Array, largest: float) -> tuple[Array, Array]:
    return of_rows * np.exp(largest - sums.rows), of_columns * np.exp(largest - sums.columns)


def _require_weight(weight: float, loss: Every) -> None:
    if not 0 <= weight < inf:
        raise InputError(f"{text_of(loss)}: the weight is a finite number of at least 0")


def _require_symmetric(law: JointLaw, loss: Every) -> None:
    if not law.is_symmetric:
        raise InputError(f"{law.label}: {loss.name} needs a symmetric law, the same symbols on both sides and P = P^T")
