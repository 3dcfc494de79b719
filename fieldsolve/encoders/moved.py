"""What moving a gap changes and what it does not, measured on matched pairs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.embeddings.pools import own_neighbours, search
from fieldsolve.encoders.moving import GapMap, Table, shortened_sentence
from fieldsolve.numerics.arrays import Array

SCHEMA = "fieldsolve/move-gap/1"

_MOST_PAIRS = 2000  # compared: evenly spaced ones where there are more
_NEIGHBOURS = 10
_EXACT = 1e-5  # no larger change of a similarity comes from moved rows in single precision
_OTHER_ROWS = 1e-4  # by which the gap differs from that of the rows that the map was fitted to, if it is applied to others
_ROOM, _NEARLY_CLOSED = 1e-6, 0.01  # a window below the first is none; a lower end above the second is said


@dataclass(frozen=True, eq=False)
class Moved:
    """A map with what it does to the pairs that it was applied to.

    rows, shortened: of each modality, how many there are and how many would have become longer than 1; centroid_gap_before,
    centroid_gap: of these rows; compared: pairs that the rest is measured on, all None where rows are not matched. before, after:
    figures by name; similarity_error: the largest change of a cross-modal similarity beyond the constant; neighbours: of each
    modality, the share of the nearest ten of its own that stay.
    """

    gap_map: GapMap
    rows: tuple[int, int]
    shortened: tuple[int, int]
    centroid_gap_before: float
    centroid_gap: float
    compared: int
    before: dict[str, float | None]
    after: dict[str, float | None]
    similarity_error: float | None
    neighbours: tuple[float, float] | None

    def summary(self) -> dict[str, Any]:
        """Every figure under the name the command line's JSON gives it."""
        one = self.gap_map
        return {
            "schema": SCHEMA,
            "directions": one.directions,
            "window": list(one.window),
            "fitted_centroid_gap_before": one.before,
            "fitted_centroid_gap": one.centroid_gap,
            "centroid_gap_before": self.centroid_gap_before,
            "centroid_gap": self.centroid_gap,
            "constant": one.constant,
            "columns": one.columns,
            "rows": list(self.rows),
            "shortened": list(self.shortened),
            "compared": self.compared,
            "before": self.before,
            "after": self.after,
            "similarity_error": self.similarity_error,
            "own_neighbours_kept": None if self.neighbours is None else list(self.neighbours),
            "report": self.report,
        }

    @property
    def report(self) -> list[str]:
        """What was found, in sentences."""
        one = self.gap_map
        low, high = one.window
        said = [
            f"with {one.directions} directions the centroid gap may be anything from {low:.4f} to {high:.4f}; it was "
            f"{one.before:.4f} where the map was fitted, and is {one.centroid_gap:.4f} there now",
        ]
        if high - low < _ROOM:
            said.append(
                "these rows leave no room: some have next to nothing in the mapped directions, so that no other may change its "
                "length (--directions maps more)"
            )
        elif low > _NEARLY_CLOSED:
            said.append(f"no such map takes it below {low:.4f}; more directions may (--directions)")
        for name, few, of in zip(("first", "second"), self.shortened, self.rows, strict=True):
            said += [f"{name} modality: {shortened_sentence(few, of)}"] if few else []
        if abs(self.centroid_gap - one.centroid_gap) > _OTHER_ROWS:
            said.append(f"of these rows it was {self.centroid_gap_before:.4f}, and is {self.centroid_gap:.4f}")
        if self.compared:
            before, after, error = self.before, self.after, self.similarity_error or 0.0
            recall = f"recall at 1 was {before['recall_a']:.4f} and {before['recall_b']:.4f}, and is {after['recall_a']:.4f} and "
            recall += f"{after['recall_b']:.4f}"
            if error <= _EXACT:
                said.append(
                    f"unchanged: similarities across modalities but for the constant {one.constant:.6f}, to {error:.1e}, and "
                    f"with them the loss; {recall}"
                )
            else:
                said.append(
                    f"changed: similarities across modalities, beyond the constant {one.constant:.6f} by up to {error:.2g}, "
                    f"because of the shortened rows; {recall}"
                )
            said.append(
                f"in a pool of both the partner's median rank was {before['median_rank_a']:g} and {before['median_rank_b']:g} of "
                f"{2 * self.compared - 1}, and is {after['median_rank_a']:g} and {after['median_rank_b']:g}"
            )
            assert self.neighbours is not None
            said.append(
                f"of the {_NEIGHBOURS} nearest of a row's own modality {100 * self.neighbours[0]:.0f} % and "
                f"{100 * self.neighbours[1]:.0f} % are the same as before"
            )
        return said


class Measure:
    """Takes moved rows block by block, and keeps sums of all and the rows of some pairs."""

    def __init__(self, gap_map: GapMap, tables: tuple[Table, Table]) -> None:
        self.gap_map, self.tables = gap_map, tables
        self.counts = len(tables[0].array), len(tables[1].array)
        is_matched = self.counts[0] == self.counts[1] and self.counts[0] > 1
        compared = min(self.counts[0], _MOST_PAIRS) if is_matched else 0
        self._chosen = np.linspace(0, self.counts[0] - 1, compared).astype(np.int64)
        self._sums = [np.zeros(gap_map.columns) for _ in (0, 1)]
        self._kept: list[list[Array]] = [[], []]
        self._shortened = [0, 0]

    def add(self, modality: int, begin: int, rows: Array, shortened: int) -> None:
        """Take moved rows of a modality that begin at a place of its table."""
        self._sums[modality] += rows.sum(axis=0)
        self._shortened[modality] += shortened
        inside = self._chosen[(self._chosen >= begin) & (self._chosen < begin + len(rows))]
        self._kept[modality].append(rows[inside - begin].copy())

    def result(self) -> Moved:
        """What was measured, once all rows were taken."""
        means = [total / count for total, count in zip(self._sums, self.counts, strict=True)]
        gap, compared = float(np.linalg.norm(means[0] - means[1])), len(self._chosen)
        (first, one), (second, other) = (self._originals(modality) for modality in (0, 1))
        before_gap = float(np.linalg.norm(first - second))
        figures: list[dict[str, float | None]] = [{}, {}]
        error: float | None = None
        neighbours: tuple[float, float] | None = None
        if compared:
            after = [np.concatenate(blocks) for blocks in self._kept]
            before = one, other
            figures = [_figures(*before), _figures(after[0], after[1])]
            change = after[0] @ after[1].T - before[0] @ before[1].T - self.gap_map.constant
            error = float(np.abs(change).max())
            neighbours = own_neighbours(before[0], after[0], _NEIGHBOURS), own_neighbours(before[1], after[1], _NEIGHBOURS)
        shortened = self._shortened[0], self._shortened[1]
        return Moved(self.gap_map, self.counts, shortened, before_gap, gap, compared, figures[0], figures[1], error, neighbours)

    def _originals(self, modality: int) -> tuple[Array, Array]:
        """The centroid of a modality's rows as they were, and those that are compared."""
        table, rows = self.tables[modality], []
        total = np.zeros(table.array.shape[1])
        for begin, block in table.blocks():
            total += block.sum(axis=0)
            inside = self._chosen[(self._chosen >= begin) & (self._chosen < begin + len(block))]
            rows.append(block[inside - begin])
        return total / len(table.array), np.concatenate(rows)


def _figures(first: Array, second: Array) -> dict[str, float | None]:
    forth, back = search(first, second, depth=_NEIGHBOURS), search(second, first, depth=_NEIGHBOURS)
    return {
        "recall_a": forth.recall,
        "recall_b": back.recall,
        "median_rank_a": forth.median_rank,
        "median_rank_b": back.median_rank,
        "other_share_at_10_a": float(forth.other_share.mean()),
        "other_share_at_10_b": float(back.other_share.mean()),
    }
