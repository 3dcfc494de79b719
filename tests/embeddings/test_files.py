"""Files of embeddings: what is a component and what is not, what is loaded, and shapes that are none."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors.numpy import save_file

from fieldsolve.embeddings.archives import LARGEST_UNQUESTIONED
from fieldsolve.embeddings.files import read_modalities
from fieldsolve.embeddings.modality import Modality
from fieldsolve.embeddings.partners import read_groups, read_pairs_table
from fieldsolve.numerics.errors import InputError

Array = np.ndarray
ROWS, WIDTH = 60, 16
NAMES = [f"e{k}" for k in range(WIDTH)]


@pytest.fixture
def both(rng: np.random.Generator) -> Array:
    """Two matched modalities (2, 60, 16)."""
    rows = rng.standard_normal((2, ROWS, WIDTH)) + np.array([0.8, -0.8])[:, None, None]
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def read_two(*sources: Path | str) -> tuple[Array, Array, tuple[str, ...]]:
    first, second = read_modalities([str(one) for one in sources])
    return first.rows, second.rows, first.notes + second.notes


def written(path: Path, rows: Array, header: list[str] | None = None, delimiter: str = ",", before: str = "") -> Path:
    lines = [delimiter.join(map(repr, row)) if isinstance(row, list) else row for row in rows.tolist()]
    text = "\n".join(([delimiter.join(header)] if header else []) + lines)
    path.write_text(before + text + "\n", encoding="utf-8")
    return path


def with_column(path: Path, rows: Array, name: str, values: list[object], first: bool = True) -> Path:
    """A CSV of rows in columns e0, e1, ... with another column before or behind them."""
    header = [name, *NAMES] if first else [*NAMES, name]
    lines = [
        ",".join([str(value), *cells] if first else [*cells, str(value)])
        for value, cells in zip(values, [list(map(repr, row)) for row in rows.tolist()], strict=True)
    ]
    path.write_text("\n".join([",".join(header), *lines]) + "\n")
    return path


def test_a_first_record_of_numbers_is_data(both: Array, tmp_path: Path) -> None:
    sources = [written(tmp_path / f"{name}.csv", rows) for name, rows in zip("ab", both, strict=True)]
    first, second, notes = read_two(*sources)
    np.testing.assert_allclose([first, second], both, atol=1e-15)
    assert notes == ()
    np.savetxt(tmp_path / "a.csv", both[0], delimiter=",")  # numbers as 1.0e+00
    np.testing.assert_allclose(read_two(*sources)[0], both[0], atol=1e-15)
    written(tmp_path / "a.csv", both[0], delimiter=";")
    np.testing.assert_allclose(read_two(*sources)[0], both[0], atol=1e-15)
    with pytest.raises(InputError, match="first record is no header"):
        read_two(f"{sources[0]}::e", sources[1])


@pytest.mark.parametrize(
    "header",
    [[str(k) for k in range(WIDTH)], [str(k + 1) for k in range(WIDTH)], NAMES, [f"x{k:02}" for k in range(WIDTH)]],
    ids=["from 0", "from 1", "named", "padded"],
)
def test_a_header_of_counted_or_named_columns_is_one(header: list[str], both: Array, tmp_path: Path) -> None:
    sources = [written(tmp_path / f"{name}.csv", rows, header) for name, rows in zip("ab", both, strict=True)]
    first, second, notes = read_two(*sources)
    np.testing.assert_allclose([first, second], both, atol=1e-15)
    assert notes == ()
    written(sources[0], both[0], header, before="\ufeff")  # as Excel writes it
    np.testing.assert_allclose(read_two(*sources)[0], both[0], atol=1e-15)


def test_a_first_row_that_is_a_unit_vector_of_whole_numbers_is_data(both: Array, tmp_path: Path) -> None:
    lines = [",".join("1" if k == 2 else "0" for k in range(WIDTH)), *(",".join(map(repr, row)) for row in both[0].tolist())]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    np.save(tmp_path / "b.npy", np.vstack([both[1][:1], both[1]]))
    first, _, _ = read_two(tmp_path / "a.csv", tmp_path / "b.npy")
    np.testing.assert_allclose(first[0], np.eye(WIDTH)[2])
    assert len(first) == ROWS + 1


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("", list(range(ROWS)), "'' is an index"),
        ("Unnamed: 0", list(range(ROWS)), "'Unnamed: 0' is an index"),
        ("index", list(range(ROWS)), "'index' holds row numbers"),
        ("id", [float(k) for k in range(1, ROWS + 1)], "'id' holds row numbers"),
        ("label", [k % 7 for k in range(ROWS)], "'label' holds whole numbers"),
        ("label", [k % 2 for k in range(ROWS)], "'label' holds whole numbers"),
        ("path", [f"{k}.jpg" for k in range(ROWS)], "'path' holds no numbers"),
        ("seen", [k % 2 == 0 for k in range(ROWS)], "'seen' holds no numbers"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_no_component_is_left_out_and_said(
    name: str, values: list[object], said: str, first: bool, both: Array, tmp_path: Path
) -> None:
    sources = [with_column(tmp_path / f"{one}.csv", rows, name, values, first) for one, rows in zip("ab", both, strict=True)]
    *found, notes = read_two(*sources)
    np.testing.assert_allclose(found, both, atol=1e-15)
    assert [said in note for note in notes] == [True, True]


@pytest.mark.parametrize(
    ("header", "extra", "said"),
    [
        (["x", "y", "z", "label"], [3.0] * ROWS, "'label' holds whole numbers"),
        (["x", "y", "z", "label"], [1] * ROWS, "'label' holds whole numbers"),
        (["e0", "e1", "e2", "score"], [0.25] * ROWS, "'score' holds numbers"),
        (["e0", "e1", "e2", "e3"], [k % 5 for k in range(ROWS)], "'e3' holds whole numbers"),
        (None, [k % 5 for k in range(ROWS)], "'column 4' holds whole numbers"),
        (["a0", "a1", "b0", "b1"], [0.5] * ROWS, "begin with 'a' and with 'b'"),
        (["x", "x", "z", "w"], [0.5] * ROWS, "two columns are called 'x'"),
    ],
)
def test_what_may_be_no_component_is_refused_by_name(
    header: list[str] | None, extra: list[float], said: str, both: Array, tmp_path: Path
) -> None:
    lines = [",".join([*map(repr, row[:3]), str(one)]) for row, one in zip(both[0].tolist(), extra, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(([",".join(header)] if header else []) + lines))
    np.save(tmp_path / "b.npy", both[1])
    with pytest.raises(InputError, match=said):
        read_modalities([f"{tmp_path}/a.csv", f"{tmp_path}/b.npy"], normalize=True)


@pytest.mark.parametrize(
    "header", [[str(2 * k) for k in range(WIDTH)], [f"{k}.0" for k in range(WIDTH)], [str(15 - k) for k in range(WIDTH)]]
)
def test_whole_numbers_that_differ_name_columns(header: list[str], both: Array, tmp_path: Path) -> None:
    a, b = (written(tmp_path / f"{name}.csv", 5 * rows, header) for name, rows in zip("ab", both, strict=True))
    found = read_modalities([str(a), str(b)], normalize=True)
    assert [len(one.rows) for one in found] == [ROWS, ROWS]


def test_two_columns_that_begin_with_0_and_1_are_refused(tmp_path: Path) -> None:
    rows = np.array([[0, 1], [1, 0], [0.6, 0.8], [0.8, 0.6]])
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", fmt="%g")
    np.save(tmp_path / "b.npy", rows)
    with pytest.raises(InputError, match=r"first record \(0, 1\) may be a header or a row"):
        read_two(tmp_path / "a.csv", tmp_path / "b.npy")


def test_float_labels_and_indexes_are_no_components(both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", both[1])
    labels, rising = (np.arange(ROWS) % 2).astype(float), np.linspace(0, 0.03, ROWS)
    for column, said in ((labels, "whole numbers"), (rising, "numbers in order")):
        np.savetxt(tmp_path / "a.csv", np.column_stack([both[0], column]), delimiter=",")
        with pytest.raises(InputError, match=f"'column 17' holds {said}"):
            read_modalities([f"{tmp_path}/a.csv", f"{tmp_path}/b.npy"], normalize=True)
    named = np.column_stack([both[0][:, :3], rising])
    np.savetxt(tmp_path / "a.csv", named, delimiter=",", header="x,y,z,time", comments="")
    with pytest.raises(InputError, match="'time' holds numbers in order"):
        read_modalities([f"{tmp_path}/a.csv", f"{tmp_path}/b.npy"], normalize=True)


def test_lists_beside_numbered_columns_are_refused(both: Array, tmp_path: Path) -> None:
    columns = {name: both[0][:, k] for k, name in enumerate(NAMES)}
    parquet.write_table(pa.table(columns | {"box": pa.array(list(both[1][:, :4]))}), tmp_path / "a.parquet")
    np.save(tmp_path / "b.npy", both[1])
    with pytest.raises(InputError, match="'box' and 'e0' both hold"):
        read_two(tmp_path / "a.parquet", tmp_path / "b.npy")
    np.testing.assert_allclose(read_two(f"{tmp_path}/a.parquet::e", tmp_path / "b.npy")[0], both[0], atol=1e-15)
    tags = pa.array([["a", "b"]] * ROWS)
    parquet.write_table(pa.table(columns | {"tags": tags}), tmp_path / "a.parquet")
    np.testing.assert_allclose(read_two(tmp_path / "a.parquet", tmp_path / "b.npy")[0], both[0], atol=1e-15)


def test_archives_of_many_arrays_and_parquet_can_be_bombs_too(both: Array, tmp_path: Path) -> None:
    few = np.ones((LARGEST_UNQUESTIONED // 200, 16), dtype=np.float32)
    np.savez_compressed(tmp_path / "x.npz", **{f"x{k}": few for k in range(4)})
    parquet.write_table(pa.table({f"e{k}": np.ones(LARGEST_UNQUESTIONED // 64) for k in range(16)}), tmp_path / "x.parquet")
    np.save(tmp_path / "b.npy", both[1])
    for name in ("x.npz", "x.parquet"):
        with pytest.raises(InputError, match="would unpack from"):
            read_two(tmp_path / name, tmp_path / "b.npy")


def test_texts_in_utf16_and_with_blank_first_lines_are_read(both: Array, tmp_path: Path) -> None:
    a = written(tmp_path / "a.csv", both[0], NAMES)
    np.save(tmp_path / "b.npy", both[1])
    for content in (a.read_text().encode("utf-16"), b"\n\r\n" + a.read_bytes()):
        a.write_bytes(content)
        np.testing.assert_allclose(read_two(a, tmp_path / "b.npy")[0], both[0], atol=1e-15)
        written(a, both[0], NAMES)
    (tmp_path / "pairs.csv").write_bytes("a,b\r\n1,2\r\n".encode("utf-16"))
    np.testing.assert_array_equal(read_pairs_table(tmp_path / "pairs.csv"), [[1, 2]])


def test_tables_as_other_programs_write_them(both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", both[1])
    plain = written(tmp_path / "a.csv", both[0], NAMES).read_text()
    bare = plain.partition("\n")[2]
    np.savetxt(tmp_path / "spaces.csv", both[0])
    np.savetxt(tmp_path / "comment.csv", both[0], delimiter=",", header=",".join(NAMES))
    (tmp_path / "excel.csv").write_text("sep=;\r\n" + plain.replace(",", ";"))
    (tmp_path / "german.csv").write_text(plain.replace(",", ";").replace(".", ","))
    (tmp_path / "bare.csv").write_text(bare.replace(",", ";").replace(".", ","))
    for name in ("spaces", "comment", "excel", "german", "bare"):
        first, _, notes = read_two(tmp_path / f"{name}.csv", tmp_path / "b.npy")
        np.testing.assert_allclose(first, both[0], atol=1e-15, err_msg=name)
        assert notes == ()


def test_columns_that_are_zero_or_signs_are_components(both: Array, tmp_path: Path) -> None:
    rows = both[0].copy()
    rows[:, 4], rows[:, 7] = 0, 0
    rows[3] = np.eye(WIDTH)[7]
    lines = [",".join(str(int(one)) if k in (4, 7) else repr(one) for k, one in enumerate(row)) for row in rows.tolist()]
    (tmp_path / "a.csv").write_text("\n".join([",".join(NAMES), *lines]))
    np.save(tmp_path / "b.npy", both[1])
    first, _ = read_modalities([f"{tmp_path}/a.csv", f"{tmp_path}/b.npy"], normalize=True)
    np.testing.assert_allclose(first.rows, rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-15)


def test_columns_are_those_of_one_name(both: Array, tmp_path: Path) -> None:
    as_text = sorted(range(WIDTH), key=str)  # 0, 1, 10, 11, ..., as programs sort them that take numbers for text
    a = written(tmp_path / "a.csv", both[0], NAMES)
    b = written(tmp_path / "b.csv", both[1][:, as_text], [f"t_{k}" for k in as_text])
    *found, notes = read_two(a, b)
    np.testing.assert_allclose(found, both, atol=1e-15)
    assert any("order of their numbers" in note for note in notes)
    letters = [chr(97 + k) for k in range(WIDTH)]
    a = written(tmp_path / "a.csv", both[0], letters)
    b = written(tmp_path / "b.csv", both[1][:, ::-1], letters[::-1])
    *found, notes = read_two(a, b)
    np.testing.assert_allclose(found, both, atol=1e-15)
    assert any("by name" in note for note in notes)
    written(b, both[1], [*letters[:-1], "z"])
    with pytest.raises(InputError, match="no column like 'p'"):
        read_two(a, b)
    written(b, np.delete(both[1], 3, axis=1), [one for k, one in enumerate(NAMES) if k != 3])
    written(a, both[0], NAMES)
    with pytest.raises(InputError, match="no column like 'e3'"):
        read_two(a, b)


def test_an_index_of_pandas_in_parquet_is_left_out(both: Array, tmp_path: Path) -> None:
    columns = {name: both[0][:, k] for k, name in enumerate(NAMES)}
    parquet.write_table(pa.table(columns | {"__index_level_0__": np.arange(ROWS)}), tmp_path / "a.parquet")
    names = {"embedding": pa.array(list(both[1])), "caption": ["a dog"] * ROWS}
    parquet.write_table(pa.table(names), tmp_path / "b.parquet")
    *found, notes = read_two(tmp_path / "a.parquet", tmp_path / "b.parquet")
    np.testing.assert_allclose(found, both, atol=1e-15)
    assert any("__index_level_0__" in note for note in notes)
    assert any("caption" in note for note in notes)


def test_one_bad_array_does_not_keep_others_from_being_read(both: Array, tmp_path: Path) -> None:
    captions = np.array(["a dog", "a cat"] * 30, dtype=object)
    np.savez(tmp_path / "x.npz", image=both[0], text=both[1], captions=captions, labels=np.arange(ROWS))
    *found, notes = read_two(f"{tmp_path}/x.npz::image", f"{tmp_path}/x.npz::text")
    np.testing.assert_allclose(found, both, atol=1e-15)
    assert notes == ()
    *found, notes = read_two(tmp_path / "x.npz")
    np.testing.assert_allclose(found, both, atol=1e-15)
    assert "captions (object), labels (int64)" in notes[0]
    with pytest.raises(InputError, match="not object; nothing is unpickled"):
        read_two(f"{tmp_path}/x.npz::captions", f"{tmp_path}/x.npz::text")
    content = (tmp_path / "x.npz").read_bytes()
    at = content.index(b"captions.npy") + 12
    (tmp_path / "x.npz").write_bytes(content[:at] + b"\xff" * 4 + content[at + 4 :])  # its header
    np.testing.assert_allclose(read_two(f"{tmp_path}/x.npz::image", f"{tmp_path}/x.npz::text")[:2], both, atol=1e-15)
    save_file({"image": both[0], "text": both[1], "ids": np.arange(ROWS)}, tmp_path / "x.safetensors")
    *found, notes = read_two(tmp_path / "x.safetensors")
    np.testing.assert_allclose(found, both, atol=1e-15)
    assert "ids (I64)" in notes[0]


def test_what_is_not_asked_for_is_not_loaded(both: Array, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=both[0], text=both[1], other=np.random.default_rng(0).random((4000, 1000)))
    tracemalloc.start()
    read_two(f"{tmp_path}/x.npz::image", f"{tmp_path}/x.npz::text")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


@pytest.mark.parametrize("shape", [(LARGEST_UNQUESTIONED // 64, 16), (2, LARGEST_UNQUESTIONED // 128, 16)])
def test_bombs_are_refused_before_they_are_unpacked(shape: tuple[int, ...], both: Array, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", image=np.ones(shape, dtype=np.float64))
    np.save(tmp_path / "b.npy", both[1])
    tracemalloc.start()
    with pytest.raises(InputError, match="would unpack from"):
        read_two(tmp_path / "x.npz", tmp_path / "b.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LARGEST_UNQUESTIONED / 4


def test_a_file_of_zeros_is_not_gone_through_to_its_end(both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((9000, 16), dtype=np.float32))
    np.save(tmp_path / "b.npy", both[1])
    with pytest.raises(InputError, match="8192 of the first 8192 embeddings are zero"):
        read_two(tmp_path / "x.npy", tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((ROWS, 1, WIDTH), r"shape \(60, 1, 16\)"),
        ((ROWS, 2, WIDTH), r"shape \(60, 2, 16\)"),
        ((ROWS, WIDTH, 1), r"shape \(60, 16, 1\)"),
        ((WIDTH, ROWS, 1), r"shape \(16, 60, 1\)"),
        ((2, ROWS, WIDTH, 1), r"shape \(2, 60, 16, 1\)"),
        ((2, 0, WIDTH), r"shape \(2, 0, 16\)"),
        ((2,), r"shape \(2,\)"),
    ],
)
def test_shapes_that_are_none_are_named(shape: tuple[int, ...], said: str, both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.resize(both, shape))
    np.save(tmp_path / "b.npy", both[1])
    with pytest.raises(InputError, match=said):
        read_two(tmp_path / "x.npy", tmp_path / "b.npy")


def test_transposed_tables_and_unequal_widths_are_told(both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "turned.npy", np.swapaxes(both, 1, 2))
    for normalize in (False, True):
        with pytest.raises(InputError, match=r"shape \(16, 60\) were \(d, n\): transpose"):
            read_modalities([f"{tmp_path}/turned.npy"], normalize)
    np.save(tmp_path / "a.npy", both[0])
    np.save(tmp_path / "b.npy", both[1][:, :8])  # rows that are not of unit length any more
    with pytest.raises(InputError, match="a has 16 components and b 8"):
        read_two(tmp_path / "a.npy", tmp_path / "b.npy")


def test_pipes_folders_and_long_names_are_refused_at_once(both: Array, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "folder.npy").mkdir()
    readers: list[Callable[[Path], object]] = [lambda path: read_modalities([path]), read_pairs_table, read_groups]
    for read in readers:
        for name, said in (("pipe.npy", "pipe or device"), ("folder.npy", "is a folder"), ("none.npy", "no such file")):
            with pytest.raises(InputError, match=said):
                read(tmp_path / name)
        for name in ("x" * 5000 + ".npy", "a/" * 3000 + "x.npy", "a\0b.npy"):
            with pytest.raises(InputError, match="cannot be read"):
                read(Path(name))


PAIRS = [(k // 2, k) for k in range(2 * ROWS)]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"{i},{j}" for i, j in PAIRS),
        "image,caption\n" + "\n".join(f"{i},{j}" for i, j in PAIRS),
        "\ufeff" + "\r\n".join(f"{i},{j}" for i, j in PAIRS),
        "\ufeffimage;caption\r\n" + "\r\n".join(f"{i};{j}" for i, j in PAIRS),
        "\n".join(f"{i}.0,{j}.0" for i, j in PAIRS) + "\n\n",
        ",image,caption\n" + "\n".join(f"{k},{i},{j}" for k, (i, j) in enumerate(PAIRS)),
        "\n".join(f"{i}\t{j}" for i, j in PAIRS),
        "\n".join(f"{i} {j}" for i, j in PAIRS),
        ",0,1\n" + "\n".join(f"{k},{i},{j}" for k, (i, j) in enumerate(PAIRS)),
        "0,1\n" + "\n".join(f"{i},{j}" for i, j in PAIRS),
        '"image","caption"\n' + "\n".join(f'"{i}","{j}"' for i, j in PAIRS),
    ],
    ids=["plain", "header", "bom", "semicolons", "floats", "index", "tabs", "spaces", "numbered index", "numbered", "quoted"],
)
def test_tables_of_pairs_as_programs_write_them(text: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(text.encode())
    np.testing.assert_allclose(read_pairs_table(tmp_path / "pairs.csv"), PAIRS)
    np.save(tmp_path / "pairs.npy", np.array(PAIRS, dtype=np.float64))
    np.testing.assert_allclose(read_pairs_table(tmp_path / "pairs.npy"), PAIRS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,caption\n", "holds no pairs"),
        ("", "holds no pairs"),
        ("0,2\n1,x\n", "line 2 is '1, x'"),
        ("0,x\n", "line 1 is '0, x'"),
        ("0,2\n1,2,3\n", "line 2"),
        ("0,1\n1,2\n", "may be a header or a pair"),
        ("a,b\n1_0,2\n", "line 2 is '1_0, 2'"),
        ("0,0.5\n", "whole numbers in two columns"),
        ("0,nan\n", "whole numbers in two columns"),
        ("0,1e300\n", "numbers of rows that no file has"),
    ],
)
def test_tables_of_pairs_that_are_none_are_refused_by_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_pairs_table(tmp_path / "pairs.csv")


def test_labels_of_groups_may_be_in_any_encoding(tmp_path: Path) -> None:
    (tmp_path / "groups.txt").write_bytes(b"\xef\xbb\xbfcaf\xe9\ndog\ncaf\xe9\n")
    labels = read_groups(tmp_path / "groups.txt")
    assert labels[0] == labels[2] != labels[1] == "dog"
    (tmp_path / "groups.txt").write_text("0,cat\n1,dog \n2,cat\n")  # as pandas writes a series
    np.testing.assert_array_equal(read_groups(tmp_path / "groups.txt"), ["cat", "dog", "cat"])


def test_names_that_are_no_text_are_read_and_shown(both: Array, tmp_path: Path) -> None:
    for name in ("caf\udce9", "\x1b[31mred", "<script>"):
        np.save(tmp_path / f"{name}.npy", both)
        save_file({"image": both[0], "text": both[1]}, tmp_path / "plain.safetensors")
        (tmp_path / "plain.safetensors").rename(tmp_path / f"{name}.safetensors")
        for suffix in ("npy", "safetensors"):
            found: list[Modality] = read_modalities([str(tmp_path / f"{name}.{suffix}")])
            np.testing.assert_allclose([one.rows for one in found], both, atol=1e-15)
            assert all(one.name.isprintable() for one in found)
