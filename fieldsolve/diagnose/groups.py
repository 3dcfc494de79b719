"""Groups of pairs: what the gap and retrieval are in each of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.diagnose.arrangement import arrangement
from fieldsolve.diagnose.metrics import offset, retrieval
from fieldsolve.diagnose.metrics.metric import Metric, plain
from fieldsolve.diagnose.sample import FEWEST_PAIRS, Sample
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.numerics import threads
from fieldsolve.numerics.names import printable

_MOST = 100  # groups, the largest ones

_ANY = 1.0  # temperature of metrics that do not depend on it


@dataclass(frozen=True, eq=False)
class Group:
    """Pairs of one label: of how many clusters, their centroid gap (from 20 clusters on), and recall at 1 among all rows."""

    label: str
    clusters: int
    metrics: dict[str, Metric]

    def summary(self) -> dict[str, Any]:
        """All values, as JSON."""
        return {"label": self.label, "clusters": self.clusters, "metrics": plain(self.metrics)}


def by_group(sample: Sample, labels: np.ndarray, seed: int) -> list[Group]:
    """Gap and recall of the pairs of every label, the largest hundred; labels: of the first modality's rows, (n,).

    A cluster is of the group of its first row. Galleries of recall are all rows, whichever group they are of.
    """
    first_rows = np.unique(sample.clusters[0], return_index=True)[1]
    names, number, counts = np.unique(labels[first_rows], return_inverse=True, return_counts=True)
    with threads.one_blas_thread():
        whole = _matched(sample, seed)
        of_row = number[whole.design.cluster]
        found = []
        for index in np.argsort(-counts, kind="stable")[:_MOST]:
            metrics: dict[str, Metric] = {}
            if counts[index] >= FEWEST_PAIRS:
                gap = offset.measure(_matched(sample.only(number == index), seed), offset.FAMILY.stream(seed))["centroid_gap"]
                metrics["centroid_gap"] = Metric(gap.value, gap.ci_low, gap.ci_high)
            for direction, part in zip(retrieval.DIRECTIONS, whole.cloud.parts, strict=True):
                rows = part.start + np.flatnonzero(of_row[part] == index)
                metrics[f"recall_{direction}_at_1"] = retrieval.recall(whole, 0, rows, int(counts[index]))
            found.append(Group(printable(str(names[index])), int(counts[index]), metrics))
    return found


def _matched(sample: Sample, seed: int) -> Matched:
    return arrangement(sample, 1, seed).matched(_ANY, None, None)
