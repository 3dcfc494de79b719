"""Diagnoses and dense sums of embeddings, each in a process of its own, whose peak memory is then its own too."""

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from fieldsolve.diagnose.diagnosis import diagnose
from fieldsolve.embeddings.modality import modality


def in_a_process(function, *arguments):
    """What a function returns from a fresh process, and that process's peak resident memory in GiB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        result = pool.submit(function, *arguments).result()
        return *result, pool.submit(peak_memory).result()


def peak_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def embeddings(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    content = rng.standard_normal((count, 512), dtype=np.float32)
    both = [content + rng.standard_normal((count, 512), dtype=np.float32) + offset for offset in (0.3, -0.3)]
    return [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in both]


def diagnosed(count: int) -> tuple[float, float]:
    """Seconds of a diagnosis, equilibria included, and of its pass over all pairs; what is compiled is compiled before."""
    diagnose(*(modality(name, rows) for name, rows in zip("ab", embeddings(100), strict=True)), tau=0.05, resamples=99)
    both = [modality(name, rows) for name, rows in zip("ab", embeddings(count), strict=True)]
    ends: list[float] = []
    began = time.perf_counter()
    diagnose(*both, tau=0.05, watch=lambda what, done, total: ends.append(time.perf_counter()) if "pairs" in what else None)
    return time.perf_counter() - began, ends[-1] - began


def dense_sums(count: int) -> tuple[float]:
    """Seconds of what the pass sums up, values only, with whole n x n matrices of numpy."""
    x, y = embeddings(count)
    began = time.perf_counter()
    for first, second in ((x, x), (y, y), (x, y)):
        products = first @ second.T
        squares = np.maximum(2 - 2 * products, 0)
        sums = [np.sqrt(squares).sum(), *(np.exp(-squares * scale).sum() for scale in (2.0, 0.3, 1.2, 0.07))]
        fields = np.exp((products - 1) / 0.05).sum(axis=1)
        assert np.isfinite(sums).all()
        assert np.isfinite(fields).all()
    matched_cosines = np.diagonal(products)
    assert ((products > matched_cosines[:, None]).sum(axis=1) >= 0).all()
    assert ((products > matched_cosines).sum(axis=0) >= 0).all()
    squares = np.maximum(np.sum((x - x.mean(axis=0)) ** 2, axis=1)[:, None] + 1 - 2 * products, 0)
    sums = [np.sqrt(squares).sum(), *(np.exp(-squares * scale).sum() for scale in (0.3, 1.2, 0.07, 10.0))]
    assert np.isfinite(sums).all()
    return (time.perf_counter() - began,)
