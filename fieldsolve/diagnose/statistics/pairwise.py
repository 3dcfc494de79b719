"""One pass over all pairs of rows: sums of distances and kernels by slots, smoothed densities by slots, ranks."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.design import Design
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, exp, jit
from fieldsolve.numerics.progress import Progress, Watch

Counts = np.ndarray[tuple[int, ...], np.dtype[np.int32]]

_TILE = 512  # rows and columns of inner products at a time: they stay in the second-level cache
_SUPERBLOCKS = 24
_LEAST_ROWS = 1024  # in a superblock

#: The kernels whose sums are kept, by their place: distance, three Gaussians, the one of uniformity.
DISTANCE, HALF, ONE, DOUBLE, UNIFORMITY = range(5)

#: The Gaussians are exp(-factor r^2/sigma^2): of half of sigma, of sigma, of twice sigma.
FACTORS = (2.0, 0.5, 0.125)


#: Distances of rows whose squared distance, both centred, is below this share of their squared lengths come from differences:
#: what is left of inner products has lost these digits.
CLOSE = 1e-3

_FAR = 1e300  # no squared distance


@dataclass(frozen=True, eq=False)
class PairSums:
    """What the pass leaves: sums over pairs of rows of different clusters.

    kernels: (5, S, S), the sums of each kernel over ordered pairs of rows of two slots. fields: (S, N), partition fields [Def
    2.1] at every pooled row: the sum of exp((z.z' - 1)/tau) over the rows z' of a slot. centred_kernels: (4, S, S), without the
    last,
    centred_fields: the same of pairs across the modalities, both centred; slopes: (4, N), at every row its sums of 1/r and the
    Gaussians over the other modality, both centred. ranks: (matchings, 2, N), how many rows of the other modality are nearer
    than the row's own limit, and how many at least as near; nearest: (N,), which
    stranger among them is nearest.
    """

    kernels: Array
    fields: Array
    centred_kernels: Array
    centred_fields: Array
    slopes: Array
    ranks: Counts
    nearest: Indices


def pair_sums(cloud: Cloud, design: Design, bandwidth: float, tau: float, limits: tuple[Array, Array], watch: Watch) -> PairSums:
    """Go once over all pairs of the pooled rows.

    bandwidth: sigma of the middle Gaussian exp(-r^2/(2 sigma^2)), the others have half and twice it; limits: squared distances
    (matchings, N), below which a row counts as nearer, and up to which as at least as near. Tiles of inner products are held one
    at a time, and no two threads write to the same rows: same bits for any number.
    """
    rows, lengths, first_rows = cloud.rows, cloud.lengths, cloud.first_rows
    total, count = len(rows), len(design.group)
    result = PairSums(
        kernels=np.zeros((5, count, count)),
        fields=np.zeros((count, total)),
        centred_kernels=np.zeros((4, count, count)),
        centred_fields=np.zeros((count, total)),
        slopes=np.zeros((4, total)),
        ranks=np.zeros((len(limits[0]), 2, total), dtype=np.int32),
        nearest=np.zeros(total, dtype=np.int64),
    )
    scales = np.array([FACTORS[-1] / bandwidth**2, 0.5 / tau])
    layout = design.slot_of_row, design.starts, design.cluster, scales
    offsets, still, nothing, least = cloud.offsets(), np.zeros(rows.shape[1]), np.zeros((4, 0)), np.full(total, np.inf)

    def tile(block: slice, other: slice) -> None:
        products = np.asarray(rows[block] @ rows[other].T)
        at = block.start, other.start
        if block.start < first_rows <= other.start:
            squares = _squares(products, at, rows, lengths, lengths, still)
            _add(squares, at, *layout, result.centred_kernels, result.centred_fields, result.slopes)
            squares = _squares(products, at, rows, lengths, offsets, cloud.shift)
            _rank(squares, at, design.cluster, *limits, result.ranks, result.nearest, least)
        else:
            squares = _squares(products, at, rows, lengths, lengths, still)
        _add(squares, at, *layout, result.kernels, result.fields, nothing)

    _over_tiles(cloud, design, tile, watch)
    for sums in (result.kernels, result.centred_kernels):
        sums[:] = sums + np.swapaxes(sums, 1, 2)
    return result


def cross_ranks(cloud: Cloud, design: Design, limits: tuple[Array, Array]) -> Counts:
    """The ranks that `pair_sums` leaves, alone: a pass over the pairs across."""
    total = len(cloud.rows)
    ranks, nearest = np.zeros((len(limits[0]), 2, total), dtype=np.int32), np.zeros(total, dtype=np.int64)
    offsets, least = cloud.offsets(), np.full(total, np.inf)

    def tile(block: slice, other: slice) -> None:
        if block.start < cloud.first_rows <= other.start:
            products, at = np.asarray(cloud.rows[block] @ cloud.rows[other].T), (block.start, other.start)
            squares = _squares(products, at, cloud.rows, cloud.lengths, offsets, cloud.shift)
            _rank(squares, at, design.cluster, *limits, ranks, nearest, least)

    _over_tiles(cloud, design, tile, lambda progress: None)
    return ranks


def _over_tiles(cloud: Cloud, design: Design, tile: Callable[[slice, slice], None], watch: Watch) -> None:
    """Call a function on tiles that cover all pairs of rows once; no two of those at work have rows in common."""

    def work(begin: int, end: int, matches: list[tuple[slice, slice]]) -> None:
        for one, other in matches[begin:end]:
            for i in _tiles(one, cloud.first_rows):
                for j in _tiles(other, cloud.first_rows):
                    if one != other or j.start >= i.start:
                        tile(i, j)

    rounds = _rounds(_superblocks(design))
    done, pairs = 0, sum(map(len, rounds))
    with threads.one_blas_thread():
        for matches in rounds:
            size = sum((one.stop - one.start) * (other.stop - other.start) for one, other in matches)
            threads.over_blocks(work, len(matches), size * cloud.rows.shape[1], matches)
            done += len(matches)
            watch(Progress(done, pairs, "pairs"))


def _superblocks(design: Design) -> list[slice]:
    """Ranges of whole slots with about the same number of rows."""
    total = int(design.starts[-1])
    number = min(max(total // _LEAST_ROWS, 1), _SUPERBLOCKS)
    edges = np.unique(np.searchsorted(design.starts, np.arange(number + 1) * total / number))
    return [slice(int(design.starts[a]), int(design.starts[b])) for a, b in pairwise(edges.tolist())]


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
def _squares(products, at, centred, lengths, offsets, shift):
    """Squared distances, a shift apart, of a tile: from inner products, or from differences where rows are close without it."""
    rows, columns = products.shape
    row0, column0 = at
    result = np.empty(products.shape)
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
def _add(squares, at, slot, starts, clusters, scales, sums, fields, slopes):
    """Add the pairs of rows of different clusters in a tile; on the diagonal those above it.

    Everything is taken over whole rows of the tile, which vectorises, and added to slots where one ends. slopes: (4, N) sums at
    each row of 1/r and the Gaussians, (4, 0) where they are not wanted; with them the last kernel is not.
    """
    rows, columns = squares.shape
    row0, column0 = at
    has_slopes, narrow = slopes.shape[1] > 0, scales[1]
    # Each an array of its own: rows of one table would be taken for strided ones, which do not vectorise.
    far, half, one, double = np.zeros(columns), np.zeros(columns), np.zeros(columns), np.zeros(columns)
    last, close, stranger = np.zeros(columns), np.zeros(columns), np.zeros(columns)
    power, value = np.zeros(columns), np.zeros(columns)
    for i in range(rows):
        own, cluster, line = slot[row0 + i], clusters[row0 + i], squares[i]
        begin = i + 1 if row0 == column0 else 0
        for k in range(columns):
            stranger[k] = 1.0 if clusters[column0 + k] != cluster and k >= begin else 0.0
        sum_3, sum_2, sum_1 = _gaussians(line, stranger, scales[0], power, half, one, double)
        sum_0 = _distances(line, stranger, has_slopes, power, far, last)
        if has_slopes:
            slopes[0, row0 + i] += sum_0
            slopes[1, row0 + i] += sum_1
            slopes[2, row0 + i] += sum_2
            slopes[3, row0 + i] += sum_3
        for k in range(columns):
            value[k] = stranger[k] * exp(-line[k] * narrow)
            close[k] += value[k]
        j = begin
        while j < columns:
            other = slot[column0 + j]
            end = min(starts[other + 1] - column0, columns)
            fields[other, row0 + i] += _sum(value, j, end)
            j = end
        if i + 1 == rows or slot[row0 + i + 1] != own:
            _flush(own, column0, slot, far, half, one, double, last, close, sums, fields)
            if has_slopes:
                for k in range(columns):
                    slopes[0, column0 + k] += last[k]
                    slopes[1, column0 + k] += half[k]
                    slopes[2, column0 + k] += one[k]
                    slopes[3, column0 + k] += double[k]
            far[:] = half[:] = one[:] = double[:] = last[:] = close[:] = 0.0


@jit(REDUCE_NUMBERS)
def _gaussians(line, stranger, scale, power, half, one, double):
    """Add the Gaussians of a row of a tile, the widest first and the others as its powers; their sums."""
    columns = len(line)
    for k in range(columns):
        power[k] = stranger[k] * exp(-line[k] * scale)
        double[k] += power[k]
    widest = _sum(power, 0, columns)
    for k in range(columns):
        power[k] = (power[k] * power[k]) * (power[k] * power[k])
        one[k] += power[k]
    middle = _sum(power, 0, columns)
    for k in range(columns):
        power[k] = (power[k] * power[k]) * (power[k] * power[k])
        half[k] += power[k]
    return widest, middle, _sum(power, 0, columns)


@jit(REDUCE_NUMBERS)
def _distances(line, stranger, has_slopes, root, far, last):
    """Add the distances of a row of a tile, and 1/r, whose sum it is, or the kernel of uniformity."""
    columns = len(line)
    for k in range(columns):
        root[k] = stranger[k] * np.sqrt(line[k])
        far[k] += root[k]
    if not has_slopes:
        for k in range(columns):
            last[k] += stranger[k] * exp(-2.0 * line[k])
        return 0.0
    for k in range(columns):
        root[k] = stranger[k] / root[k] if root[k] > 0.0 else 0.0
        last[k] += root[k]
    return _sum(root, 0, columns)


@jit(REDUCE_NUMBERS)
def _flush(own, column0, slot, far, half, one, double, last, close, sums, fields):
    """Add what a slot's rows have summed up at the columns of a tile to the slots of these."""
    for k in range(len(far)):
        other = slot[column0 + k]
        sums[0, own, other] += far[k]
        sums[1, own, other] += half[k]
        sums[2, own, other] += one[k]
        sums[3, own, other] += double[k]
        if len(sums) > 4:
            sums[4, own, other] += last[k]
        fields[own, column0 + k] += close[k]


@jit(REDUCE_NUMBERS, inline="always")
def _sum(values, begin, end):
    total = 0.0
    for k in range(begin, end):
        total += values[k]
    return total


@jit(REDUCE_NUMBERS)
def _rank(squares, at, clusters, nearer, reached, ranks, nearest, least):
    """Count for every row and column of a tile the squares below its lower limit and up to its upper one; note the nearest
    stranger.
    """
    rows, columns = squares.shape
    row0, column0 = at
    for m in range(len(ranks)):
        column_nearer, column_reached = nearer[m, column0 : column0 + columns], reached[m, column0 : column0 + columns]
        ahead, level = ranks[m, 0, column0 : column0 + columns], ranks[m, 1, column0 : column0 + columns]
        for i in range(rows):
            row_nearer, row_reached = nearer[m, row0 + i], reached[m, row0 + i]
            row_ahead, row_level = np.int32(0), np.int32(0)
            for j in range(columns):
                square = squares[i, j]
                row_ahead += np.int32(square < row_nearer)
                row_level += np.int32(square <= row_reached)
                ahead[j] += np.int32(square < column_nearer[j])
                level[j] += np.int32(square <= column_reached[j])
            ranks[m, 0, row0 + i] += row_ahead
            ranks[m, 1, row0 + i] += row_level
    below, where = least[column0 : column0 + columns], nearest[column0 : column0 + columns]
    line = np.empty(columns)
    for i in range(rows):
        for j in range(columns):
            line[j] = squares[i, j] if clusters[row0 + i] != clusters[column0 + j] else _FAR
        for j in range(columns):
            where[j] = row0 + i if line[j] < below[j] else where[j]
            below[j] = min(line[j], below[j])
        smallest = line[0]
        for j in range(1, columns):
            smallest = min(smallest, line[j])
        if smallest < least[row0 + i]:
            least[row0 + i] = smallest
            j = 0
            while line[j] > smallest:
                j += 1
            nearest[row0 + i] = column0 + j
