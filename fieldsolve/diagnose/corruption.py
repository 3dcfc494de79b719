"""Corrupted matchings: partners replaced at random by others of their group, and everything measured again."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fieldsolve.diagnose.measure import Measurement
from fieldsolve.diagnose.sample import Sample
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError


@dataclass(frozen=True, eq=False)
class Replacement:
    """How partners are to be replaced: with which probabilities, and within groups, one label a row of the first modality."""

    probabilities: tuple[float, ...]
    groups: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Corruption:
    """A sample whose second rows were each replaced with a probability; replaced: the share that was."""

    probability: float
    replaced: float
    measurement: Measurement


def corrupt_partners(sample: Sample, how: Replacement, seed: int, again: Callable[[Sample], Measurement]) -> list[Corruption]:
    """Measure a sample at every probability of replacing a row of the second modality by one of another cluster of its group.

    how.groups: of the first modality's rows, as they are in the sample; without them all are one group. What is replaced at a
    probability is replaced at every larger one, by the same row. A row whose group has no other cluster stays. again: measures
    a sample; its p-values are left out. Raises InputError.
    """
    check_probabilities(how.probabilities)
    groups = how.groups
    labels = np.zeros(len(sample.second.rows), dtype=np.int64)
    if groups is not None:
        labels[sample.partners[1]] = np.unique(groups, return_inverse=True)[1][sample.partners[0]]
    rng = np.random.default_rng([seed, 1])
    others = _others(sample.clusters[1], labels, rng)
    chance = rng.random(len(others))
    own = np.arange(len(others))
    results = []
    for probability in how.probabilities:
        rows = np.where(chance < probability, others, own)
        changed = sample.with_second(rows)
        measured = again(changed)
        # Drawn rows are copies that nothing groups: no exchange is one of independent clusters.
        untested = {name: replace(metric, p_value=None, noise_level=None) for name, metric in measured.metrics.items()}
        measured = replace(measured, metrics=untested, adjusted={})
        results.append(Corruption(probability, float(np.mean(rows != own)), measured))
    return results


def check_probabilities(probabilities: tuple[float, ...]) -> None:
    """Raise InputError unless all are probabilities."""
    for probability in probabilities:
        if not 0 <= probability <= 1:
            raise InputError(f"a row is replaced with a probability from 0 to 1, not {probability:g}")


def _others(clusters: Indices, groups: Indices, rng: np.random.Generator) -> Indices:
    """For every row one of another cluster of its group, drawn uniformly; itself where there is none."""
    result = np.arange(len(clusters))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        # Rows of a cluster side by side: what is drawn are the places after and before them, around the ring.
        members = members[np.argsort(clusters[members], kind="stable")]
        first = np.searchsorted(clusters[members], clusters[members])
        size = np.searchsorted(clusters[members], clusters[members], side="right") - first
        strangers = len(members) - size
        drawn = (rng.random(len(members)) * strangers).astype(np.int64)
        result[members] = np.where(strangers > 0, members[(first + size + drawn) % len(members)], members)
    return result
