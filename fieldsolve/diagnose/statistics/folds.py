"""Similarities of rows less means that neither they nor what they are compared with have pulled."""

from dataclasses import dataclass, field

import numpy as np

from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.separability import FOLDS
from fieldsolve.embeddings.centring import Means
from fieldsolve.embeddings.pools import Similar, Table
from fieldsolve.numerics.arrays import Indices, Rows


@dataclass(frozen=True, eq=False)
class Folds:
    """Rows of both modalities, as they were given, in folds of groups of clusters; partners are in one fold.

    A query of fold f and a row of fold g are compared less the means of all rows of other folds than f and g, and than f and the
    next one where both are of fold f: three folds at least, none of which holds either of them.
    """

    rows: tuple[Rows, Rows]
    fold: tuple[Indices, Indices]
    _means: dict[tuple[int, int], Means] = field(default_factory=dict)

    @classmethod
    def of(cls, matched: Matched) -> "Folds":
        parts = [matched.design.group_of_row[part] % FOLDS for part in matched.cloud.parts]
        return cls((matched.cloud.given(0), matched.cloud.given(1)), (parts[0], parts[1]))

    def means(self, one: int, other: int) -> Means:
        """Those of all rows that are of neither fold."""
        key = min(one, other), max(one, other)
        if key not in self._means:
            kept = [rows[(fold != one) & (fold != other)] for rows, fold in zip(self.rows, self.fold, strict=True)]
            self._means[key] = Means.of(kept[0], kept[1])
        return self._means[key]

    def similar(self, side: int, number: int, treatment: str) -> Similar:
        """Similarities of a fold's rows of a modality, by their places, with all rows of the other modality and of their own."""
        own, members = self.rows[side], np.flatnonzero(self.fold[side] == number)
        place = np.full(len(own), -1)
        place[members] = np.arange(len(members))
        blocks = []
        for other in range(FOLDS):
            means = self.means(number, other if other != number else (number + 1) % FOLDS)
            columns = [np.flatnonzero(fold == other) for fold in self.fold]
            treated = [means.treat(self.rows[index][at], index, treatment) for index, at in enumerate(columns)]
            blocks.append((columns, treated, means.treat(own[members], side, treatment)))

        def similar(rows: Indices) -> tuple[Table, Table]:
            tables = [np.empty((len(rows), len(one)), dtype=own.dtype) for one in (self.rows[1 - side], own)]
            for columns, treated, queries in blocks:
                for table, index in zip(tables, (1 - side, side), strict=True):
                    table[:, columns[index]] = queries[place[rows]] @ treated[index].T
            return tables[0], tables[1]

        return similar
