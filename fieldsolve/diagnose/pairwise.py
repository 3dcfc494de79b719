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

#: The kernels whose sums are kept, by their place: distance, three Gaussians, the one of uniformity.
DISTANCE, HALF, ONE, DOUBLE, UNIFORMITY = range(5)


@dataclass(frozen=True, eq=False)
class PairSums:
    """What the pass leaves.

    sums: (5, S, S), the sum of each kernel over ordered pairs of different rows of two slots. fields: (S, N), partition fields
    [Def 2.1] at every pooled row: the sum of exp((z.z' - 1)/tau) over the rows z' of a slot that are of other clusters.
    centred_sums: (4, n), at each row of the first modality the sums of distance and Gaussians over all rows of the second, both
    centred; centred_fields: (N,), the partition field of the other modality, both centred. ranks: (matchings, 2, N): how many
    rows of the other modality have a cosine above the row's own threshold, and at least it.
    """

    sums: Array
    fields: Array
    centred_sums: Array
    centred_fields: Array
    ranks: Counts


def pair_sums(
    rows: Rows,
    slots: Slots,
    clusters: Indices,
    centroids: Array,
    bandwidth: float,
    tau: float,
    thresholds: tuple[Array, Array],
    watch: Watch,
) -> PairSums:
    """Go once over all pairs of the pooled rows (N, d), which are unit vectors in the slots' order.

    clusters: (N,) of the pooled rows; centroids: (2, d); bandwidth: sigma of the middle Gaussian exp(-r^2/(2 sigma^2)), the
    others have half and twice it; thresholds: cosines (matchings, N), from which on a row counts as at least, and as above.
    Tiles of inner products are held one at a time, and no two threads write to the same rows: same bits for any number.
    """
    total, count = len(rows), len(slots.group)
    first_rows = int(slots.starts[slots.first])
    offsets = _centred_offsets(rows, first_rows, centroids)
    result = PairSums(
        sums=np.zeros((5, count, count)),
        fields=np.zeros((count, total)),
        centred_sums=np.zeros((4, first_rows)),
        centred_fields=np.zeros(total),
        ranks=np.zeros((len(thresholds[0]), 2, total), dtype=np.int32),
    )
    scales = np.array([1 / (8 * bandwidth**2), 1 / tau])
    slot = slots.slot_of_row
    limits = thresholds[0].astype(rows.dtype), thresholds[1].astype(rows.dtype)

    def tile(block: slice, other: slice) -> None:
        products = np.asarray(rows[block] @ rows[other].T)
        at = block.start, other.start
        _add(products, *at, slot, slots.starts, clusters, scales, result.sums, result.fields)
        if block.start < first_rows <= other.start:
            centred = offsets[block], offsets[other], result.centred_sums, result.centred_fields
            _add_centred(products, *at, clusters, scales, *centred)
            _count_above(products, *at, *limits, result.ranks)

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


def _centred_offsets(rows: Rows, first_rows: int, centroids: Array) -> Array:
    """alpha such that alpha_i + alpha_j - 2 z_i.z_j is the squared distance of centred rows of different modalities.

    |x - m|^2 + |y - n|^2 - 2 (x - m).(y - n), with the parts that depend on x or on y alone.
    """
    own, other = np.empty(len(rows)), np.empty(len(rows))
    for begin in range(0, len(rows), _TILE):
        both = rows[begin : begin + _TILE].astype(np.float64) @ centroids.T
        is_first = np.arange(begin, begin + len(both)) < first_rows
        own[begin : begin + _TILE] = np.where(is_first, both[:, 0], both[:, 1])
        other[begin : begin + _TILE] = np.where(is_first, both[:, 1], both[:, 0])
    squared = np.where(np.arange(len(rows)) < first_rows, *(np.sum(centroids**2, axis=1)))
    return np.asarray(1 - 2 * own + squared + 2 * other - np.sum(centroids[0] * centroids[1]))


@jit(REDUCE_NUMBERS)
def _add(products, row0, column0, slot, starts, clusters, scales, sums, fields):
    """Add the pairs of a tile; on the diagonal those above it."""
    rows, columns = products.shape
    smoothed = np.zeros(columns)
    for i in range(rows):
        own, cluster = slot[row0 + i], clusters[row0 + i]
        j = i + 1 if row0 == column0 else 0
        while j < columns:
            other = slot[column0 + j]
            end = min(starts[other + 1] - column0, columns)
            r_sum = half = one = double = uniform = partition = 0.0
            for k in range(j, end):
                cosine = np.float64(products[i, k])
                square = max(2.0 - 2.0 * cosine, 0.0)
                e = exp(-square * scales[0])
                e4 = (e * e) * (e * e)
                r_sum += np.sqrt(square)
                double += e
                one += e4
                half += (e4 * e4) * (e4 * e4)
                uniform += exp(-2.0 * square)
            for k in range(j, end):
                value = exp((np.float64(products[i, k]) - 1.0) * scales[1]) if clusters[column0 + k] != cluster else 0.0
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
def _add_centred(products, row0, column0, clusters, scales, row_offsets, column_offsets, sums, fields):
    """Add the pairs of a tile of two modalities, both centred."""
    rows, columns = products.shape
    for i in range(rows):
        cluster = clusters[row0 + i]
        r_sum = half = one = double = partition = 0.0
        for k in range(columns):
            square = max(row_offsets[i] + column_offsets[k] - 2.0 * np.float64(products[i, k]), 0.0)
            e = exp(-square * scales[0])
            e4 = (e * e) * (e * e)
            r_sum += np.sqrt(square)
            double += e
            one += e4
            half += (e4 * e4) * (e4 * e4)
            value = exp(-0.5 * square * scales[1]) if clusters[column0 + k] != cluster else 0.0
            partition += value
            fields[column0 + k] += value
        sums[0, row0 + i] += r_sum
        sums[1, row0 + i] += half
        sums[2, row0 + i] += one
        sums[3, row0 + i] += double
        fields[row0 + i] += partition


@jit()
def _count_above(products, row0, column0, least, above, ranks):
    """Count, for every row and column of a tile, the cosines above its thresholds and at least there."""
    rows, columns = products.shape
    for m in range(len(ranks)):
        column_least, column_above = least[m, column0 : column0 + columns], above[m, column0 : column0 + columns]
        beyond, reached = ranks[m, 0, column0 : column0 + columns], ranks[m, 1, column0 : column0 + columns]
        for i in range(rows):
            row_least, row_above = least[m, row0 + i], above[m, row0 + i]
            row_beyond, row_reached = np.int32(0), np.int32(0)
            for j in range(columns):
                row_beyond += np.int32(products[i, j] > row_above)
                row_reached += np.int32(products[i, j] >= row_least)
                beyond[j] += np.int32(products[i, j] > column_above[j])
                reached[j] += np.int32(products[i, j] >= column_least[j])
            ranks[m, 0, row0 + i] += row_beyond
            ranks[m, 1, row0 + i] += row_reached
