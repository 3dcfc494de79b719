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

#: What the pass sums up, values only, with whole n x n matrices, from the same file.
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
        np.save(small := Path(folder) / "small.npy", embeddings(1200))
        timed(COMMAND, small)
        return timed(COMMAND, path), timed(DENSE, path) if dense else None


def dense_values(path: Path) -> None:
    """What the pass sums up, values only, and effective ranks, with whole matrices of numpy; prints a checksum."""
    x, y = np.load(path)
    check = 0.0
    for first, second in ((x, x), (y, y), (x, y)):
        products = first @ second.T
        squares = np.maximum(2 - 2 * products, 0)
        check += np.sqrt(squares).sum() + sum(np.exp(-squares * scale).sum() for scale in (2.0, 0.3, 1.2, 0.07))
        check += np.log(np.exp((products - 1) / 0.05).sum(axis=1)).sum()
    matched = np.diagonal(products)
    check += float((products > matched[:, None]).sum() + (products > matched).sum())
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    squares = np.maximum(np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1) - 2 * x @ y.T, 0)
    check += np.sqrt(squares).sum() + sum(np.exp(-squares * scale).sum() for scale in (0.3, 1.2, 0.07, 10.0))
    check += sum(float(np.sqrt(np.maximum(np.linalg.eigvalsh(rows.T @ rows), 0)).sum()) for rows in (x, y))
    print(f"numpy's checksum: {check:.6g}", file=sys.stderr)


def quick_values(x: np.ndarray, y: np.ndarray) -> float:
    """Gap, recall, one index of both for 1024 queries a modality and the loss of 1024 pairs, with whole matrices; a checksum."""
    gap = np.linalg.norm(x.mean(axis=0) - y.mean(axis=0))
    products = x @ y.T
    matched = np.diagonal(products)
    ranks = (products > matched[:, None]).sum(axis=1), (products > matched).sum(axis=0)
    check = float(gap) + sum(float(np.mean(rank < depth)) for rank in ranks for depth in (1, 5, 10))
    queries = np.linspace(0, len(x) - 1, min(len(x), 1024)).astype(int)
    for one, other in ((x, y), (y, x)):
        across, own = one[queries] @ other.T, one[queries] @ one.T
        own[np.arange(len(queries)), queries] = -np.inf
        wanted = across[np.arange(len(queries)), queries][:, None]
        check += float(np.median(1 + (across > wanted).sum(axis=1) + (own > wanted).sum(axis=1)))
        nearest = np.argpartition(np.hstack([across, own]), -10, axis=1)[:, -10:]
        check += float(np.mean(nearest < len(other)))
    logits = x[:1024] @ y[:1024].T / 0.05
    sums = [np.log(np.exp(logits - 20).sum(axis=axis)) + 20 for axis in (0, 1)]
    return check + float(np.mean(sums)) - float(np.mean(np.diagonal(logits)))


if __name__ == "__main__":
    dense_values(Path(sys.argv[-1]))
