"""Shards of one table, in folders and by patterns, are the table."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fieldsolve.embeddings.files import read_modalities
from fieldsolve.numerics.errors import InputError


def unit(count: int, width: int = 4, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def split(rows: np.ndarray, parts: int) -> list[np.ndarray]:
    return np.array_split(rows, parts, axis=-2)


def test_numpy_shards_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    rows, other = unit(120), unit(120, seed=1)
    (tmp_path / "a").mkdir()
    for k, part in enumerate(split(rows, 12)):
        np.save(tmp_path / "a" / f"part_{k}.npy", part)  # part_10 comes before part_2 by name
    for k, part in enumerate(split(np.stack([rows, other]), 11)):
        np.save(tmp_path / f"both-{k}.npy", part)
    np.save(tmp_path / "b.npy", other)
    for sources in (
        (tmp_path / "a" / "part_*.npy", tmp_path / "b.npy"),
        (tmp_path / "a", tmp_path / "b.npy"),
        (tmp_path / "both-*.npy",),
    ):
        found = read_modalities(sources)
        np.testing.assert_allclose(found[0].rows, rows, atol=1e-7)
        np.testing.assert_allclose(found[1].rows, other, atol=1e-7)
    assert read_modalities([tmp_path / "a", tmp_path / "b.npy"])[0].name == "a"
    drawn = read_modalities([tmp_path / "a", tmp_path / "b.npy"], most=50)
    assert len(drawn[0].rows) == 50


def test_parquet_and_safetensors_shards(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows, other = unit(60), unit(60, seed=1)
    for name, table in (("image", rows), ("text", other)):
        (tmp_path / name).mkdir()
        for k, part in enumerate(split(table, 3)):
            columns = {f"{name}_{c}": part[:, c] for c in range(4)}
            parquet.write_table(arrow.table(columns), tmp_path / name / f"{k:05d}.parquet")
        (tmp_path / name / "_SUCCESS").write_text("")
    for k, (one, two) in enumerate(zip(split(rows, 2), split(other, 2), strict=True)):
        save_file({"image": np.ascontiguousarray(one), "text": np.ascontiguousarray(two)}, tmp_path / f"s{k}.safetensors")
    for sources in ((tmp_path / "image", tmp_path / "text"), (tmp_path / "s*.safetensors",)):
        found = read_modalities(sources)
        np.testing.assert_allclose(found[0].rows, rows, atol=1e-7)
        np.testing.assert_allclose(found[1].rows, other, atol=1e-7)
    alone = read_modalities([f"{tmp_path / 's*.safetensors'}::text", f"{tmp_path / 's*.safetensors'}::image"])
    np.testing.assert_allclose(alone[0].rows, other, atol=1e-7)


def test_shards_that_do_not_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", unit(40))
    for name, shards, said in (
        ("wide", [unit(20), unit(20, 5)], "all shards need the same"),
        ("kind", [unit(20), unit(20).astype(np.float64)], "float64"),
        ("deep", [unit(20), np.stack([unit(20)] * 2)], "all shards need the same"),
    ):
        (tmp_path / name).mkdir()
        for k, part in enumerate(shards):
            np.save(tmp_path / name / f"{k}.npy", part)
        with pytest.raises(InputError, match=said):
            read_modalities([tmp_path / name, tmp_path / "b.npy"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="without embeddings"):
        read_modalities([tmp_path / "empty", tmp_path / "b.npy"])
    with pytest.raises(InputError, match="no file is called like that"):
        read_modalities([tmp_path / "none_*.npy", tmp_path / "b.npy"])
    (tmp_path / "wide" / "x.parquet").write_text("")
    with pytest.raises(InputError, match="several kinds"):
        read_modalities([tmp_path / "wide", tmp_path / "b.npy"])
    np.savez(tmp_path / "one-0.npz", x=unit(20))
    np.savez(tmp_path / "one-1.npz", x=unit(20), y=unit(20))
    with pytest.raises(InputError, match=r"holds x, y, and one-0\.npz x"):
        read_modalities([tmp_path / "one-*.npz", tmp_path / "b.npy"])
