"""Which rows belong together: tables of matched rows, and labels of groups, from files as numpy, Excel and pandas write them."""

import csv
from pathlib import Path

import numpy as np

from fieldsolve.embeddings.files import read
from fieldsolve.embeddings.tables import number_of
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError

_WANTED = "pairs are whole numbers in two columns: row of the first file, row of the second, counted from 0"


def read_pairs_table(path: Path) -> Indices:
    """Matched rows (m, 2) from an .npy of whole numbers, or from text with two columns.

    Columns are separated by a comma, a semicolon, a tab or spaces; a header and a column of row numbers without a name, as pandas
    writes one, are left out, and 7.0 is 7. Raises InputError for files that hold anything else, naming the line.
    """
    table = read(path, lambda: np.load(path, allow_pickle=False) if path.suffix.lower() == ".npy" else _text(path))
    if not isinstance(table, np.ndarray) or table.dtype.kind not in "iuf" or np.any(table != np.floor(table)):
        raise InputError(f"{path}: {_WANTED}")
    if table.size and np.abs(table).max() >= 2**53:
        raise InputError(f"{path}: holds numbers of rows that no file has, up to {table.max():.3g}; {_WANTED}")
    return table.astype(np.int64)


def read_groups(path: Path) -> np.ndarray:
    """Labels of groups (n,) from an .npy of whole numbers or text, or from a file with one label a line.

    Row numbers before the labels, as pandas writes them, are left out.
    """
    labels = read(path, lambda: np.load(path, allow_pickle=False) if path.suffix.lower() == ".npy" else np.array(_labels(path)))
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iuUS" or not len(labels):
        raise InputError(f"{path}: groups are one label a row of the first file, numbers or text")
    return labels


def _labels(path: Path) -> list[str]:
    lines = [line.strip() for line in _lines(path, "surrogateescape")]
    numbered = [line.partition(",") for line in lines]
    if all(begin == str(k) and comma for k, (begin, comma, _) in enumerate(numbered)):
        return [label for _, _, label in numbered]
    return lines


def _lines(path: Path, errors: str = "strict") -> list[str]:
    """The lines of a text in UTF-8, or in UTF-16 as Excel writes it."""
    content = path.read_bytes()
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return (content.decode("utf-16") if is_wide else content.decode("utf-8-sig", errors)).strip("\r\n").splitlines()


def _text(path: Path) -> np.ndarray:
    lines = _lines(path)
    delimiter = next((one for one in ",;\t" if lines and one in lines[0]), None)
    records = [line.split() for line in lines] if delimiter is None else list(csv.reader(lines, delimiter=delimiter))
    numbered = [(k, record) for k, record in enumerate(records, start=1) if any(cell.strip() for cell in record)]
    header = numbered.pop(0)[1] if numbered and _is_header(path, [record for _, record in numbered]) else None
    found = []
    for line, record in numbered:
        numbers = [number_of(cell) for cell in record]
        if None in numbers or len(numbers) != len(numbered[0][1]):
            raise InputError(f"{path}: line {line} is {', '.join(record)!r}; {_WANTED}")
        found.append(numbers)
    if not found:
        raise InputError(f"{path}: holds no pairs; {_WANTED}")
    table = np.array(found, dtype=np.float64)
    if header is not None and table.shape[1] == 3 and header[0].strip() in ("", "Unnamed: 0"):
        table = table[:, 1:]
    return table


def _is_header(path: Path, records: list[list[str]]) -> bool:
    """Whether the first record names columns: by words, an index by nothing, or as pandas numbers two columns.

    Raises InputError where 0,1 may be a pair as well.
    """
    first = records[0]
    numbers = [number_of(cell) for cell in first]
    if not first[0].strip() or all(number is None for number in numbers):
        return True
    if numbers != [0, 1]:
        return False
    if first in records[1:]:
        return True
    raise InputError(f"{path}: its first line (0,1) may be a header or a pair; give the columns names, or save as .npy")
