"""Matched embeddings of two modalities: what is accepted, and which row belongs to which."""

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from fieldsolve.embeddings.modality import Modality
from fieldsolve.numerics.arrays import Indices, Rows
from fieldsolve.numerics.errors import InputError

FEWEST_PAIRS = 20

#: Clusters that are measured; of more, so many are drawn.
MOST_CLUSTERS = 50_000


@dataclass(frozen=True, eq=False)
class Sample:
    """Two modalities and their matching.

    clusters: of each row of either modality, numbered from 0; a cluster is a row of one modality with its partners of the
    other, and everything that holds copies of its rows: clusters are what is independent. partners: (2, m), the matched rows.
    copies: which distinct row each row of either modality is, numbered from 0. notes: what was left out.
    """

    first: Modality
    second: Modality
    clusters: tuple[Indices, Indices]
    partners: Indices
    copies: tuple[Indices, Indices]
    notes: tuple[str, ...] = ()

    @property
    def pairs(self) -> int:
        """The number of matched pairs."""
        return int(self.partners.shape[1])

    @property
    def independent(self) -> int:
        """The number of clusters."""
        return int(self.clusters[0].max()) + 1

    @property
    def fingerprint(self) -> int:
        """A checksum of which rows match and belong together: the same for runs on the same pairs."""
        return crc32(b"".join(np.ascontiguousarray(one).tobytes() for one in (*self.clusters, self.partners)))

    def with_second(self, rows: Indices) -> "Sample":
        """The same matching with the second modality's rows replaced by others of them."""
        second = replace(self.second, rows=np.ascontiguousarray(self.second.rows[rows]))
        return replace(self, second=second, copies=(self.copies[0], _numbered(self.copies[1][rows])))

    def draw(self, most: int, rng: np.random.Generator, labels: Indices | None = None) -> tuple["Sample", Indices | None]:
        """The sample, or so many of its clusters drawn at random, said in its notes; with labels of the first modality's rows.

        Statistics of a simple random sample of clusters are incomplete ones of all: unbiased, with the errors of its size.
        """
        if self.independent <= most:
            return self, labels
        chosen = np.zeros(self.independent, dtype=bool)
        chosen[rng.permutation(self.independent)[:most]] = True
        note = (
            f"{most} of {self.independent} independent pairs were drawn: values, intervals, ranks and metrics of n are those of "
            "so many"
        )
        sample = self.only(chosen)
        sample = replace(sample, notes=(*self.notes, note))
        return sample, None if labels is None else labels[chosen[self.clusters[0]]]

    def only(self, chosen: np.ndarray) -> "Sample":
        """The sample of those clusters, (clusters,) of true and false."""
        kept = [np.flatnonzero(chosen[one]) for one in self.clusters]
        links = self.partners[:, chosen[self.clusters[0][self.partners[0]]]]
        number = np.cumsum(chosen) - 1
        modalities = [replace(one, rows=one.rows[at]) for one, at in zip((self.first, self.second), kept, strict=True)]
        copies = [_numbered(one[at]) for one, at in zip(self.copies, kept, strict=True)]
        clusters = [number[one[at]] for one, at in zip(self.clusters, kept, strict=True)]
        return Sample(
            modalities[0],
            modalities[1],
            (clusters[0], clusters[1]),
            np.stack([np.searchsorted(at, one) for at, one in zip(kept, links, strict=True)]),
            (copies[0], copies[1]),
            self.notes,
        )


def match(first: Modality, second: Modality, partners: Indices | None = None) -> Sample:
    """A sample of two modalities whose rows match one by one, or as `partners` (m, 2) says: row of the first, row of the second.

    A row may have several partners, as an image with five captions, but not partners that have others themselves. Rows without
    any are left out. Copies of rows are no independent pairs: they are found and put into one cluster, unless too few are left.
    Raises InputError for unequal dimensions or counts; pairs that are no whole numbers in two columns, point outside, are
    listed twice or match many to many; and too few pairs.
    """
    if first.rows.shape[1] != second.rows.shape[1]:
        raise InputError(
            f"{first.name} has {first.rows.shape[1]} components and {second.name} {second.rows.shape[1]}; both need the same "
            "embedding space"
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
    used = [np.unique(rows) for rows in both]
    left_out = [size - len(rows) for size, rows in zip(sizes, used, strict=True)]
    notes = [
        f"{count} rows of {one.name} have no partner and are left out"
        for count, one in zip(left_out, (first, second), strict=True)
        if count
    ]
    kept = [
        one if not count else replace(one, rows=one.rows[rows])
        for one, rows, count in zip((first, second), used, left_out, strict=True)
    ]
    links = np.stack([np.searchsorted(rows, one) for rows, one in zip(used, both, strict=True)])
    copies = _copies(kept[0].rows), _copies(kept[1].rows)
    clusters = _clusters(links, (np.arange(len(used[0])), np.arange(len(used[1]))))
    _refuse_tangled(clusters)
    independent = int(clusters[0].max()) + 1
    if independent < FEWEST_PAIRS:
        raise InputError(
            f"{independent} independent pairs (of {first.rows.shape[1]} components) are too few for intervals and p-values; at "
            f"least {FEWEST_PAIRS} are needed"
        )
    if any(int(one.max()) + 1 < len(one) for one in copies):
        merged = _clusters(links, copies)
        if (distinct := int(merged[0].max()) + 1) >= FEWEST_PAIRS:
            clusters = merged
        else:
            notes.append(
                f"rows are copies of each other, and only {distinct} clusters have none in common: intervals and p-values take "
                "copies for independent, and are too narrow and too small"
            )
    if np.array_equal(kept[0].rows, kept[1].rows):
        notes.append(f"{first.name} and {second.name} hold the same rows")
    return Sample(kept[0], kept[1], clusters, links, copies, tuple(notes))


def _copies(rows: Rows) -> Indices:
    """Which distinct row each row is, numbered from 0: copies are the same in every bit."""
    whole = np.ascontiguousarray(rows).view([("", f"V{rows.itemsize * rows.shape[1]}")])[:, 0]
    return _numbered(whole)


def _numbered(values: np.ndarray) -> Indices:
    """Values replaced by numbers from 0, the same for the same."""
    return np.asarray(np.unique(values, return_inverse=True)[1].ravel(), dtype=np.int64)


def _clusters(links: Indices, items: tuple[Indices, Indices]) -> tuple[Indices, Indices]:
    """Of each row of both modalities the cluster, from 0: what matches link, rows being the same where their items are."""
    one, other = items[0][links[0]], items[1][links[1]]
    counts = int(items[0].max()) + 1, int(items[1].max()) + 1
    if len(one) == counts[0] == counts[1]:
        component = np.concatenate([np.arange(counts[0]), np.argsort(other[np.argsort(one)])])
    else:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        size = sum(counts)
        component = connected_components(
            coo_array((np.ones(len(one)), (one, counts[0] + other)), shape=(size, size)), directed=False
        )[1]
    # By first appearance: the same pairs have the same numbers, whatever their copies are called.
    both = np.concatenate([component[items[0]], component[counts[0] + items[1]]])
    _, begins, labels = np.unique(both, return_index=True, return_inverse=True)
    number = np.empty(len(begins), dtype=np.int64)
    number[np.argsort(begins)] = np.arange(len(begins))
    found = number[labels]
    return found[: len(items[0])], found[len(items[0]) :]


def _refuse_tangled(clusters: tuple[Indices, Indices]) -> None:
    counts = [np.bincount(one, minlength=int(clusters[0].max()) + 1) for one in clusters]
    tangled = (counts[0] > 1) & (counts[1] > 1)
    if tangled.any():
        raise InputError(
            f"{int(tangled.sum())} groups of pairs are matched many to many; a row may have several partners, but those only "
            "that one"
        )


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
