"""Tables and numbers as text: exact for programs, short for people."""

import csv
import io
import json

import numpy as np

from fieldsolve.output.tables import align, csv_text, exact, markdown, rows_of, short, to_json


def test_json_is_strict_and_sorted() -> None:
    text = to_json({"b": np.inf, "a": [1.0, np.nan, {"d": 1, "c": None}]})
    assert json.loads(text) == {"a": [1.0, None, {"c": None, "d": 1}], "b": None}
    assert text.index('"a"') < text.index('"b"')


def test_numbers_come_back_to_the_last_bit_from_csv() -> None:
    values = [0.1 + 0.2, 1e-300, -7.0, None, True, "a,b", float("nan")]
    (row,) = csv.reader(io.StringIO(csv_text([], [values]).lstrip("\n")))
    assert [float(cell) for cell in row[:3]] == values[:3]
    assert row[3:] == ["", "true", "a,b", ""]
    assert exact(3) == "3"


def test_words_that_begin_like_formulas_are_none_in_a_spreadsheet() -> None:
    words = ["=cmd|' /C calc'!A0", "+1+2", "-x", "@sum", "\ttab", "-0.5", "1e-3", "plain", "a=b"]
    (row,) = csv.reader(io.StringIO(csv_text([], [words]).lstrip("\n")))
    assert row == ["'=cmd|' /C calc'!A0", "'+1+2", "'-x", "'@sum", "'\ttab", "-0.5", "1e-3", "plain", "a=b"]


def test_words_are_no_markup_in_markdown() -> None:
    text = markdown(["<script>alert(1)</script>"], [["a|b"], ["`x` *y* [z](w)"], ["two\nlines"]])
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert r"a\|b" in text
    assert r"\`x\` \*y\* \[z\](w)" in text
    assert text.count("\n") == 5


def test_tables_for_people() -> None:
    assert (short(1 / 3), short(1 / 3, 2), short(None), short(float("inf")), short("word")) == (
        "0.33333",
        "0.33",
        "-",
        "-",
        "word",
    )
    assert rows_of({"a": [1, 2], "b": [3, 4]}) == [[1, 3], [2, 4]]
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    assert align([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc  d"]
