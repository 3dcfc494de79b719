"""Threads for the compiled loops: fixed blocks, so that results do not depend on how many threads run."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

#: Work, in units of one memory-bound operation on a point, below which a second thread costs more than it saves.
WORTHWHILE = 100_000

_PIECE = 50_000_000  # operations in one call of a kernel, at most

_CHUNK = 1 << 16  # points at a time, so that what numpy does with them one after the other stays in the cache

_Result = TypeVar("_Result")

_own = threading.local()

_limit: ContextVar[int | None] = ContextVar("threads", default=None)


@contextmanager
def limit(count: int) -> Iterator[None]:
    """Use at most `count` threads inside the block; results are the same bits for every count."""
    if count < 1:
        raise ValueError(f"the number of threads is at least 1, not {count}")
    token = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(token)


def count(work: int) -> int:
    """Threads to use for `work` operations: the limit, or the cores this process may use, and 1 for little work."""
    if work < WORTHWHILE or getattr(_own, "is_worker", False):  # a worker that waited for others could wait for ever
        return 1
    limit = _limit.get()
    if limit is not None:
        return limit
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_blocks(kernel: Callable[..., Any], blocks: int, work: int, *arguments: Any) -> None:
    """Call `kernel(first, last, *arguments)` for ranges that cover the blocks 0 to `blocks`, several at a time.

    The kernel releases the GIL and writes only what belongs to its own blocks.
    """
    if blocks == 0:
        return
    workers = min(count(work), blocks)
    # An interruption waits for the piece at hand: keep the pieces below a second.
    pieces = min(blocks, max(workers, -(-work // _PIECE)))
    edges = [blocks * piece // pieces for piece in range(pieces + 1)]
    if workers == 1:
        for first, last in pairwise(edges):
            kernel(first, last, *arguments)
        return
    pending = [_pool(workers).submit(kernel, first, last, *arguments) for first, last in pairwise(edges)]
    try:
        for job in pending:
            job.result()
    finally:
        for job in pending:
            job.cancel()


def one_by_one(function: Callable[[int, int], Any], count: int) -> None:
    """Call `function(first, last)` for ranges of one of so many large pieces of work, several at a time."""
    over_blocks(function, count, count * _PIECE)


def over_chunks(function: Callable[[slice], _Result], size: int) -> list[_Result]:
    """Call a function of numpy's on slices that cover 0 to size, several at a time; the results in their order."""
    chunks = [slice(first, min(first + _CHUNK, size)) for first in range(0, size, _CHUNK)]
    results: list[Any] = [None] * len(chunks)

    def part(first: int, last: int) -> None:
        for index in range(first, last):
            results[index] = function(chunks[index])

    over_blocks(part, len(chunks), size)
    return results


def one_blas_thread() -> AbstractContextManager[Any]:
    """Matrix products inside use one thread: the order of their sums depends on the number, and ours share out the blocks."""
    limited_libraries: AbstractContextManager[Any] = _libraries("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")
    return limited_libraries


@lru_cache(maxsize=2)
def _libraries(has_scipys: bool) -> ThreadpoolController:
    """Those that are loaded, scipy's own among them once it is."""
    return ThreadpoolController()  # looks through all loaded libraries: milliseconds


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="fieldsolve", initializer=lambda: setattr(_own, "is_worker", True))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # the parent's threads do not come along
