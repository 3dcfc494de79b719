"""Joint laws: their information, where they are read from, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldsolve.encoders.laws import JointLaw, law_from_labels, law_from_table, law_named, law_of_views
from fieldsolve.grids import Circle
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.laws import two_modalities


def test_information_of_the_theory_s_laws(wide: JointLaw, square: JointLaw) -> None:
    assert abs(wide.mutual_information - 0.2876088532) < 5e-11
    assert abs(wide.lautum - 0.5892827472) < 5e-11
    assert abs(square.mutual_information - 0.6254908838) < 5e-11
    assert abs(law_named("ring:24,5").mutual_information - 1.1622339094) < 5e-11


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 99))
def test_information_is_that_of_entropies(n: int, m: int, seed: int) -> None:
    law = law_from_table(np.random.default_rng(seed).dirichlet(np.ones(n * m)).reshape(n, m))
    entropies = [-float(np.sum(one * np.log(one))) for one in (law.first, law.second, law.table)]
    assert abs(law.mutual_information - (entropies[0] + entropies[1] - entropies[2])) < 1e-12
    assert law.lautum > 0


def test_counts_and_probabilities_are_one_law() -> None:
    counts = np.array([[3, 1], [2, 4]])
    one, other = law_from_table(counts), law_from_table(counts / 10)
    np.testing.assert_allclose(one.table, other.table, rtol=0, atol=1e-16)
    assert one.notes == other.notes == ()


def test_rounded_probabilities_are_scaled_with_a_note() -> None:
    law = law_from_table(np.array([[0.25, 0.25], [0.25, 0.2500004]]), "rounded")
    assert abs(law.table.sum() - 1) < 1e-15
    assert "were scaled" in law.notes[0]


def test_symbols_that_never_occur_are_left_out_with_a_note() -> None:
    law = law_from_table(np.array([[1, 0, 2], [0, 0, 0], [1, 0, 1]]))
    assert law.table.shape == (2, 2)
    assert [note.split(": ")[1].split(" hold")[0] for note in law.notes] == ["1 rows", "1 columns"]
    assert law.notes[0].endswith("(from 0: 1)")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0.5, 0.5], [0.5, 0.5]], "sum to 2"),
        ([[0.5, -0.1], [0.3, 0.3]], "row 0, column 1 is negative"),
        ([[np.nan, 1], [1, 1]], "row 0, column 0 is not finite"),
        ([[np.inf, 1], [1, 1]], "not finite"),
        ([0.5, 0.5], "a table of numbers"),
        ([[0, 0], [1, 3]], "needs two of each"),
        ([["a", "b"]], "a table of numbers"),
        (np.ones((2, 4001)), "at most 4000"),
        (np.full((2, 2), 1e308), "not finite"),
    ],
)
def test_what_is_no_law_is_refused(table: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        law_from_table(table)  # type: ignore[arg-type]


def test_labels_are_counted(tmp_path: Path) -> None:
    pairs = [("cat", "tabby"), ("cat", "tabby"), ("dog", "pug"), ("cat", "pug")]
    law = law_from_labels(*zip(*pairs, strict=True))
    np.testing.assert_allclose(law.table, np.array([[1, 2], [1, 0]]) / 4)
    path = tmp_path / "labels.csv"
    path.write_text("".join(f"{a},{b}\n" for a, b in pairs))
    np.testing.assert_array_equal(law_named(str(path), has_labels=True).table, law.table)
    with pytest.raises(InputError, match=r"is no number.*--labels"):
        law_named(str(path))
    assert "every label occurs once" in law_from_labels(["a", "b"], ["x", "y"]).notes[0]
    with pytest.raises(InputError, match="in pairs"):
        law_from_labels(["a"], ["b", "c"])


@pytest.mark.parametrize("text", ["1,2\n3,4\n", ",x,y\na,1,2\nb,3,4\n", "x;y\n1;2\n3;4\n", "\ufeff1\t2\n3\t4\n"])
def test_tables_as_people_write_them(text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_allclose(law_named(str(path)).table, np.array([[1, 2], [3, 4]]) / 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [("1,2\n3\n", "from 1 to 2 cells"), ("1,2\n3,x\n", "'x' is no number"), ("", "is empty"), ("a,b\n", "'none'|no number")],
)
def test_files_that_are_no_table(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        law_named(str(path))


def test_tables_as_pandas_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(",0,1\n0,30,1\n1,2,4\n")
    np.testing.assert_allclose(law_named(str(path)).table, np.array([[30, 1], [2, 4]]) / 37)
    path.write_text("id,101,102\n201,30,1\n202,2,4\n")
    np.testing.assert_allclose(law_named(str(path)).table, np.array([[30, 1], [2, 4]]) / 37)
    path.write_text("dog,30,1\ncat,2,4\n")
    np.testing.assert_allclose(law_named(str(path)).table, np.array([[30, 1], [2, 4]]) / 37)
    path.write_text("30 1\n2 4\n")
    np.testing.assert_allclose(law_named(str(path)).table, np.array([[30, 1], [2, 4]]) / 37)
    path.write_text("0,1,2\n30,1,5\n2,4,7\n")
    with pytest.raises(InputError, match="may number columns"):
        law_named(str(path))
    path.write_text("image,caption\na,x\na,x\nb,y\nb,x\n")
    law = law_named(str(path), has_labels=True)
    assert law.table.shape == (2, 2)
    assert "taken for a header" in law.notes[0]


def test_groups_are_decided_on_information() -> None:
    table = np.eye(4) / 4 + np.random.default_rng(0).uniform(1e-16, 1e-13, (4, 4))
    assert law_from_table(table / table.sum()).group is None


def test_names_and_files_that_are_none(tmp_path: Path) -> None:
    for text in ("rind:24,5", "ring", "ring:1,5", "ring:24,nan", "simplex:6,2", "blocks:1,3,.1", "sphere:64,5", "circle:2,1"):
        with pytest.raises(InputError):
            law_named(text)
    with pytest.raises(InputError, match=r"no\.npy"):
        law_named(str(tmp_path / "no.npy"))
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        law_named(str(tmp_path / "objects.npy"))


def test_groups_are_found(wide: JointLaw, mirrored: JointLaw) -> None:
    assert law_named("ring:12,3").group == (1, 12)
    assert law_named("blocks:3,4,.2").group == (3, 4)
    assert wide.group is None
    assert mirrored.group is None
    spectrum = law_named("blocks:3,4,.2").spectrum
    assert spectrum is not None
    values = np.linalg.svd(law_named("blocks:3,4,.2").pmi, compute_uv=False) / 12
    np.testing.assert_allclose(np.sort(spectrum), np.sort(values), atol=1e-12)


def test_views_of_a_grid_are_the_pair_law_s() -> None:
    grid = Circle(16)
    content = np.exp(np.cos(np.arange(16) * 2 * np.pi / 16))
    views = two_modalities(grid, content / content.mean(), (2.0, 2.5), 20.0, "views")
    law = law_of_views(views)
    np.testing.assert_allclose(law.first, views.marginals[0] / 16, atol=1e-14)
    np.testing.assert_allclose(law.second, views.marginals[1] / 16, atol=1e-14)
    similarity = float(np.sum(law.table * (grid.points() @ grid.points().T)))
    assert abs(similarity - views.expected_similarity()) < 1e-12
    assert law_named("circle:16,2").group == (1, 16)
