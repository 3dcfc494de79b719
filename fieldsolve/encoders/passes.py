"""One block of logits in two compiled passes: exponentials with their partition fields, then the gradient in their place."""

from typing import NamedTuple

import numpy as np

from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, exp, jit

_ROWS = 32  # of a block: sums go over fixed blocks, so that the bits do not depend on the number of threads


class Sums(NamedTuple):
    """Of a block of logits Y_ij, with weights w_i of its rows and u_j of its columns.

    rows: log sum_j u_j exp(Y_ij); columns: log sum_i w_i exp(Y_ij).
    """

    rows: Array
    columns: Array


def exponentiate(logits: Array, row_weights: Array, column_weights: Array, largest: float) -> Sums:
    """Replace logits, at most `largest`, by exp(logits - largest) and return the logarithms of their partition fields."""
    n, m = logits.shape
    blocks = -(-n // _ROWS)
    rows, parts = np.empty(n), np.zeros((blocks, m))
    threads.over_blocks(_exponentiate, blocks, 20 * n * m, logits, row_weights, column_weights, largest, rows, parts)
    return Sums(largest + np.log(rows), largest + np.log(parts.sum(axis=0)))


def pull(exponentials: Array, row_weights: Array, column_weights: Array, by_rows: Array, by_columns: Array) -> None:
    """Replace exponentials E_ij by E_ij (by_rows_i u_j + w_i by_columns_j): how the partition fields change with the logits."""
    n, m = exponentials.shape
    blocks = -(-n // _ROWS)
    threads.over_blocks(_pull, blocks, 4 * n * m, exponentials, row_weights, column_weights, by_rows, by_columns)


@jit(REDUCE_NUMBERS)
def _exponentiate(first, last, logits, row_weights, column_weights, largest, rows, parts):
    n, m = logits.shape
    for block in range(first, last):
        part = parts[block]
        for i in range(block * _ROWS, min((block + 1) * _ROWS, n)):
            row, weight, total = logits[i], row_weights[i], 0.0
            for j in range(m):
                row[j] = exp(row[j] - largest)
            for j in range(m):
                total += column_weights[j] * row[j]
                part[j] += weight * row[j]
            rows[i] = total


@jit(REDUCE_NUMBERS)
def _pull(first, last, exponentials, row_weights, column_weights, by_rows, by_columns):
    n, m = exponentials.shape
    for i in range(first * _ROWS, min(last * _ROWS, n)):
        row, of_row, weight = exponentials[i], by_rows[i], row_weights[i]
        for j in range(m):
            row[j] *= of_row * column_weights[j] + weight * by_columns[j]
