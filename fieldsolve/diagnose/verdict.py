"""What the numbers say: one line first, then findings in the order of their importance, each only where there is evidence.

What would make every other number mean something else comes first, and silences what is only its consequence.
"""

from dataclasses import dataclass

from fieldsolve.diagnose.findings import Finding, findings, nothing, short
from fieldsolve.diagnose.measure import Measurement
from fieldsolve.diagnose.sample import Sample

MOST_FINDINGS = 5


@dataclass(frozen=True)
class Verdict:
    """A line that sums up, and the findings behind it, the most important first."""

    summary: str
    findings: tuple[Finding, ...]

    @property
    def sentences(self) -> list[str]:
        """The findings in words."""
        return [f"{one.sentence} {one.advice}".strip() for one in self.findings]


_FROM_PARTNERS = ("order", "junk", "temperature", "hubs", "weak")
_FROM_CLOUDS = ("low_rank", "offset", "shape", "spread", "open_distribution")

#: What is only a consequence of what: not said beside it.
_SILENCES = {
    "constant": ("duplicates", *_FROM_PARTNERS, *_FROM_CLOUDS),
    "collapsed": (*_FROM_PARTNERS, *_FROM_CLOUDS),
    "order": ("junk", "temperature", "hubs", "weak"),
    "junk": ("temperature", "weak"),
    "hubs": ("weak",),
    "low_rank": ("temperature", "hubs", "weak"),
}


def verdict(sample: Sample, measured: Measurement, tau_is_given: bool = True) -> Verdict:
    """What is so of a sample. tau_is_given: whether the temperature is the model's."""
    found: list[Finding] = []
    silent: set[str] = set()
    for one in findings(sample, measured, tau_is_given):
        if one.code not in silent:
            found.append(one)
            silent.update(_SILENCES.get(one.code, ()))
    if not found:
        found = [nothing(measured)]
    found = found[:MOST_FINDINGS]
    first = found[0]
    recall = ", ".join(f"{measured.metrics[name].value:.3g}" for name in ("recall_a_to_b_at_1", "recall_b_to_a_at_1"))
    gap = measured.metrics["centroid_gap"]
    more = f" ({len(found) - 1} more finding{'s' * (len(found) > 2)} below)" if len(found) > 1 else ""
    summary = f"{_HEADLINES[first.code]}{more}. Centroid gap {short(gap.value)}, recall@1 {recall}."
    return Verdict(summary, tuple(found))


_HEADLINES = {
    "constant": "A constant encoder: every input gives the same embedding",
    "collapsed": "A collapsed encoder: one modality hardly varies",
    "order": "Partners are no nearer than strangers: rows in another order, or an untrained model",
    "duplicates": "Rows are copies of each other",
    "junk": "Part of the pairs look unrelated",
    "low_rank": "Dimensional collapse: few directions are used",
    "unnormalised": "Rows were not of unit length",
    "temperature": "The temperature (or the bias) does not fit these pairs",
    "hubs": "Hubs: few rows are nearest to many queries",
    "weak": "Partners are nearer than strangers, but seldom first",
    "offset": "An offset: the two modalities lie in different places",
    "spread": "One modality is more spread than the other",
    "open_distribution": "Closed centroids, open distributions",
    "shape": "The modalities differ in shape",
    "nothing": "Nothing wrong is visible",
}
