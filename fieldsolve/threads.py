"""Threads for the compiled loops: fixed blocks, so that results do not depend on how many threads run."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import pairwise
from typing import Any

#: Work, in units of one memory-bound operation on a point, below which a second thread costs more than it saves.
WORTHWHILE = 100_000

_limit: ContextVar[int | None] = ContextVar("threads", default=None)


@contextmanager
def limited(count: int) -> Iterator[None]:
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
    if work < WORTHWHILE:
        return 1
    limit = _limit.get()
    if limit is not None:
        return limit
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_blocks(kernel: Callable[..., Any], blocks: int, work: int, *arguments: Any) -> None:
    """Call `kernel(first, last, *arguments)` for ranges that cover the blocks 0 to `blocks`, one range a thread.

    The kernel releases the GIL and writes only what belongs to its own blocks.
    """
    workers = min(count(work), blocks)
    if workers == 1:
        kernel(0, blocks, *arguments)
        return
    edges = [blocks * worker // workers for worker in range(workers + 1)]
    pending = [_pool(workers).submit(kernel, *pair, *arguments) for pair in pairwise(edges)]
    for job in pending:
        job.result()


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="fieldsolve")
