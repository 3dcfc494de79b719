"""Some hundreds of the cases that tests/fuzz.py has thousands of."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from fuzz import Outcome, outcome, run

from fieldsolve.cli import main
from fieldsolve.cli.values import FIGURES
from fieldsolve.output.pictures import KINDS as PICTURES


@pytest.mark.parametrize(
    ("kind", "seed", "cases"), [("options", 1, 150), ("options", 2, 150), ("files", 3, 60), ("files", 4, 60)]
)
def test_nothing_ends_in_an_internal_error(kind: str, seed: int, cases: int, tmp_path: Path) -> None:
    found = run(kind, cases, seed, tmp_path)
    assert [one for one in found if one.problem] == []
    assert len({one.code for one in found}) >= 2  # some are answered, some refused


def test_a_case_that_goes_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("fieldsolve.theorems.dispersion.dispersion", broken)
    found: Outcome = outcome(["stability"])
    assert found.code == 1
    assert "internal error" in str(found.problem)


@pytest.mark.parametrize(
    "line",
    [
        ["unimodal", "--tau", "1e-308"],
        ["unimodal", "--tau", "5e-324"],
        ["multimodal", "--tau", "1" + "0" * 400],
        ["unimodal", "--nside", "1" + "0" * 30],
        ["multimodal", "--circle", "1" + "0" * 30],
        ["multimodal", "--max-steps", "12345678901234567890"],
        ["unimodal", "--cap-radius", "3.1416"],
        ["stability", "--lmax", "12345678901234567890"],
        ["stability", "--dimension", "1"],
        ["consistency", "--batch", "1" + "0" * 20],
        ["sharpness", "--at", "nan"],
        ["sharpness", "--floor", "1"],
        ["unimodal", "--threads", "1" + "0" * 20],
        ["show", "a\0b"],
        ["show", "a/" * 3000],
        ["unimodal", "-o", "a/" * 1900],
        ["unimodal", "-o", "x.png"],
        ["diagnose", "x.npy", "-o", "gap.json"],
    ],
)
def test_options_out_of_range_are_errors_of_usage(line: list[str]) -> None:
    found = outcome(line)
    assert (found.code, found.problem) == (2, None)
    assert found.seconds < 2


@pytest.mark.parametrize("radius", ["3", "3.14", "1e-300", "3.141592653589793"])
def test_caps_may_be_of_any_size(radius: str) -> None:
    found = outcome(["unimodal", "--nside", "4", "--cap-radius", radius])
    assert (found.code, found.problem) == (0, None)


def test_the_table_leads_with_what_is_asked_for_and_has_units() -> None:
    said = CliRunner().invoke(main, ["multimodal", "--nside", "8", "--coupling", "0.5", "--tau", "0.3", "--floor", "0.01"]).stdout
    lines = said.splitlines()
    assert lines[2].startswith("phase")
    assert lines[3].startswith("centroid gap")
    assert lines[4].startswith("symmetric KL")
    numbers = [line[22:].split("  ") for line in lines[3:]]
    assert all(cells[-1].strip() and not cells[-1][0].isdecimal() for cells in numbers if cells[-1] != "0 to 2")
    assert not any(word in said for word in ("KDE error", "kernel volume"))


def test_long_paths_and_deep_specs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    (tmp_path / "digits.toml").write_text("a = " + "1" * 5000)
    for line in (
        ["phase-diagram", f"{tmp_path}/deep.toml", "--dry-run"],
        ["phase-diagram", f"{tmp_path}/digits.toml", "--dry-run"],
        ["unimodal", "--nside", "2", "--potential", "a/" * 3000 + "x.npy"],
        ["unimodal", "--nside", "2", "--potential", "vmf:6@1,0", "--misalign", "3"],
    ):
        found = outcome(line)
        assert (found.code, found.problem) == (3, None), found


def test_a_picture_alone_goes_beside_the_folder_and_over_nothing(tmp_path: Path) -> None:
    small, picture = ["unimodal", "--nside", "2"], tmp_path / "x.png"
    inside = outcome([*small, "-o", f"{tmp_path}/run", "--figure", f"{tmp_path}/run/figure.png"])
    assert (inside.code, inside.problem) == (2, None)
    picture.symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.png").mkdir()
    for name, more in (("x.png", []), ("folder.png", ["--force"]), ("x.toml/y.png", [])):
        assert outcome([*small, "--figure", f"{tmp_path}/{name}", *more]).code == 3
    assert picture.is_symlink()


def test_pictures_are_of_the_kinds_that_can_be_drawn() -> None:
    assert {f".{kind}" for kind in PICTURES} == set(FIGURES)


def test_a_picture_alone_is_written(tmp_path: Path) -> None:
    for suffix, begins in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")):
        path = tmp_path / f"x{suffix}"
        assert CliRunner().invoke(main, ["unimodal", "--nside", "2", "--figure", str(path)]).exit_code == 0
        assert path.read_bytes().startswith(begins)
