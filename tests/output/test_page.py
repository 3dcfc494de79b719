"""What notebooks show: a table and a picture within, of every kind of result."""

import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.diagnose import diagnose
from fieldsolve.diagrams import fill, spec_of
from fieldsolve.numerics.errors import Advice
from fieldsolve.output.page import card
from fieldsolve.runs import in_this_process


def pictures(html: str) -> list[bytes]:
    return [b64decode(one) for one in re.findall(r"src='data:image/png;base64,([^']*)'", html)]


def check(html: str, *words: str) -> None:
    (image,) = pictures(html)
    assert image.startswith(b"\x89PNG")
    assert len(image) > 5000
    assert "http" not in html.replace("http://www.w3.org", "")
    for word in words:
        assert word in html


def test_problems_and_solutions() -> None:
    problem = fs.Problem(tau=0.3, floor=1e-2, coupling=0.3, nside=4)
    check(problem._repr_html_(), "intrinsic energy of 2 densities", "healpix:4", "<td>coupling</td><td>0.3</td>")
    solution = problem.solve()
    check(solution._repr_html_(), "converged", f"{solution.energy:.8g}", f"{solution.centroid_gap:.6g}")
    one = fs.Problem("flat", circle=16).solve()._repr_html_()
    check(one, "unimodal")
    assert "symmetric KL" not in one


def test_diagnoses() -> None:
    rng = np.random.default_rng(3)
    found = diagnose(
        *(one / np.linalg.norm(one, axis=1, keepdims=True) for one in rng.standard_normal((2, 60, 8))), tau=0.1, exchanges=99
    )
    check(found._repr_html_(), "modality gap", "recall@1")


def test_diagrams(tmp_path: Path) -> None:
    spec = spec_of({"axes": {"coupling": [0.0, 0.3]}, "problem": {"nside": 4}, "title": "two <cells>"})
    check(fill(spec, tmp_path, in_this_process)._repr_html_(), "two &lt;cells&gt;", "coupling (2)", "<td>cells</td><td>2</td>")


def test_names_are_escaped_and_a_picture_that_fails_leaves_the_table() -> None:
    def draw() -> None:
        raise RuntimeError("no fonts")

    with pytest.warns(Advice, match="no fonts"):
        html = card("<b>", {"<i>": "&", "nothing": None}, draw)
    assert "&lt;b&gt;" in html
    assert "<td>&lt;i&gt;</td><td>&amp;</td>" in html
    assert "nothing" not in html
    assert not pictures(html)
