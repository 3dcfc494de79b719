"""Penalties on encoders: quadratic forms of them, linear in their Gram matrix X, and uniformity, convex in it."""

from dataclasses import dataclass
from math import inf

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.losses import Logits, Slopes
from fieldsolve.encoders.passes import exponentiate, pull
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import text_of


def gap_vector(law: JointLaw) -> Array:
    """v = (p, -q), (n + m,): the centroid gap squared of encoders with the Gram matrix X is v^T X v."""
    return np.concatenate([law.first, -law.second])


@dataclass(frozen=True)
class GapPenalty:
    """weight times the squared centroid gap |sum_i p_i z_i - sum_j q_j w_j|^2: linear in X. A negative weight opens the gap."""

    weight: float
    name = "gap"

    def __post_init__(self) -> None:
        if not abs(self.weight) < inf:
            raise InputError(f"{text_of(self)}: the weight is a finite number")

    def check(self, law: JointLaw) -> None:
        """Every law has a gap."""

    def times(self, law: JointLaw, rows: Array) -> Array:
        """W U, the form's matrix times stacked encoders (n + m, r)."""
        vector = gap_vector(law)
        return np.asarray(self.weight * np.multiply.outer(vector, vector @ rows))

    def matrix(self, law: JointLaw) -> Array:
        """W, (n + m, n + m): the penalty is <W, X>."""
        vector = gap_vector(law)
        return self.weight * np.multiply.outer(vector, vector)


@dataclass(frozen=True, eq=False)
class FormPenalty:
    """weight times sum_ij form_ij u_i.u_j of the stacked encoders u = (z, w), form symmetric, (n + m, n + m): linear in X."""

    form: Array
    weight: float
    name = "form"

    def __post_init__(self) -> None:
        _require_weight(self.weight, f"a form of shape {self.form.shape}")
        if self.form.ndim != 2 or not np.allclose(self.form, self.form.T, rtol=0, atol=1e-12 * np.abs(self.form).max()):
            raise InputError(f"a form is a symmetric matrix of all symbols, not of shape {self.form.shape}; symmetrise it")

    def check(self, law: JointLaw) -> None:
        """Raise InputError for laws of another number of symbols."""
        if len(self.form) != sum(law.table.shape):
            raise InputError(f"{law.label}: has {sum(law.table.shape)} symbols, and the form is of {len(self.form)}")

    def times(self, law: JointLaw, rows: Array) -> Array:
        """W U, the form's matrix times stacked encoders (n + m, r)."""
        return np.asarray(self.matrix(law) @ rows)

    def matrix(self, law: JointLaw) -> Array:
        """W, (n + m, n + m): the penalty is <W, X>."""
        return self.weight * self.form


@dataclass(frozen=True)
class UniformityPenalty:
    """weight times the mean over both modalities of log sum_ik p_i p_k e^{Y_ik}, a Gaussian potential: convex in X."""

    weight: float
    name = "uniformity"

    def __post_init__(self) -> None:
        _require_weight(self.weight, text_of(self))

    def evaluate(self, law: JointLaw, logits: Logits) -> Slopes:
        """Value and derivatives."""
        value, slopes = 0.0, []
        for p, block in ((law.first, logits.first()), (law.second, logits.second())):
            fields = np.exp(exponentiate(block, p, p, logits.largest).rows - logits.largest)
            total = float(p @ fields)
            value += 0.5 * self.weight * (logits.largest + float(np.log(total)))
            pull(block, p, p, 0.5 * self.weight * p / total, np.zeros_like(p))
            slopes.append(block)
        return Slopes(value, None, slopes[0], slopes[1])


Form = GapPenalty | FormPenalty
Penalty = Form | UniformityPenalty

#: Penalties by name, as in gap:0.1.
PENALTIES: dict[str, type[GapPenalty] | type[UniformityPenalty]] = {one.name: one for one in (GapPenalty, UniformityPenalty)}


def _require_weight(weight: float, what: str) -> None:
    if not 0 <= weight < inf:
        raise InputError(f"{what}: the weight is a finite number of at least 0")
