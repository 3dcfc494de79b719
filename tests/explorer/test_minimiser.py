"""The page's own script against the package: minimisers at a point, and whole states, in Node."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.equilibrium import local_problem
from fieldsolve.equilibrium.starts import tilts

SCRIPT = Path(fs.__file__).parent / "explorer" / "assets" / "minimiser.js"
POINTS, CELLS = 10_000, 3072

Run = Callable[[str, Any], Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a line of JavaScript on JSON `given`, with the script as M; returns what it yields."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")

    def evaluated(expression: str, given: Any) -> Any:
        (tmp_path / "given.json").write_text(json.dumps(given))
        code = f"const M = require({json.dumps(str(SCRIPT))}), given = require('./given.json');"
        (tmp_path / "run.js").write_text(f"{code} console.log(JSON.stringify({expression}))")
        done = subprocess.run([node, "run.js"], cwd=tmp_path, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return evaluated


def test_minimisers_at_a_point_are_the_packages(run: Run) -> None:
    rng = np.random.default_rng(0)
    coupling, floor = rng.uniform(0, 1, POINTS), 10 ** rng.uniform(-6, np.log10(0.5), POINTS)
    coupling[:100] = 1.0
    first = rng.normal(0, 4, POINTS)
    second = first + rng.normal(0, 2, POINTS)
    second[100:200] = first[100:200]
    peak = floor + (1 - floor) * CELLS
    expected, found = np.empty((3, 3, POINTS)), local_problem.minima_of(1)
    for i in range(POINTS):
        box = local_problem.box(coupling[i], floor[i], peak[i])
        local_problem.minima(first[i : i + 1], second[i : i + 1], box, found)
        expected[:, :, i] = found.values[:, 0], found.first[:, 0], found.second[:, 0]
    numbers = [one.tolist() for one in (coupling, floor, peak, first, second)]
    got = run(
        "(([l, f, p, c, d]) => { const r = M.room(l.length);"
        "l.forEach((_, i) => M.minima(c[i], d[i], M.box(l[i], f[i], p[i]), r, 3 * i));"
        "return [r.values, r.first, r.second].map((one) => Array.from(one)); })(given)",
        numbers,
    )
    actual = np.array(got).reshape(3, POINTS, 3).swapaxes(1, 2)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)
    sheets = np.bincount(expected[0].argmin(axis=0))
    assert sheets.min() > 100  # each kind of minimum is the least somewhere


@pytest.mark.parametrize("misalign", [0.0, 40.0])
def test_states_are_as_low_as_the_packages_bound(run: Run, misalign: float) -> None:
    grid = fs.Healpix(16)
    across = np.argsort(-tilts(grid, 1, 1.0)[0], kind="stable")
    problems = [
        fs.Problem(["two-well"] * 2, tau, floor, grid=grid, coupling=coupling, misalign=misalign)
        for tau in (0.2, 1.0)
        for floor in (1e-4, 0.1)
        for coupling in (0.05, 0.2, 0.4, 1.0)
    ]
    solutions = [problem.solve() for problem in problems]
    given = [
        {"U": one.values.tolist(), "tau": one.tau, "coupling": one.coupling, "floor": one.floor, "across": across.tolist()}
        for one in problems
    ]
    # From multipliers that are nobody's: the search has to find its way.
    states = run(
        "given.map((g) => M.solve(M.problemOf(g.U, g.tau, g.coupling, g.floor), [0, 0], 0.1, g.across))"
        ".map((s) => [s.energy, s.dual, s.symmetricKl, Array.from(s.first), Array.from(s.second)])",
        given,
    )
    for problem, solution, (energy, bound, symmetric_kl, *densities) in zip(problems, solutions, states, strict=True):
        assert solution.bound is not None
        both = np.array([list(one) for one in densities])
        np.testing.assert_allclose(both.mean(axis=1), 1, rtol=1e-12)
        assert both.min() >= float(problem.floor or 0) * (1 - 1e-12)
        # A state is above the certified bound, and its own bound below the state that the package found.
        assert -1e-9 <= energy - solution.bound < 1e-5
        assert -1e-5 < bound - solution.energy < 1e-9
        assert symmetric_kl == pytest.approx(solution.symmetric_kl, rel=1e-2, abs=1e-6)
