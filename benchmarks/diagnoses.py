"""Diagnoses of embeddings against the same values in numpy, each in a process of its own: time, processor time, peak memory."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

#: The command, once to compile and then to be timed.
COMMAND = ["-m", "fieldsolve", "diagnose", "--tau", "0.05", "--quiet"]

#: The same values with whole n x n matrices, from the same file.
DENSE = ["-m", "benchmarks.diagnoses"]


def embeddings(count: int) -> np.ndarray:
    """Matched pairs of 512 components, (2, n, 512)."""
    rng = np.random.default_rng(0)
    content = rng.standard_normal((count, 512), dtype=np.float32)
    both = [content + rng.standard_normal((count, 512), dtype=np.float32) + np.float32(offset) for offset in (0.3, -0.3)]
    return np.stack([rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in both])


def timed(arguments: list[str], path: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak GiB of a whole process of this interpreter."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments, str(path)])
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20


def diagnosed(count: int, dense: bool) -> tuple[tuple[float, float, float], tuple[float, float, float] | None]:
    """Both of so many pairs, the diagnosis once it is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "both.npy"
        np.save(path, embeddings(count))
        if count <= 2000:
            timed(COMMAND, path)
        return timed(COMMAND, path), timed(DENSE, path) if dense else None


def dense_values(path: Path) -> None:
    """What the pass sums up, values only, and effective ranks, with whole matrices of numpy."""
    x, y = np.load(path)
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
    for rows in (x, y):
        assert np.linalg.eigvalsh(np.cov(rows.T))[-1] > 0


if __name__ == "__main__":
    dense_values(Path(sys.argv[-1]))
