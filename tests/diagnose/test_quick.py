"""The values of a training loop: those of a diagnosis, from arrays of any kind."""

from typing import Any

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.diagnose.quick import NAMES
from fieldsolve.numerics.errors import InputError

Array = np.ndarray


def pairs_of(count: int, width: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    content = rng.standard_normal((count, width))
    both = [content + rng.standard_normal((count, width)) + offset for offset in (0.3, -0.3)]
    return tuple(rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in both)  # type: ignore[return-value]


@pytest.mark.parametrize(("count", "width", "kind"), [(60, 6, "f8"), (1300, 8, "f4")])
def test_values_are_those_of_a_diagnosis(count: int, width: int, kind: str) -> None:
    x, y = (rows.astype(kind) for rows in pairs_of(count, width))
    found = fs.quick(x, y, 0.1, seed=2)
    whole = fs.diagnose(x, y, tau=0.1, exchanges=99, seed=2).comparisons[0].measurement.metrics
    assert set(found) == set(NAMES)
    assert {name: whole[name].value for name in found} == found
    assert all(type(value) is float for value in found.values())


def test_a_sigmoid_loss_and_several_partners() -> None:
    x, y = pairs_of(60, 6)
    pairs = np.stack([np.arange(60) // 2, np.arange(60)], axis=1)
    found = fs.quick(x[:30], y, 0.1, bias=-3.0, pairs=pairs)
    whole = fs.diagnose(x[:30], y, tau=0.1, bias=-3.0, pairs=pairs, exchanges=99).comparisons[0].measurement.metrics
    assert set(found) == set(NAMES) - {"infonce"} | {"siglip"}
    assert {name: whole[name].value for name in found} == found


class Torch:
    """What fieldsolve sees of a tensor: numpy refuses one with gradients, on another device, or in bfloat16."""

    def __init__(self, rows: Array, state: tuple[str, ...] = ("gradient", "device"), dtype: str = "torch.float32") -> None:
        self.rows, self.state, self.dtype = rows, state, dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    def detach(self) -> "Torch":
        return Torch(self.rows, tuple(one for one in self.state if one != "gradient"), self.dtype)

    def cpu(self) -> "Torch":
        return Torch(self.rows, tuple(one for one in self.state if one != "device"), self.dtype)

    def float(self) -> "Torch":
        return Torch(self.rows, self.state)

    def __array__(self, *arguments: Any, **named: Any) -> Array:
        if "gradient" in self.state:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if "device" in self.state:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.rows


class Jax:
    """What fieldsolve sees of an array that has DLPack's interface and no other."""

    def __init__(self, rows: Array) -> None:
        self.rows = rows
        self.shape = rows.shape

    def __dlpack__(self, **named: Any) -> Any:
        return self.rows.__dlpack__(**named)

    def __dlpack_device__(self) -> Any:
        return self.rows.__dlpack_device__()


def test_arrays_of_any_kind() -> None:
    x, y = (rows.astype(np.float32) for rows in pairs_of(40, 5))
    given = fs.quick(x, y, 0.1)
    for kind in (Torch, Jax):
        assert fs.quick(kind(x), kind(y), 0.1) == given
        assert fs.diagnose(kind(x), kind(y), tau=0.1, exchanges=99).comparisons[0].sample.pairs == 40
    half = fs.quick(*(rows.astype(np.float16) for rows in (x, y)), 0.1)
    assert half == pytest.approx(given, abs=5e-3)

    def rounded(rows: Array) -> Array:
        return (rows.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)

    brain = [Torch(rounded(rows), dtype="torch.bfloat16") for rows in (x, y)]
    assert fs.quick(*brain, 0.1) == pytest.approx(given, abs=5e-2)


def test_bad_rows_are_refused_in_a_sentence() -> None:
    x, y = pairs_of(40, 5)
    for first, second, tau, said in (
        (x, y[:-1], 0.1, "rows match one by one"), (x, y[:, :-1], 0.1, "same embedding space|not of unit length"),
        (2 * x, y, 0.1, "normalize=True"), (x, y, 0.0, "temperature"), (x[:10], y[:10], 0.1, "too few"),
        (np.full_like(x, np.nan), y, 0.1, "not finite"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            fs.quick(first, second, tau)
    assert fs.quick(2 * x, y, 0.1, normalize=True)["centroid_gap"] == pytest.approx(fs.quick(x, y, 0.1)["centroid_gap"])
