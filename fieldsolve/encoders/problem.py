"""What is minimised over encoders, where, and with what fixed: the one input of the wing."""

from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.losses import Every, Symmetric
from fieldsolve.encoders.penalties import Form, FormPenalty, GapPenalty, Penalty, UniformityPenalty
from fieldsolve.numerics.errors import InputError

#: The lowest temperature: exponentials of logits from -1/tau to 1/tau are held in double precision.
LEAST_TAU = 0.003


@dataclass(frozen=True, eq=False)
class EncoderProblem:
    """min over z_i, w_j in S^{d-1} of loss(z.w/tau) + penalties, for symbols with the joint law P (beyond the paper).

    tau: the temperature; with learn_tau the least one, where training clamps it. dimension: d, or None for any. Everything is
    convex in the Gram matrix, so that without a limit to the dimension there are no bad minima, and a bound certifies them.
    Raises InputError for temperatures below 0.003, dimensions below 2, and what does not go together.
    """

    law: JointLaw
    tau: float
    loss: Every = field(default_factory=Symmetric)
    dimension: int | None = None
    penalties: tuple[Penalty, ...] = ()
    learn_tau: bool = False

    def __post_init__(self) -> None:
        if not LEAST_TAU <= self.tau < inf:
            raise InputError(f"the temperature is at least {LEAST_TAU} and finite, not {self.tau:g}")
        if self.dimension is not None and self.dimension < 2:
            raise InputError(f"encoders need a dimension of at least 2, not {self.dimension}")
        self.loss.check(self.law)
        if self.loss.is_single and self.penalties:
            raise InputError(f"{self.loss.name} has one encoder, and penalties are of two; leave them out")
        if self.learn_tau and self.forms:
            raise InputError(
                "a penalty is linear in X and the loss convex in X/tau: with a learned temperature their sum is not convex; fix "
                "the temperature"
            )
        for form in self.forms:
            form.check(self.law)

    @property
    def forms(self) -> tuple[Form, ...]:
        """The penalties that are linear in X."""
        return tuple(one for one in self.penalties if isinstance(one, GapPenalty | FormPenalty))

    @property
    def uniformities(self) -> tuple[UniformityPenalty, ...]:
        """The penalties that are convex functions of the logits."""
        return tuple(one for one in self.penalties if isinstance(one, UniformityPenalty))

    @property
    def least(self) -> float:
        """What the objective cannot go below whatever the logits, in nats; minus infinity where nothing is known of it."""
        is_plain = not any(isinstance(one, FormPenalty | UniformityPenalty) for one in self.penalties)
        widest = sum(min(4 * one.weight, 0.0) for one in self.penalties)  # a gap is at most 2
        return self.loss.least(self.law) + widest if is_plain else -inf

    def at(self, **changes: Any) -> "EncoderProblem":
        """The same with some fields changed."""
        return replace(self, **changes)
