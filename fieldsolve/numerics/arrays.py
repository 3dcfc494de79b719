"""The array types that annotations name, and the plain values that JSON has for them."""

from math import isfinite
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fieldsolve.numerics.errors import InputError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: A table of embeddings, one a row.
Rows = np.ndarray[tuple[int, int], np.dtype[np.float32 | np.float64]]


def finite(value: Any) -> Any:
    """The same JSON values, with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def whole(value: Any) -> int | None:
    """The int that a whole number is; None for anything else, true and false among it."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def array_of(value: Any) -> tuple[np.ndarray, str | None]:
    """An array of any kind as numpy's, and the type it was stored in where numpy has none like it.

    What has `__array__` or `__dlpack__`, also tensors on another device, with gradients or in bfloat16 (by their methods
    `detach`, `cpu` and `float`). Raises what the array's own library does for what cannot be converted.
    """
    if np.ma.is_masked(value):
        raise InputError("some values are masked; leave those rows out, or fill them")
    if isinstance(value, np.ndarray):
        return value, None
    for step in ("detach", "cpu"):
        value = getattr(value, step, lambda value=value: value)()
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value), None
        return np.asarray(value), None
    except TypeError:
        if not str(getattr(value, "dtype", "")).endswith("bfloat16") or not hasattr(value, "float"):
            raise
        return np.asarray(value.float()), "bfloat16"
