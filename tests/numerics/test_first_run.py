"""The first run of a fresh installation: compiled functions on an empty cache, in several processes at once, and without any."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOLVES = [sys.executable, "-m", "fieldsolve", "multimodal", "--nside", "4", "--coupling", "0.3", "--json"]

WITHOUT_A_CACHE = (
    "import numba.core.caching as caching, sys\n"
    "caching.CacheImpl._locator_classes = []  # as where neither the package nor the home can be written\n"
    "from fieldsolve.cli import main\nmain(sys.argv[1:])\n"
)


def energy(text: str) -> float:
    return float(json.loads(text)["energy"])


@pytest.mark.parametrize("attempt", range(2))
def test_four_processes_start_at_once_on_an_empty_cache(attempt: int, tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.Popen(SOLVES, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    done = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, [errors for _, errors in done]
    assert len({energy(output) for output, _ in done}) == 1
    assert list(tmp_path.rglob("*.nbi")), "nothing was cached"
    again = subprocess.run(SOLVES, env=environment, capture_output=True, text=True, check=True)
    assert energy(again.stdout) == energy(done[0][0])


def test_where_no_cache_can_be_written_it_runs_without_one_and_says_so_once() -> None:
    command = [sys.executable, "-c", WITHOUT_A_CACHE, *SOLVES[3:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    cached = subprocess.run(SOLVES, capture_output=True, text=True, check=True)
    assert energy(done.stdout) == energy(cached.stdout)
    assert done.stderr.count("NUMBA_CACHE_DIR") == 1
    assert "note: compiled loops cannot be kept" in done.stderr
    assert "NUMBA_CACHE_DIR" not in cached.stderr
    quiet = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=True)
    assert quiet.stderr == ""
