"""Every block of docs/recipes.md is run: on stand-ins that have the real interfaces, as far as the recipes use them."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.diagnose.quick import NAMES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "recipes.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# ([a-z_-]+)\n(.*?)```", PAGE, re.DOTALL))

Array = np.ndarray


@pytest.fixture
def both() -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    content = rng.standard_normal((40, 6))
    rows = [content + 0.6 * rng.standard_normal((40, 6)) + offset for offset in (0.5, -0.5)]
    first, second = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in rows)
    return first.astype(np.float32), second.astype(np.float32)


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> ModuleType:
    """A module of that name, for imports."""
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)
    return module


class Tensor:
    """A tensor with gradients on another device, as torch has it."""

    def __init__(self, rows: Array) -> None:
        self.rows = rows

    def detach(self) -> "Tensor":
        return self

    def float(self) -> "Tensor":
        return Tensor(self.rows.astype(np.float32))

    def cpu(self) -> "Tensor":
        return self

    def numpy(self) -> Array:
        return self.rows

    def __array__(self, *arguments: Any, **named: Any) -> Array:
        return self.rows

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape


def run(name: str, **given: Any) -> dict[str, Any]:
    space = dict(given)
    exec(compile(BLOCKS[name], f"recipes.md: {name}", "exec"), space)
    return space


def test_loggers(both: tuple[Array, Array]) -> None:
    expected = fs.quick(*both, 0.01)

    class Logger:
        def __init__(self) -> None:
            self.found: dict[str, Any] = {}

        def log(self, data: dict[str, Any], step: int | None = None) -> None:
            self.found = {"step": step, **data}

        def add_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> None:
            self.found |= {"step": global_step, tag: scalar_value}

    for name, function in (("wandb", "log_gap"), ("tensorboard", "write_gap")):
        logger = Logger()
        run(name)[function](logger, *map(Tensor, both), 100, 7)
        assert logger.found == {"step": 7} | {f"gap/{key}": value for key, value in expected.items()}


def test_open_clip(both: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    def get_clip_metrics(image_features: Any, text_features: Any, logit_scale: Any) -> dict[str, float]:
        return {"image_to_text_R@1": 0.5}

    train = stand_in(monkeypatch, "open_clip_train.train", get_clip_metrics=get_clip_metrics)
    stand_in(monkeypatch, "open_clip_train", train=train)
    run("open_clip")
    found = train.get_clip_metrics(*map(Tensor, both), np.float32(100))
    assert found["image_to_text_R@1"] == 0.5
    assert {f"gap/{name}" for name in NAMES} < set(found)
    assert found["gap/centroid_gap"] == fs.quick(*both, 0.01)["centroid_gap"]


def test_sentence_transformers(both: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    class SentenceEvaluator:
        def __init__(self) -> None:
            self.greater_is_better = True
            self.primary_metric: str | None = None

    stand_in(monkeypatch, "sentence_transformers")
    stand_in(monkeypatch, "sentence_transformers.evaluation", SentenceEvaluator=SentenceEvaluator)

    class Model:
        def encode(self, sentences: list[str], convert_to_numpy: bool = True, normalize_embeddings: bool = False) -> Array:
            assert convert_to_numpy
            assert normalize_embeddings
            return np.stack([both[int(side)][int(row)] for side, row in (text.split() for text in sentences)])

    evaluator = run("sentence-transformers")["GapEvaluator"](*([f"{side} {row}" for row in range(40)] for side in (0, 1)))
    found = evaluator(Model(), output_path=None, epoch=1, steps=10)
    assert found == {f"gap_{name}": value for name, value in fs.quick(*both, 0.05).items()}
    assert evaluator.primary_metric in found


def test_lightning(both: tuple[Array, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "lightning", Callback=object)
    callback = run("lightning")["GapCallback"](tau=0.05)
    logged: dict[str, float] = {}

    class Module:
        def log_dict(self, dictionary: dict[str, float]) -> None:
            logged.update(dictionary)

    class Trainer:
        sanity_checking = True

    callback.on_validation_batch_end(
        Trainer(), Module(), {"image_features": Tensor(both[0]), "text_features": Tensor(both[1])}, None, 0
    )
    callback.on_validation_epoch_end(Trainer(), Module())
    assert logged == {}
    Trainer.sanity_checking = False
    for _ in range(2):  # epochs
        for batch, begin in enumerate((0, 16, 32)):
            part = slice(begin, begin + 16)
            outputs = {"image_features": Tensor(2 * both[0][part]), "text_features": Tensor(3 * both[1][part])}
            callback.on_validation_batch_end(Trainer(), Module(), outputs, None, batch)
        callback.on_validation_epoch_end(Trainer(), Module())
        assert logged["gap/centroid_gap"] == pytest.approx(fs.quick(*both, 0.05)["centroid_gap"], abs=1e-6)
        logged.clear()


def gap_of(first: Array, second: Array) -> float:
    return float(np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)))


def test_means(both: tuple[Array, Array], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("both.npy", np.stack(both))
    written = CliRunner().invoke(main, ["diagnose", "both.npy", "--tau", "0.1", "--save-means", "means.npz"])
    assert written.exit_code == 0
    assert "numpy.load('means.npz')['mean_a']" in written.output
    found = run("means", images=both[0], captions=both[1])
    for rows in (found["images"], found["captions"]):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    found["means"].close()
    gaps = [np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) for one, other in (both, (found["images"], found["captions"]))]
    assert gaps[1] < 0.2 < gaps[0]
    again = CliRunner().invoke(main, ["diagnose", "both.npy", "--tau", "0.1", "--save-means", "means.npz"])
    assert again.exit_code == 3
    assert "--force" in again.output


def test_check_on_the_command_line(both: tuple[Array, Array], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, rows in zip(("images", "captions"), both, strict=True):
        np.save(f"{name}.npy", rows)
    command = re.search(r"```console\nfieldsolve (check .*?)\n", PAGE)
    assert command is not None
    found = CliRunner().invoke(main, command[1].split())
    assert found.exit_code == 6
    assert all(" is " in line for line in found.stdout.splitlines())


def test_every_recipe_is_run() -> None:
    assert set(BLOCKS) == {"wandb", "tensorboard", "open_clip", "sentence-transformers", "lightning", "means"}
    assert PAGE.count("```python") == len(BLOCKS)
