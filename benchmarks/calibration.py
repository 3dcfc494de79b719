"""Whether intervals cover and p-values are calibrated: pairs are made again and again, and diagnosed.

    python -m benchmarks.calibration --repeats 200 --write
    python -m benchmarks.calibration --families --repeats 60 --sizes 50 200 --dimensions 16 64 --write

Pairs x = (c, s u), y = (-c, s v) on the sphere, u and v unit vectors around a common one, with correlation rho of their Gaussian
components. `nothing`: c = 0; `offset`: c = 0.4, nothing else differs; `shape`: c = 0 and a third of v's components shrunk;
`both`. What an interval has to cover is the mean of the metric over all samples of the largest size, or of the same size for
metrics of n; of the best temperature the median. p-values of raw metrics are calibrated where nothing differs, centred ones
where there is an offset too, those of structure where partners are independent. --families: of the mixed index, hubness,
structure and direction alone, which need no pass over all pairs.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from fieldsolve.diagnose.arrangement import arrangement
from fieldsolve.diagnose.measure import measure
from fieldsolve.diagnose.metrics import direction, hubness, mixed, structure
from fieldsolve.diagnose.metrics.table import definitions
from fieldsolve.diagnose.sample import match
from fieldsolve.diagnose.statistics.pairwise import cross_ranks
from fieldsolve.embeddings.modality import modality
from fieldsolve.numerics import threads

PATH = Path(__file__).parents[1] / "docs" / "calibration.md"
SIZES, DIMENSIONS, CORRELATIONS, KINDS = (50, 200, 1000), (16, 64, 512), (0.0, 0.3, 0.8), ("nothing", "offset", "shape", "both")
OFFSET, TAU, LEVEL, EXCHANGES = 0.4, 0.1, 0.05, 199
WHOLE = ("Calibration of `fieldsolve diagnose`", "")
FAMILIES = ("Of the mixed index, hubness, structure and direction", " --families --sizes 50 200 --dimensions 16 64")
FEWEST_INTERVALS = 0.9  # share of a cell's samples: of metrics that have none where they say nothing


def pairs(kind: str, count: int, dimension: int, correlation: float, seed: int) -> list[np.ndarray]:
    """Two matched modalities (n, d)."""
    rng = np.random.default_rng([seed, count, dimension, round(100 * correlation), KINDS.index(kind)])
    common = np.sqrt(correlation) * rng.standard_normal((count, dimension - 1))
    found = []
    for side in (0, 1):
        rows = common + np.sqrt(1 - correlation) * rng.standard_normal(common.shape)
        if side == 1 and kind in ("shape", "both"):
            rows[:, : dimension // 3] *= 0.5
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        height = (1 - 2 * side) * OFFSET if kind in ("offset", "both") else 0.0
        found.append(np.column_stack([np.full(count, height), np.sqrt(1 - height**2) * rows]))
    return found


def diagnosed(kind: str, count: int, dimension: int, correlation: float, seed: int) -> dict[str, tuple[float | None, ...]]:
    """Value, interval and p-value of every metric of one sample."""
    both = [modality(name, rows) for name, rows in zip("ab", pairs(kind, count, dimension, correlation, seed), strict=True)]
    with threads.limit(1):
        metrics = measure(match(*both), TAU, exchanges=EXCHANGES, seed=seed).metrics
    return {name: (one.value, one.ci_low, one.ci_high, one.p_value) for name, one in metrics.items()}


def of_families(kind: str, count: int, dimension: int, correlation: float, seed: int) -> dict[str, tuple[float | None, ...]]:
    """The same of the families that need no pass over all pairs."""
    both = [modality(name, rows) for name, rows in zip("ab", pairs(kind, count, dimension, correlation, seed), strict=True)]
    found = {}
    with threads.limit(1), threads.one_blas_thread():
        laid = arrangement(match(*both), 1, seed)
        matched = laid.matched(cross_ranks(laid.cloud, laid.design, laid.limits), TAU, None, None)
        for family in (mixed, hubness, structure, direction):
            found |= family.measure(matched, family.FAMILY.stream(seed))
    return {name: (one.value, one.ci_low, one.ci_high, one.p_value) for name, one in found.items()}


def cells(sizes, dimensions, repeats: int):
    return [(*one, seed) for one in product(KINDS, sizes, dimensions, CORRELATIONS) for seed in range(repeats)]


def run(sizes, dimensions, repeats: int, function=diagnosed):
    """{(kind, n, d, rho): {metric: (repeats, 4)}}."""
    todo = cells(sizes, dimensions, repeats)
    with ProcessPoolExecutor(threads.count(threads.WORTHWHILE), mp_context=get_context("spawn")) as pool:
        results = list(pool.map(function, *zip(*todo, strict=True), chunksize=8))
    found = {}
    for (*cell, _), metrics in zip(todo, results, strict=True):
        for name, values in metrics.items():
            found.setdefault(tuple(cell), {}).setdefault(name, []).append([np.nan if one is None else one for one in values])
    return {cell: {name: np.array(values) for name, values in metrics.items()} for cell, metrics in found.items()}


def coverage(found) -> dict[str, dict[tuple, float]]:
    """By metric and cell, the share of intervals that hold what they should."""
    table, largest = {}, max(cell[1] for cell in found)
    for (kind, count, dimension, rho), metrics in found.items():
        for name, values in metrics.items():
            if np.mean(~np.isnan(values[:, 1])) < FEWEST_INTERVALS:
                continue
            size = count if definitions()[name].of_n else largest
            seen = found[kind, size, dimension, rho][name][:, 0]
            truth = np.median(seen) if name == "best_temperature" else np.nanmean(seen)
            held = (values[:, 1] <= truth + 1e-12) & (truth - 1e-12 <= values[:, 2])
            table.setdefault(name, {})[kind, count, dimension, rho] = float(held[~np.isnan(values[:, 1])].mean())
    return table


def levels(found) -> dict[str, dict[tuple, float]]:
    """By tested metric and cell where its hypothesis holds, the share of p-values up to 0.05."""
    table = {}
    for cell, metrics in found.items():
        for name, values in metrics.items():
            if name in ("mutual_neighbours", "debiased_cka"):
                holds = cell[3] == 0.0
            else:
                holds = cell[0] == "nothing" or (cell[0] == "offset" and name.endswith("_centred"))
            if holds and not np.isnan(values[:, 3]).all():
                table.setdefault(name, {})[cell] = float((values[:, 3] <= LEVEL).mean())
    return table


def rows_of(table, nominal: float, repeats: int, sizes) -> list[str]:
    """Lines of a table: by size the mean share, and the least and largest over the cells; cells off by more than chance."""
    lines = []
    for name, cells_of in table.items():
        shown = []
        for size in sizes:
            shares = [share for cell, share in cells_of.items() if cell[1] == size]
            shown.append(f"{np.mean(shares):.3f} ({min(shares):.2f} to {max(shares):.2f})" if shares else "-")
        error = np.sqrt(nominal * (1 - nominal) / repeats)
        # The largest of so many cells is beyond three errors only if something is off.
        off = [share - nominal for share in cells_of.values() if abs(share - nominal) > 3.3 * error]
        mark = "" if not off else f"{sum(one < 0 for one in off)} below, {sum(one > 0 for one in off)} above"
        lines.append(f"| `{name}` | {' | '.join(shown)} | {mark} |")
    return lines


def document(found, repeats: int, sizes, dimensions, words: tuple[str, str]) -> str:
    head = f"| {' | '.join(f'n = {size}' for size in sizes)} | cells beyond chance |"
    rule = f"|---|{'---|' * len(sizes)}---|"
    number = len(KINDS) * len(sizes) * len(dimensions) * len(CORRELATIONS)
    lines = [
        f"# {words[0]}",
        "",
        f"    python -m benchmarks.calibration{words[1]} --repeats {repeats} --write",
        "",
        f"{repeats} samples of each of {number} cells: {', '.join(KINDS)}; n of {', '.join(map(str, sizes))} pairs; d of "
        f"{', '.join(map(str, dimensions))}; partners' correlation {', '.join(map(str, CORRELATIONS))}; temperature {TAU}. "
        "Shares are means over the cells of a size (least to largest cell); the last column counts cells that are off by more "
        "than 3.3 standard errors of their repeats. Cells in which a tenth of the samples have no interval are left out. "
        "`benchmarks/calibration.py` says how pairs are made.",
        "",
        "## Intervals: how often the 95 % interval holds the value",
        "",
        f"| metric {head}",
        rule,
        *rows_of(coverage(found), 0.95, repeats, sizes),
        "",
        "## p-values: how often p <= 0.05 where the hypothesis holds",
        "",
        f"| metric {head}",
        rule,
        *rows_of(levels(found), LEVEL, repeats, sizes),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--dimensions", type=int, nargs="+", default=DIMENSIONS)
    parser.add_argument("--write", action="store_true", help="write docs/calibration.md")
    parser.add_argument("--families", action="store_true", help="the mixed index, hubness, structure and direction alone")
    options = parser.parse_args()
    function, words = (of_families, FAMILIES) if options.families else (diagnosed, WHOLE)
    found = run(options.sizes, options.dimensions, options.repeats, function)
    text = document(found, options.repeats, options.sizes, options.dimensions, words)
    print(text)
    if options.write:
        whole, _, others = PATH.read_text().partition(f"# {FAMILIES[0]}")
        parts = [whole, text] if options.families else [text, *([f"# {FAMILIES[0]}{others}"] if others else [])]
        PATH.write_text("\n".join(part.strip("\n") + "\n" for part in parts))
