"""Every example solves, passes its own check and draws its picture; the README's example is among what runs."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    example = module(path)
    if hasattr(example, "available") and not example.available():
        pytest.skip("its data is not here")
    result = example.solve()
    example.check(result)
    example.plot(result).savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 20_000


def test_the_gap_of_made_up_embeddings_moves_where_there_are_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    example = module(ROOT / "examples" / "16_move_gap.py")
    monkeypatch.setattr(example, "DATA", Path("nowhere.npy"))
    result = example.solve()
    assert not result.is_clip
    example.check(result)


def test_the_readme_example_runs(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert code is not None
    assert len(code[1].strip().splitlines()) <= 6
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-c", code[1]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "converged" in done.stdout
    assert (tmp_path / "gibbs.png").exists()
