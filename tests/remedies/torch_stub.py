"""As much of torch's interface as the lines of code of remedies use, on numpy arrays: the same names, arguments and results."""

from typing import Any

import numpy as np


class Tensor:
    """An array with the methods of a tensor that are used."""

    def __init__(self, data: Any) -> None:
        self.data = np.asarray(data, dtype=np.float64)

    @property
    def T(self) -> "Tensor":  # noqa: N802
        return Tensor(self.data.T)

    def __add__(self, other: Any) -> "Tensor":
        return Tensor(self.data + _raw(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Tensor":
        return Tensor(self.data - _raw(other))

    def __mul__(self, other: Any) -> "Tensor":
        return Tensor(self.data * _raw(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Tensor":
        return Tensor(self.data / _raw(other))

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return Tensor(self.data @ other.data)

    def __float__(self) -> float:
        return float(self.data)

    def sum(self, dim: int | None = None) -> "Tensor":
        return Tensor(self.data.sum(axis=dim))

    def mean(self, dim: int | None = None) -> "Tensor":
        return Tensor(self.data.mean(axis=dim))

    def pow(self, exponent: float) -> "Tensor":
        return Tensor(self.data**exponent)

    def mul(self, factor: float) -> "Tensor":
        return Tensor(self.data * factor)

    def exp(self) -> "Tensor":
        return Tensor(np.exp(self.data))

    def log(self) -> "Tensor":
        return Tensor(np.log(self.data))

    def square(self) -> "Tensor":
        return Tensor(self.data**2)

    def fill_diagonal_(self, value: float) -> "Tensor":
        np.fill_diagonal(self.data, value)
        return self


def _raw(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


def exp(x: Tensor) -> Tensor:
    return x.exp()


def cat(tensors: list[Tensor], dim: int) -> Tensor:
    return Tensor(np.concatenate([one.data for one in tensors], axis=dim))


def logsumexp(x: Tensor, dim: int) -> Tensor:
    top = x.data.max(axis=dim, keepdims=True)
    return Tensor(np.log(np.exp(x.data - top).sum(axis=dim)) + top.squeeze(dim))


def cdist(x: Tensor, y: Tensor) -> Tensor:
    return Tensor(np.linalg.norm(x.data[:, None] - y.data[None], axis=-1))


def pdist(x: Tensor) -> Tensor:
    return Tensor(cdist(x, x).data[np.triu_indices(len(x.data), 1)])


def diagonal_scatter(x: Tensor, diagonal: Tensor) -> Tensor:
    result = Tensor(x.data.copy())
    np.fill_diagonal(result.data, 0.0)
    result.data += np.diag(diagonal.data)
    return result


class functional:  # noqa: N801
    """torch.nn.functional."""

    @staticmethod
    def cross_entropy(logits: Tensor, labels: Any) -> Tensor:
        return Tensor(np.mean(logsumexp(logits, 1).data - logits.data[np.arange(len(logits.data)), labels]))
