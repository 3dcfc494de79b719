"""Tables as CSV, Markdown and lines of text, and numbers as JSON: one writer of each."""

import csv
import html
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from fieldsolve.numerics.arrays import finite


def to_json(values: dict[str, Any]) -> str:
    """One JSON object with sorted keys; numbers that are not finite become null."""
    return json.dumps(finite(values), sort_keys=True, indent=2, allow_nan=False)


def short(value: Any, digits: int = 5) -> str:
    """A value for people: a number with so many digits, and a dash where there is none."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return "-"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def exact(value: Any) -> str:
    """A value for programs: a number to the last bit, and nothing where there is none."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else _harmless(str(value))


def _harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: words that begin like one have an apostrophe before them."""
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(tuple("=+-@\t\r")) else text
    return text


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV, every value `exact`."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([header, *([exact(value) for value in row] for row in rows)])
    return file.getvalue()


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, its cells as they are, `in_markdown`."""
    lines = [list(map(in_markdown, header)), ["---"] * len(header), *(map(in_markdown, row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def in_markdown(text: str) -> str:
    """Text as Markdown shows it to the letter: what would be HTML or markup is escaped."""
    return re.sub(r"([\\`*\[\]|#~])", r"\\\1", html.escape(text, quote=False)).replace("\n", " ")


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text as lines whose columns stand one below the other."""
    widths = [2 + max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def rows_of(columns: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
    """The rows of a table given by its columns."""
    return [list(row) for row in zip(*columns.values(), strict=True)]
