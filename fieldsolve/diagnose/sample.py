"""Matched embeddings of two modalities: what is accepted, and which row belongs to which."""

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fieldsolve.embeddings.modality import Modality
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError

FEWEST_PAIRS = 20

_CONSTANT = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}  # rows that differ by less everywhere are the same


@dataclass(frozen=True, eq=False)
class Sample:
    """Two modalities and their matching.

    clusters: of each row of either modality, numbered from 0; a cluster is a row of one modality with its partners of the
    other, and clusters are what is independent. partners: (2, m), the matched rows. notes: what was left out.
    """

    first: Modality
    second: Modality
    clusters: tuple[Indices, Indices]
    partners: Indices
    notes: tuple[str, ...] = ()

    @property
    def pairs(self) -> int:
        """The number of matched pairs."""
        return int(self.partners.shape[1])

    @property
    def independent(self) -> int:
        """The number of clusters."""
        return int(self.clusters[0].max()) + 1

    def with_second(self, rows: Indices) -> "Sample":
        """The same matching with the second modality's rows replaced by others of them."""
        return replace(self, second=replace(self.second, rows=np.ascontiguousarray(self.second.rows[rows])))


def match(first: Modality, second: Modality, partners: Indices | None = None) -> Sample:
    """A sample of two modalities whose rows match one by one, or as `partners` (m, 2) says: row of the first, row of the second.

    A row may have several partners, as an image with five captions, but not partners that have others themselves. Rows without
    any are left out. Raises InputError for unequal dimensions or counts, embeddings that are all
    the same, indices out of range, and too few pairs.
    """
    if first.rows.shape[1] != second.rows.shape[1]:
        raise InputError(
            f"{first.name} has {first.rows.shape[1]} components and {second.name} {second.rows.shape[1]}; both need the same "
            "embedding space"
        )
    for one in (first, second):
        if np.all(np.abs(one.rows - one.rows[0]) <= _CONSTANT[one.rows.dtype]):
            raise InputError(
                f"{one.name}: all {len(one.rows)} embeddings are the same; a collapsed encoder has nothing to diagnose"
            )
    sizes = len(first.rows), len(second.rows)
    if partners is None:
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{first.name} has {sizes[0]} embeddings and {second.name} {sizes[1]}; rows match one by one, or by --pairs"
            )
        both = np.stack([np.arange(sizes[0])] * 2)
    else:
        both = _checked(partners, sizes, (first.name, second.name))
    edges = coo_array((np.ones(both.shape[1]), (both[0], sizes[0] + both[1])), shape=(sum(sizes), sum(sizes)))
    component = connected_components(edges, directed=False)[1]
    used = [np.unique(rows) for rows in both]
    members = [component[used[0]], component[sizes[0] + used[1]]]
    names, numbered = np.unique(np.concatenate(members), return_inverse=True)
    clusters = numbered[: len(used[0])].astype(np.int64), numbered[len(used[0]) :].astype(np.int64)
    counts = [np.bincount(one, minlength=len(names)) for one in clusters]
    tangled = (counts[0] > 1) & (counts[1] > 1)
    if tangled.any():
        raise InputError(
            f"{int(tangled.sum())} groups of pairs are matched many to many; a row may have several partners, but those only "
            "that one"
        )
    if len(names) < FEWEST_PAIRS:
        raise InputError(
            f"{len(names)} independent pairs (of {first.rows.shape[1]} components) are too few for intervals and p-values; at "
            f"least {FEWEST_PAIRS} are needed"
        )
    left_out = [size - len(rows) for size, rows in zip(sizes, used, strict=True)]
    notes = tuple(
        f"{count} rows of {one.name} have no partner and are left out"
        for count, one in zip(left_out, (first, second), strict=True)
        if count
    )
    kept = [
        one if not count else replace(one, rows=one.rows[rows])
        for one, rows, count in zip((first, second), used, left_out, strict=True)
    ]
    renumbered = np.stack([np.searchsorted(rows, one) for rows, one in zip(used, both, strict=True)])
    return Sample(kept[0], kept[1], clusters, renumbered, notes)


def _checked(partners: Indices, sizes: tuple[int, int], names: tuple[str, str]) -> Indices:
    partners = np.asarray(partners)
    if partners.ndim != 2 or partners.shape[1] != 2 or len(partners) == 0 or partners.dtype.kind not in "iu":
        raise InputError(
            f"pairs are whole numbers in two columns, row of {names[0]} and row of {names[1]}, not of shape {partners.shape}"
        )
    for column, size, name in zip(partners.T, sizes, names, strict=True):
        outside = (column < 0) | (column >= size)
        if outside.any():
            row = int(np.argmax(outside))
            raise InputError(
                f"{int(outside.sum())} of {len(column)} pairs point outside {name}, whose rows are 0 to {size - 1}; first: "
                f"pair {row}, which says {column[row]}"
            )
    distinct = np.unique(partners, axis=0)
    if len(distinct) < len(partners):
        raise InputError(f"{len(partners) - len(distinct)} pairs are listed more than once; list each once")
    return np.asarray(distinct.T, dtype=np.int64)


def temperature(tau: float | None) -> float:
    """The temperature that is used. Raises InputError for values out of range."""
    if tau is None:
        return DEFAULT_TAU
    if not (isfinite(tau) and tau >= LEAST_TAU):
        raise InputError(
            f"the temperature must be at least {LEAST_TAU} (a logit scale of at most {1 / LEAST_TAU:.0f}), not {tau:.4g}"
        )
    return tau


#: Below, exp((cosine - 1)/tau) of opposite rows is no longer a number of double precision.
LEAST_TAU = 0.003

#: Where CLIP's training starts.
DEFAULT_TAU = 0.07
