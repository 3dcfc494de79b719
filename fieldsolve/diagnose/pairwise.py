"""One pass over all pairs of rows: sums of distances and kernels by slots, smoothed densities by slots, ranks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fieldsolve.diagnose.resampling import Slots
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices, Rows
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, exp, jit
from fieldsolve.numerics.progress import Progress, Watch

Counts = np.ndarray[tuple[int, ...], np.dtype[np.int32]]

_TILE = 512  # rows and columns of inner products at a time: they stay in the second-level cache
_SUPERBLOCKS = 24
_LEAST_ROWS = 1024  # in a superblock
_CHUNK = 8192  # rows centred at a time
_FEW = 2048  # rows up to which products are taken in double precision: ranks may hang on digits that single does not have

#: The kernels whose sums are kept, by their place: distance, three Gaussians, the one of uniformity.
DISTANCE, HALF, ONE, DOUBLE, UNIFORMITY = range(5)


#: Distances of rows whose squared distance, both centred, is below this share of their squared lengths come from differences:
#: what is left of inner products has lost these digits.
CLOSE = 1e-3


@dataclass(frozen=True, eq=False)
class PairSums:
    """What the pass leaves.

    sums: (5, S, S), the sum of each kernel over ordered pairs of different rows of two slots. fields: (S, N), partition fields
    [Def 2.1] at every pooled row: the sum of exp((z.z' - 1)/tau) over the rows z' of a slot that are of other clusters.
    centred_sums: (4, n), at each row of the first modality the sums of distance and Gaussians over all rows of the second, both
    centred; centred_fields: (N,), the partition field of the other modality, both centred. ranks: (matchings, 2, N): how many
    rows of the other modality are nearer than the row's own limit, and how many at least as near.
    """

    sums: Array
    fields: Array
    centred_sums: Array
    centred_fields: Array
    ranks: Counts


@dataclass(frozen=True, eq=False)
class Cloud:
    """The pooled rows (N, d) in the slots' order, each less the centroid of its modality.

    centroids: (2, d); lengths: the centred rows' squared lengths, (N,); first_rows: how many are the first modality's. Distances
    are those of the rows that were given, which are unit vectors: taken from inner products of centred rows, they are rounded by
    what the modality's own spread loses, not by what 1 does.
    """

    rows: Rows
    centroids: Array
    lengths: Array
    first_rows: int

    @classmethod
    def of(cls, first: Rows, second: Rows) -> "Cloud":
        centroids = np.stack([one.mean(axis=0, dtype=np.float64) for one in (first, second)])
        count = len(first) + len(second)
        rows: Rows = np.empty((count, first.shape[1]), dtype=np.float64 if count <= _FEW else first.dtype)
        lengths = np.empty(len(rows))
        for one, centroid, start in ((first, centroids[0], 0), (second, centroids[1], len(first))):
            for at in range(0, len(one), _CHUNK):
                place = slice(start + at, start + min(at + _CHUNK, len(one)))
                rows[place] = one[at : at + _CHUNK] - centroid
                lengths[place] = np.einsum("nd,nd->n", rows[place], rows[place], dtype=np.float64)
        return cls(rows, centroids, lengths, len(first))

    @property
    def shift(self) -> Array:
        """What the first modality's centred rows lack against the second's, (d,)."""
        return np.asarray(self.centroids[0] - self.centroids[1])

    def offsets(self) -> Array:
        """alpha such that alpha_i + alpha_j - 2 c_i.c_j is the squared distance of rows of different modalities, (N,).

        |c_i + D - c_j|^2 with D the shift, in parts that depend on one row alone.
        """
        along = np.empty(len(self.rows))
        for at in range(0, len(along), _CHUNK):
            along[at : at + _CHUNK] = self.rows[at : at + _CHUNK].astype(np.float64) @ self.shift
        sign = np.where(np.arange(len(along)) < self.first_rows, 2.0, -2.0)
        return np.asarray(self.lengths + sign * along + np.sum(self.shift**2) / 2)

    def squares(self, first: Indices, second: Indices, shift: Array) -> Array:
        """Squared distances, a shift apart, of centred rows of the first modality and of the second, by places, (m,)."""
        result = np.empty(len(first))
        for at in range(0, len(result), _CHUNK):
            one, other = (self.rows[side[at : at + _CHUNK]].astype(np.float64) for side in (first, second))
            result[at : at + _CHUNK] = np.sum((one + shift - other) ** 2, axis=1)
        return result


def pair_sums(
    cloud: Cloud,
    slots: Slots,
    clusters: Indices,
    bandwidth: float,
    tau: float,
    limits: tuple[Array, Array],
    watch: Watch,
) -> PairSums:
    """Go once over all pairs of the pooled rows.

    clusters: (N,) of the pooled rows; bandwidth: sigma of the middle Gaussian exp(-r^2/(2 sigma^2)), the others have half and
    twice it; limits: squared distances (matchings, N), below which a row counts as nearer, and up to which as at least as near.
    Tiles of inner products are held one at a time, and no two threads write to the same rows: same bits for any number.
    """
    rows, lengths, first_rows = cloud.rows, cloud.lengths, cloud.first_rows
    total, count = len(rows), len(slots.group)
    result = PairSums(
        sums=np.zeros((5, count, count)),
        fields=np.zeros((count, total)),
        centred_sums=np.zeros((4, first_rows)),
        centred_fields=np.zeros(total),
        ranks=np.zeros((len(limits[0]), 2, total), dtype=np.int32),
    )
    scales = np.array([1 / (8 * bandwidth**2), 0.5 / tau])
    slot, offsets, still = slots.slot_of_row, cloud.offsets(), np.zeros(rows.shape[1])

    def tile(block: slice, other: slice) -> None:
        products = np.asarray(rows[block] @ rows[other].T)
        at = block.start, other.start
        is_across = block.start < first_rows <= other.start
        if is_across:
            squares = _squares(products, *at, rows, lengths, lengths, still)
            _add_centred(squares, *at, clusters, scales, result.centred_sums, result.centred_fields)
            squares = _squares(products, *at, rows, lengths, offsets, cloud.shift)
            _count_near(squares, *at, *limits, result.ranks)
        else:
            squares = _squares(products, *at, rows, lengths, lengths, still)
        _add(squares, *at, slot, slots.starts, clusters, scales, result.sums, result.fields)

    def work(begin: int, end: int, matches: list[tuple[slice, slice]]) -> None:
        for one, other in matches[begin:end]:
            for i in _tiles(one, first_rows):
                for j in _tiles(other, first_rows):
                    if one != other or j.start >= i.start:
                        tile(i, j)

    rounds = _rounds(_superblocks(slots))
    done, pairs = 0, sum(map(len, rounds))
    with threads.one_blas_thread():
        for matches in rounds:
            size = sum((one.stop - one.start) * (other.stop - other.start) for one, other in matches)
            threads.over_blocks(work, len(matches), size * rows.shape[1], matches)
            done += len(matches)
            watch(Progress(done, pairs, "pairs"))
    result.sums[:] = result.sums + np.swapaxes(result.sums, 1, 2)
    return result


def _superblocks(slots: Slots) -> list[slice]:
    """Ranges of whole slots with about the same number of rows."""
    total = int(slots.starts[-1])
    number = min(max(total // _LEAST_ROWS, 1), _SUPERBLOCKS)
    edges = np.unique(np.searchsorted(slots.starts, np.arange(number + 1) * total / number))
    return [slice(int(slots.starts[a]), int(slots.starts[b])) for a, b in pairwise(edges.tolist())]


def _rounds(blocks: list[slice]) -> list[list[tuple[slice, slice]]]:
    """All pairs of blocks in rounds in which none is met twice: those with themselves, then a round-robin tournament."""
    players: list[slice | None] = [*blocks]
    if len(players) % 2:
        players.append(None)
    rounds = [[(block, block) for block in blocks]]
    for _ in range(len(players) - 1):
        half = len(players) // 2
        met = [(one, other) for one, other in zip(players[:half], players[: half - 1 : -1], strict=True) if one and other]
        rounds.append([(min(pair, key=lambda block: block.start), max(pair, key=lambda block: block.start)) for pair in met])
        players = [players[0], players[-1], *players[1:-1]]
    return rounds


def _tiles(block: slice, first_rows: int) -> list[slice]:
    """Tiles of a block, each of one modality."""
    tiles = []
    for begin, end in ((block.start, min(block.stop, first_rows)), (max(block.start, first_rows), block.stop)):
        tiles += [slice(at, min(at + _TILE, end)) for at in range(begin, end, _TILE)]
    return tiles


@jit(REDUCE_NUMBERS)
def _squares(products, row0, column0, centred, lengths, offsets, shift):
    """Squared distances, a shift apart, of a tile: from inner products, or from differences where rows are close without it."""
    rows, columns = products.shape
    result = np.empty_like(products)
    for i in range(rows):
        offset, length = offsets[row0 + i], lengths[row0 + i]
        close = 0
        for k in range(columns):
            product, both = 2.0 * np.float64(products[i, k]), length + lengths[column0 + k]
            close += both - product < CLOSE * both
            result[i, k] = max(offset + offsets[column0 + k] - product, 0.0)
        if close > 0:
            for k in range(columns):
                both = length + lengths[column0 + k]
                if both - 2.0 * np.float64(products[i, k]) < CLOSE * both:
                    square = 0.0
                    for d in range(len(shift)):
                        square += (np.float64(centred[row0 + i, d]) + shift[d] - np.float64(centred[column0 + k, d])) ** 2
                    result[i, k] = square
    return result


@jit(REDUCE_NUMBERS)
def _add(squares, row0, column0, slot, starts, clusters, scales, sums, fields):
    """Add the pairs of a tile; on the diagonal those above it."""
    rows, columns = squares.shape
    smoothed = np.zeros(columns)
    for i in range(rows):
        own, cluster = slot[row0 + i], clusters[row0 + i]
        j = i + 1 if row0 == column0 else 0
        while j < columns:
            other = slot[column0 + j]
            end = min(starts[other + 1] - column0, columns)
            r_sum = half = one = double = uniform = partition = 0.0
            for k in range(j, end):
                square = np.float64(squares[i, k])
                e = exp(-square * scales[0])
                e4 = (e * e) * (e * e)
                r_sum += np.sqrt(square)
                double += e
                one += e4
                half += (e4 * e4) * (e4 * e4)
                uniform += exp(-2.0 * square)
            for k in range(j, end):
                value = exp(-np.float64(squares[i, k]) * scales[1]) if clusters[column0 + k] != cluster else 0.0
                partition += value
                smoothed[k] += value
            sums[0, own, other] += r_sum
            sums[1, own, other] += half
            sums[2, own, other] += one
            sums[3, own, other] += double
            sums[4, own, other] += uniform
            fields[other, row0 + i] += partition
            j = end
        if i + 1 == rows or slot[row0 + i + 1] != own:
            for k in range(columns):
                fields[own, column0 + k] += smoothed[k]
                smoothed[k] = 0.0


@jit(REDUCE_NUMBERS)
def _add_centred(squares, row0, column0, clusters, scales, sums, fields):
    """Add the pairs of a tile of two modalities, both centred."""
    rows, columns = squares.shape
    for i in range(rows):
        cluster = clusters[row0 + i]
        r_sum = half = one = double = partition = 0.0
        for k in range(columns):
            square = np.float64(squares[i, k])
            e = exp(-square * scales[0])
            e4 = (e * e) * (e * e)
            r_sum += np.sqrt(square)
            double += e
            one += e4
            half += (e4 * e4) * (e4 * e4)
            value = exp(-square * scales[1]) if clusters[column0 + k] != cluster else 0.0
            partition += value
            fields[column0 + k] += value
        sums[0, row0 + i] += r_sum
        sums[1, row0 + i] += half
        sums[2, row0 + i] += one
        sums[3, row0 + i] += double
        fields[row0 + i] += partition


@jit()
def _count_near(squares, row0, column0, nearer, reached, ranks):
    """Count, for every row and column of a tile, the squares below its lower limit and up to its upper one."""
    rows, columns = squares.shape
    for m in range(len(ranks)):
        column_nearer, column_reached = nearer[m, column0 : column0 + columns], reached[m, column0 : column0 + columns]
        ahead, level = ranks[m, 0, column0 : column0 + columns], ranks[m, 1, column0 : column0 + columns]
        for i in range(rows):
            row_nearer, row_reached = nearer[m, row0 + i], reached[m, row0 + i]
            row_ahead, row_level = np.int32(0), np.int32(0)
            for j in range(columns):
                square = np.float64(squares[i, j])
                row_ahead += np.int32(square < row_nearer)
                row_level += np.int32(square <= row_reached)
                ahead[j] += np.int32(square < column_nearer[j])
                level[j] += np.int32(square <= column_reached[j])
            ranks[m, 0, row0 + i] += row_ahead
            ranks[m, 1, row0 + i] += row_level
