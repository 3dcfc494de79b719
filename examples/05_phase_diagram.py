"""Phase diagrams from spec files: coupling against floor, and coupling against temperature.

    fieldsolve phase-diagram examples/coupling_floor.toml -o diagram

solves all 41 x 41 cells of the first one, each certified, on all cores. This script takes every fourth value of each axis.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fieldsolve.diagrams import Diagram, fill, read_spec
from fieldsolve.diagrams.pictures import draw
from fieldsolve.runs import in_this_process, value_of

SPECS = ("coupling_floor.toml", "coupling_tau.toml")
EVERY = 5


def solve() -> list[Diagram]:
    diagrams = []
    for name in SPECS:
        spec = read_spec(Path(__file__).parent / name)
        coarse = replace(spec, axes={axis: values[::EVERY] for axis, values in spec.axes.items()})
        with tempfile.TemporaryDirectory() as folder:
            diagrams.append(fill(coarse, Path(folder), in_this_process))
    return diagrams


def check(diagrams: list[Diagram]) -> None:
    for diagram in diagrams:
        assert diagram.missing == 0
        assert not diagram.failures
        assert diagram.certified().all()
        binodal, spinodal = (
            np.array([value_of(outcome, name) for _, outcome in diagram.curves]) for name in ("binodal", "spinodal")
        )
        assert np.all(binodal <= spinodal)
        coupling = np.array(diagram.spec.axes["coupling"])[:, None]
        stability = diagram.words("matched_stability")
        np.testing.assert_array_equal(stability == "stable", coupling <= binodal)
        np.testing.assert_array_equal(stability == "unstable", coupling >= spinodal)
    np.testing.assert_allclose([value_of(outcome, "spinodal") for _, outcome in diagrams[0].curves], 0.25, atol=1e-6)


def plot(diagrams: list[Diagram]) -> Figure:
    return draw(diagrams[1])


if __name__ == "__main__":
    found = solve()
    check(found)
    for diagram, name in zip(found, SPECS, strict=True):
        print(f"{name}: {len(diagram.cells)} cells, largest gap {np.nanmax(diagram.field('gap')):.1e} nats")
        draw(diagram).savefig(f"05_{name.removesuffix('.toml')}.png", dpi=110)
