"""Two matched samples after the pass over all pairs of their rows: everything that metrics are made of."""

from dataclasses import dataclass
from functools import cached_property

from fieldsolve.diagnose.statistics.entropies import cross_entropy
from fieldsolve.diagnose.statistics.estimate import Estimate
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.pairwise import PairSums


@dataclass(frozen=True, eq=False)
class Pooled(Matched):
    """passed: what the pass over all pairs left; bandwidth: sigma of the middle Gaussian."""

    passed: PairSums
    bandwidth: Estimate

    @cached_property
    def own_entropies(self) -> tuple[Estimate, Estimate]:
        """The cross-entropy of either modality with itself, see `cross_entropy`."""
        return cross_entropy(self.design, self.passed, 0, 0), cross_entropy(self.design, self.passed, 1, 1)
