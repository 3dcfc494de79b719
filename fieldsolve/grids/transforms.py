"""Kernel sums on HEALPix grids through spherical harmonics: transforms of bands of rings that stay in the cache.

A kernel sum is an adjoint synthesis, a factor for each degree and a synthesis. Large maps go through both in bands of rings, each
with its mirror image, so that what is done to the field before and to the sums after happens while they are in the cache.
"""

import threading
from functools import lru_cache
from math import pi
from typing import Any, NamedTuple

import ducc0
import numpy as np

from fieldsolve.grids.grid import Access
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array

_BAND = 1 << 18  # points; a transform of less is not worth its call
_LEAST_BANDS = 4  # where there are several
_ROOM = 8  # bands have at least so many points for each coefficient, of which every band has its own sum
_WHOLE = 1 << 18  # points up to which a map is one band, transformed by several threads at once

_scratch = threading.local()


class Band(NamedTuple):
    """Rings of the northern hemisphere, those of the southern one that mirror them, and what ducc0 has to know of them."""

    north: slice
    south: slice
    geometry: dict[str, Any]


def kernel_sum(nside: int, lmax: int, factors: Array, read: Access, write: Access) -> None:
    """(1/N) sum_j K_ij f_j of a field that `read` gives, to be taken by `write`.

    factors: k_l of every coefficient a_lm, in ducc0's order. What is added up in which order does not depend on the threads.
    """
    size = 12 * nside**2
    parts = bands(nside, size // (_ROOM * len(factors)))
    workers = threads.count(10 * size) if len(parts) == 1 else 1
    alms = np.empty((len(parts), 1, len(factors)), dtype=np.complex128)

    def analyse(first: int, last: int) -> None:
        for index in range(first, last):
            north, south, geometry = parts[index]
            half = north.stop - north.start
            field = _buffer(half + south.stop - south.start)
            read(north, field[:half])
            if south.stop > south.start:
                read(south, field[half:])
            ducc0.sht.experimental.adjoint_synthesis(
                map=field[None], alm=alms[index], spin=0, lmax=lmax, nthreads=workers, **geometry
            )

    threads.one_by_one(analyse, len(parts))
    alm = alms.sum(axis=0) if len(parts) > 1 else alms[0]
    alm *= factors * (4 * pi / size)

    def synthesise(first: int, last: int) -> None:
        for index in range(first, last):
            north, south, geometry = parts[index]
            half = north.stop - north.start
            sums = _buffer(half + south.stop - south.start)
            ducc0.sht.experimental.synthesis(alm=alm, map=sums[None], spin=0, lmax=lmax, nthreads=workers, **geometry)
            write(north, sums[:half])
            if south.stop > south.start:
                write(south, sums[half:])

    threads.one_by_one(synthesise, len(parts))


def _buffer(size: int) -> Array:
    """This thread's own array, which the next call uses again: new pages cost as much as a transform's tenth."""
    kept: Array | None = getattr(_scratch, "buffer", None)
    if kept is None or not size <= kept.size <= 4 * _BAND:
        kept = _scratch.buffer = np.empty(size)
    return kept[:size]


@lru_cache(maxsize=16)
def rings(nside: int) -> dict[str, Any]:
    """What ducc0 has to know of all rings of a grid."""
    return dict(ducc0.healpix.Healpix_Base(nside, "RING").sht_info())


def bands(nside: int, most: int) -> tuple[Band, ...]:
    """The bands of a grid, from the poles to the equator: at most about `most`, and all of it where several do not pay."""
    size = 12 * nside**2
    parts = min(most, max(_LEAST_BANDS, size // _BAND))
    return _bands(nside, parts if parts >= _LEAST_BANDS and size > _WHOLE else 1)


@lru_cache(maxsize=4)
def _bands(nside: int, parts: int) -> tuple[Band, ...]:
    whole, size = rings(nside), 12 * nside**2
    if parts == 1:
        return (Band(slice(0, size), slice(size, size), whole),)
    first = np.append(whole["ringstart"], size).astype(np.int64)
    equator, most = 2 * nside - 1, size // parts // 2
    found: list[Band] = []
    begin = 0
    while begin <= equator:
        end = max(begin + 1, int(np.searchsorted(first, first[begin] + most, side="right")) - 1)
        end = equator + 1 if end >= equator else end
        mirror = slice(max(4 * nside - 1 - end, end), 4 * nside - 1 - begin)
        at = np.r_[begin:end, mirror]
        count = whole["nphi"][at]
        start = np.concatenate([[0], np.cumsum(count.astype(np.int64))[:-1]]).astype(np.uint64)
        geometry = {"theta": whole["theta"][at], "nphi": count, "phi0": whole["phi0"][at], "ringstart": start}
        found.append(
            Band(slice(int(first[begin]), int(first[end])), slice(int(first[mirror.start]), int(first[mirror.stop])), geometry)
        )
        begin = end
    return tuple(found)
