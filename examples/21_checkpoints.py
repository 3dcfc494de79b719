"""Checkpoints compared: linear heads in training, diagnosed at steps, and what differs between them for sure.

Two modalities share a content and lie in narrow cones about axes of their own. Linear heads are trained on their pairs with the
CLIP loss; what they make of other pairs is written every few steps, and the comparison reads the files as `fieldsolve compare
runs.toml` does. Differences are paired: the same pairs are drawn again for both checkpoints. The loss does not see a gap, but it
does see how narrow the cones are: these are narrower than it wants at this temperature, which wants none, and training opens
them. Without cones there is no gap, and one index of both modalities mixes.
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fieldsolve.diagnose.freedom import cones_of
from fieldsolve.diagnose.many.compare import compare_runs, series_of
from fieldsolve.diagnose.many.pictures import plot_steps
from fieldsolve.diagnose.many.runs import runs_of
from fieldsolve.diagnose.many.series import Series
from fieldsolve.diagnose.many.tasks import Common
from fieldsolve.reproduce.captions.model import slopes
from fieldsolve.runs import in_this_process

PAIRS, WIDTH, SHARED, TAU = 600, 40, 16, 0.1
STEPS, EVERY, RATE = 80, 20, 0.05


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pairs(rng: np.random.Generator) -> list[np.ndarray]:
    """Unit rows: a common content in few components, what is the modality's own in all, a cone about an axis of its own."""
    content = np.zeros((PAIRS, WIDTH))
    content[:, :SHARED] = rng.standard_normal((PAIRS, SHARED))
    rows = [content + rng.standard_normal((PAIRS, WIDTH)) for _ in range(2)]
    for modality, one in enumerate(rows):
        one[:, WIDTH - 1 - modality] += 6.0
    return [unit(one) for one in rows]


def solve() -> Series:
    rng = np.random.default_rng(0)
    trained, tested = pairs(rng), pairs(rng)
    heads = [np.eye(WIDTH), np.eye(WIDTH)]
    lines = [f"tau = {TAU}"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for step in range(STEPS + 1):
            if step % EVERY == 0:
                moved = [unit(rows @ head) for rows, head in zip(tested, heads, strict=True)]
                np.save(folder / f"{step}.npy", np.stack(moved))
                lines.append(f'[[run]]\nname = "step {step}"\nfiles = "{step}.npy"\nstep = {step}')
            for k, slope in enumerate(slopes(trained, heads, np.eye(PAIRS), TAU)):
                heads[k] = heads[k] - RATE * slope
        (folder / "runs.toml").write_text("\n".join(lines))
        runs = runs_of([str(folder / "runs.toml")])
        done, failed = compare_runs(runs, Common(), folder / "compared", in_this_process)
        assert not failed
        return series_of(done, None, paired=True)


def check(series: Series) -> None:
    first, last = series.entries[0], series.entries[-1]
    assert series.is_paired(last)
    found = {name: series.difference(last, name) for name in ("recall_a_to_b_at_1", "infonce", "centroid_gap")}
    assert all(one is not None and one.is_sure for one in found.values())
    assert found["recall_a_to_b_at_1"].value > 0.03
    assert found["infonce"].value < -0.5
    assert found["centroid_gap"].value < -0.7
    # Narrower cones than the loss wants, at first: it wants none at all where x* >= kappa.
    cones = cones_of(*pairs(np.random.default_rng(1)), TAU)
    assert cones.radii[0] + 3 * cones.radii[1] < cones.predicted[0]
    assert not cones.are_wanted
    for entry, least, most in ((first, 0.0, 0.01), (last, 0.4, 0.6)):
        assert least <= entry.metrics["mixed_a_raw_other_share_at_10"]["value"] <= most


def plot(series: Series) -> Figure:
    return plot_steps(series)


if __name__ == "__main__":
    found = solve()
    check(found)
    print("\n".join(found.report))
    plot(found).savefig("21_checkpoints.png", dpi=110)
