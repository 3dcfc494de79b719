"""Embeddings in Parquet and CSV: which columns are components, which are none, and that two files' columns are the same."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.embeddings.archives import Stored, check_unpacked
from fieldsolve.numerics.errors import InputError

_NUMBERED = re.compile(r"(.*?)(\d+)$", re.DOTALL)
_DELIMITERS = ",;\t"
_WITH_COMMA = re.compile(r"\s*-?\d+,\d+([eE][-+]?\d+)?\s*")
_MANY = 10  # rows, so many that a component does not rise or fall through all of them
_SAID = {"signs": "whole numbers", "zeros": "nothing but 0", "text": "no numbers"}

#: What a component may hold, though what is called as the others are seldom does.
_UNUSUAL = ("signs", "numbers in order")

#: How many columns a message lists.
_LISTED = 8


@dataclass(frozen=True, eq=False)
class _Table:
    """Names and values of columns, and the places of those that are an index; is_named: whether the names are the file's own."""

    names: list[str]
    columns: list[Any]
    index: set[int]
    is_named: bool = True


def read_table(path: Path, name: str | None) -> Stored:
    """The embeddings in a table: a column of lists, or the columns whose name is `name` or begins so, or all columns.

    An index, row numbers and, beside numbered columns such as e0, e1, ..., columns of text and of whole numbers are left out, and
    the notes say so; numbered columns are put in order. Raises InputError for columns that may or may not be components.
    """
    if find_spec("pyarrow") is None:
        raise InputError(f"{path}: reading it needs pyarrow: pip install 'fieldsolve[tables]', or save as .npy")
    table = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    names, columns = table.names, table.columns
    if name is not None and not table.is_named:
        raise InputError(f"{path}: its first record is no header but numbers, so that no column is called {name!r}")
    chosen = [k for k, one in enumerate(names) if one == name] or [
        k for k, one in enumerate(names) if (name is None or one.startswith(name)) and k not in table.index
    ]
    if not chosen:
        raise InputError(f"{path}: no column begins with {name!r}; it has {', '.join(names[:_LISTED])}")
    notes = [f"column {names[k]!r} is an index and left out" for k in sorted(table.index - set(chosen)) if name is None]
    lists = [k for k in chosen if _is_list(columns[k])]
    if lists:
        rivals = [*lists[1:], *(k for k in chosen if k not in lists and _kind(_values(columns[k])) == "numbers")]
        if len(lists) > 1 or len(rivals) > 1:
            raise InputError(
                f"{path}: columns {names[lists[0]]!r} and {names[rivals[0]]!r} both hold floating-point numbers; name the "
                f"embeddings': {path.name}::NAME"
            )
        others = [repr(names[k]) for k in chosen if k != lists[0]]
        if others:
            listed = ", ".join(others[:_LISTED])
            notes.append(f"the embeddings are the lists in {names[lists[0]]!r}; other columns ({listed}) are left out")
        values = _of_lists(path, names[lists[0]], columns[lists[0]])
        return _stored(path, name, values, (), notes)
    parts = [names[k] for k in chosen], [_values(columns[k]) for k in chosen]
    kept, values, said = _components(path, *parts, table.is_named)
    return _stored(path, name, values, kept if table.is_named else (), [*notes, *said])


def align(found: Sequence[Stored]) -> list[Stored]:
    """Tables with the columns of the first one, in its order. Raises InputError where a column has no counterpart by name.

    Numbered columns are compared by their numbers, so that image_0 is text_0's; tables without names are taken as they are.
    """
    named = [one for one in found if one.columns]
    return [_aligned(named[0], one) if one.columns and one is not named[0] else one for one in found]


def _aligned(first: Stored, one: Stored) -> Stored:
    wanted, given = _keys(first.columns), _keys(one.columns)
    if wanted == given:
        return one
    missing = next((name for name, key in zip(first.columns, wanted, strict=True) if key not in given), None)
    extra = next((name for name, key in zip(one.columns, given, strict=True) if key not in wanted), None)
    if missing is not None or extra is not None:
        what = f"{one.name} has no column like {missing!r} of {first.name}" if missing is not None else (
            f"{first.name} has no column like {extra!r} of {one.name}")  # fmt: skip
        raise InputError(f"{what}; both need the same columns, by name or by number")
    order = [given.index(key) for key in wanted]
    note = f"{one.name}: its columns are taken in the order of those of {first.name}, by name"
    return replace(one, load=lambda: one.load()[:, order], columns=tuple(one.columns[k] for k in order), notes=(*one.notes, note))


def _keys(columns: tuple[str, ...]) -> list[Any]:
    numbers = _numbers(columns)
    return list(columns) if numbers is None else numbers


def _numbers(columns: Sequence[str]) -> list[Any] | None:
    """The numbers of columns that share all but their number; None for others."""
    matches = [match for one in columns if (match := _NUMBERED.match(one))]
    numbers = [int(match[2]) for match in matches]
    is_family = len(matches) == len(columns) and len({match[1] for match in matches}) == 1
    return numbers if is_family and len(set(numbers)) == len(numbers) else None


def _stored(path: Path, name: str | None, values: np.ndarray, columns: tuple[str, ...], notes: list[str]) -> Stored:
    label = name or path.stem
    said = tuple(f"{path.name}: {note}" for note in notes)
    return Stored(label, values.shape, values.dtype.name, lambda: values, columns, said)


def _parquet(path: Path) -> _Table:
    """The index is what pandas says is one."""
    from pyarrow import parquet

    shape, size = parquet.read_metadata(path), path.stat().st_size
    check_unpacked(path, 8 * shape.num_rows * shape.num_columns, size)
    table = parquet.read_table(path)
    written = (table.schema.pandas_metadata or {}).get("index_columns", [])
    index = {k for k, one in enumerate(table.column_names) if one in written or re.fullmatch(r"__index_level_\d+__", one)}
    return _Table(list(table.column_names), [column.combine_chunks() for column in table.columns], index)


def _csv(path: Path) -> _Table:
    """The index is what has no name."""
    import pyarrow
    from pyarrow import csv as arrow

    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = content.decode("utf-16").encode()
    # What Excel, numpy and R write before a header: a mark of the encoding, the separator, a sign of a comment.
    content = re.sub(rb"\Asep=.\r?\n", b"", content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n \t")).removeprefix(b"# ")
    first, second = ([*content[: 1 << 24].splitlines()[:2], b"", b""][k].decode() for k in (0, 1))
    delimiter = _delimiter(first)
    records = [next(csv.reader([line], delimiter=delimiter), []) for line in (first, second)]
    decimal = "," if delimiter == ";" and any(_WITH_COMMA.fullmatch(cell) for cell in records[0] + records[1]) else "."
    has_header = _is_header(path, *([cell.replace(decimal, ".") for cell in record] for record in records))
    names = [one.strip() for one in records[0]] if has_header else [f"column {k}" for k in range(1, len(records[0]) + 1)]
    repeated = [one for one, times in Counter(names).items() if times > 1 and one]
    if repeated:
        raise InputError(f"{path}: two columns are called {repeated[0]!r}; give each a name of its own")
    table = arrow.read_csv(
        pyarrow.BufferReader(content),
        read_options=arrow.ReadOptions(column_names=[str(k) for k in range(len(names))], skip_rows=int(has_header)),
        parse_options=arrow.ParseOptions(delimiter=delimiter),
        convert_options=arrow.ConvertOptions(decimal_point=decimal),
    )
    index = {k for k, one in enumerate(names) if not one or re.fullmatch(r"Unnamed: \d+", one)}
    return _Table(names, [column.combine_chunks() for column in table.columns], index, has_header)


def _delimiter(line: str) -> str:
    """What separates cells: a semicolon where all commas are those of decimal numbers, a space where nothing else could."""
    if ";" in line and all("," not in cell or _WITH_COMMA.fullmatch(cell) for cell in line.split(";")):
        return ";"
    return max(_DELIMITERS, key=line.count) if any(one in line for one in _DELIMITERS) else " "


def _is_header(path: Path, first: list[str], second: list[str]) -> bool:
    """Whether the first record names columns: by words, or by whole numbers that differ, as pandas numbers columns.

    Raises InputError for 0 and 1 in two columns, which may be names or a unit vector.
    """
    numbers = [number for cell in first if (number := number_of(cell)) is not None]
    if not numbers:
        return True
    if len(numbers) < 2 or any(one != int(one) for one in numbers if isfinite(one)) or len(set(numbers)) < len(numbers):
        return False
    if numbers == [0, 1]:
        raise InputError(f"{path}: its first record ({', '.join(first)}) may be a header or a row; give the columns names")
    is_like_the_next = all(one == int(one) for cell in second if (one := number_of(cell) or 0.5) and isfinite(one))
    return max(map(abs, numbers)) >= 2 and not is_like_the_next


def number_of(cell: str) -> float | None:
    """The number that a cell of a table is, or None; Python's 1_0 is none."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _is_list(column: Any) -> bool:
    """Whether a column holds lists of floating-point numbers."""
    from pyarrow import types

    is_list = types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type)
    return bool(is_list and types.is_floating(column.type.value_type))


def _of_lists(path: Path, name: str, column: Any) -> np.ndarray:
    from pyarrow import types

    fixed = types.is_fixed_size_list(column.type)
    lengths = {column.type.list_size} if fixed else set(column.value_lengths().to_pylist())
    if len(lengths) != 1 or None in lengths or column.null_count:
        raise InputError(f"{path}: the lists in column {name} have different lengths, or some are missing")
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1))


def _values(column: Any) -> np.ndarray | None:
    """The numbers of a column; None if it holds anything else. A missing one is NaN."""
    from pyarrow import types

    is_number = types.is_floating(column.type) or types.is_integer(column.type)
    return np.asarray(column.to_numpy(zero_copy_only=False)) if is_number else None


def _components(
    path: Path, names: list[str], columns: list[np.ndarray | None], is_named: bool
) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Names and values of the columns that are components, and notes on those that are not."""
    kinds = [_kind(values) for values in columns]
    family = _family(path, [one for one, kind in zip(names, kinds, strict=True) if kind == "numbers"])
    kept, notes = [], []
    for k, (one, kind) in enumerate(zip(names, kinds, strict=True)):
        is_numbered = family is not None and _prefix(one) == family
        is_member = family is None or is_numbered
        if kind == "row numbers" or (not is_member and kind != "numbers"):
            notes.append(f"column {one!r} holds {_SAID.get(kind, kind)} and is left out")
        elif is_member and (kind in ("numbers", "zeros") or (kind in _UNUSUAL and family and is_numbered and is_named)):
            kept.append(k)
        else:
            raise InputError(
                f"{path}: column {one!r} holds {_SAID.get(kind, kind)}, and may be no component; leave it out, or name the "
                f"embeddings' columns by their beginning: {path.name}::NAME"
            )
    if not any(kinds[k] == "numbers" for k in kept):
        listed = ", ".join(names[:_LISTED])
        raise InputError(f"{path}: none of its columns ({listed}) holds floating-point numbers with a decimal point")
    numbers = None if family is None else _numbers([names[k] for k in kept])
    if numbers is not None and numbers != sorted(numbers):
        kept = [k for _, k in sorted(zip(numbers, kept, strict=True))]
        notes.append("columns are taken in the order of their numbers, not as they stand")
    values = np.stack([np.asarray(columns[k]) for k in kept], axis=1)
    return tuple(names[k] for k in kept), values, notes


def _kind(values: np.ndarray | None) -> str:
    """What a column holds, in words; signs are whole numbers that a component could be."""
    if values is None:
        return "text"
    if not values.any():
        return "zeros"
    is_whole = bool(np.all(values == np.floor(values)))
    steps = np.diff(values)
    if is_whole and len(values) > 2 and values[0] in (0, 1) and np.all(steps == 1):
        return "row numbers"
    if is_whole:
        return "whole numbers" if np.abs(values).max() >= 2 else "signs"
    if len(values) >= _MANY and (np.all(steps > 0) or np.all(steps < 0)):
        return "numbers in order"
    return "numbers"


def _prefix(name: str) -> str | None:
    match = _NUMBERED.match(name)
    return None if match is None else match[1]


def _family(path: Path, names: list[str]) -> str | None:
    """What the names of numbered columns begin with; None if they are not numbered. Raises InputError for two families."""
    prefixes = Counter(prefix for one in names if (prefix := _prefix(one)) is not None)
    families = [prefix for prefix, times in prefixes.most_common() if times > 1]
    if len(families) > 1:
        raise InputError(
            f"{path}: its columns begin with {families[0]!r} and with {families[1]!r}; name those of one modality: "
            f"{path.name}::{families[0] or 'NAME'}"
        )
    return families[0] if families else None
