"""What the explorer's page costs: its own minimiser beside the package's, its table beside stored densities, its updates."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import fieldsolve as fs
from benchmarks.timing import best, table
from fieldsolve.equilibrium.starts import tilts
from fieldsolve.explorer import Stops, explore, html
from fieldsolve.numerics import threads

SCRIPT = Path(fs.__file__).parent / "explorer" / "assets" / "minimiser.js"
STOPS = Stops((0.3, 0.5), (0.1, 0.3, 0.5), (1e-3, 1e-2), (0.0,), (0.0, 0.4))
OFF = 0.05  # by which the multipliers begin off, as between entries
FLAGS = ("--headless=new", "--no-sandbox", "--disable-background-networking", "--use-gl=angle", "--use-angle=swiftshader")

#: Moves the slider so many times, and tells the milliseconds until the next frame is there.
_MOVES = """
const done = arguments[0], slider = document.getElementById("coupling"), taken = [];
const frame = () => new Promise(requestAnimationFrame), pause = (ms) => new Promise((go) => setTimeout(go, ms));
(async () => {
  for (let k = 0; k < 21; k++) {
    await pause(200);
    const began = performance.now();
    slider.value = 100 + 37 * k;
    slider.dispatchEvent(new Event("input"));
    await frame(); await pause(0); await frame();
    taken.push(performance.now() - began);
  }
  done(taken);
})();
"""


def explorer() -> str:
    """States in Node.js against `solve` on one thread, multipliers against densities, and updates in headless Chromium."""
    rows: list[list[object]] = []
    for nside in (8, 16, 32):
        problem = fs.Problem(["two-well"] * 2, 0.3, 0.01, coupling=0.3, nside=nside)
        with threads.limit(1):
            (solving,) = best(lambda p=problem: p.solve(), repeat=5)
            found = explore(problem, STOPS)
        page = html(found)
        per_state = 2 * problem.grid.size / found.table.shape[-1]
        state, update = _in_node(problem, found), _in_browser(page)
        rows.append([
            nside, f"{state / solving:.2f}", f"{per_state:.0f}", "-" if update is None else f"{update / state:.1f}",
            "-" if update is None else f"{1e3 * update:.0f}", f"{len(page) / 1e6:.1f}",
        ])  # fmt: skip
    header = [
        "nside", "state in Node.js / solve", "densities / entry, in bytes", "update in Chromium / state", "update (ms)",
        "page of 12 entries (MB)",
    ]  # fmt: skip
    return table("The explorer's page", header, rows)


def _in_node(problem: fs.Problem, found: Any) -> float:
    """Seconds of a state from multipliers that are a little off."""
    grid = problem.grid
    given = {
        "U": found.potentials[0].tolist(), "across": np.argsort(-tilts(grid, 1, 1.0)[0], kind="stable").tolist(),
        "near": (found.table[0, 0, 1, 1, :2] + OFF).tolist(),
    }  # fmt: skip
    code = (
        f"const M = require({json.dumps(str(SCRIPT))}), g = require('./given.json'); let least = Infinity;"
        "const p = M.problemOf(g.U, 0.3, 0.3, 0.01);"
        f"for (let k = 0; k < 15; k++) {{ const t = performance.now(); M.solve(p, g.near, {2 * OFF}, g.across);"
        "least = Math.min(least, performance.now() - t); } console.log(least)"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "given.json").write_text(json.dumps(given))
        (Path(folder) / "run.js").write_text(code)
        done = subprocess.run(["node", "run.js"], cwd=folder, capture_output=True, text=True, check=True)
    return float(done.stdout) / 1e3


def _in_browser(page: str) -> float | None:
    """Seconds of a slider's update, the median; None without Chromium."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        return None
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "page.html"
            path.write_text(page, encoding="utf-8")
            browser.get(path.as_uri())
            return float(np.median(browser.execute_async_script(_MOVES))) / 1e3
    finally:
        browser.quit()
