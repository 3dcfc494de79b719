"""The command line as a user types it: output, files, exit codes, and one sentence for what goes wrong."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import fieldsolve as fs
from fieldsolve.cli import main

COMMON = {
    "schema", "problem", "size", "energy", "bound", "gap", "stationarity", "status", "steps", "seconds", "kde_error",
    "kernel_volume_spread",
}  # fmt: skip
UNIMODAL = {"binding", "entropy", "log_partition", "cap_mass"}
MULTIMODAL = {
    "phase",
    "matched_stability",
    "matched_energy",
    "symmetric_kl",
    "centroid_gap",
    "binding",
    "spike_mass",
    "excess_mass",
    "retained_fraction",
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments: object, code: int = 3) -> str:
    """The one sentence on stderr of a command that must fail with the code."""
    result = run(*arguments)
    assert result.exit_code == code, (result.exit_code, result.output)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    if code == 3:
        assert result.stderr.count("\n") == 1
    return result.stderr


def test_unimodal_json_has_what_is_promised() -> None:
    result = run("unimodal", "--tau", 0.2, "--nside", 16, "--json")
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures.keys() >= COMMON | UNIMODAL
    assert list(figures) == sorted(figures)
    assert figures["schema"] == "fieldsolve/unimodal/2"
    assert figures["gap"] == pytest.approx(0, abs=1e-12)
    assert figures["energy"] == pytest.approx(figures["binding"] - figures["entropy"], abs=1e-12)
    assert figures["status"].startswith("converged")


def test_multimodal_json_has_what_is_promised() -> None:
    result = run("multimodal", "--nside", 16, "--json", "--potential", "two-well", "--potential", "vmf:5@1,0,0", "--misalign", 15)
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures.keys() >= COMMON | MULTIMODAL
    assert figures["schema"] == "fieldsolve/multimodal/2"
    assert figures["spike_mass"] == pytest.approx([1, 1])
    assert figures["potential"] == ["two-well", "vmf:5@1,0,0 rotated by 15 degrees"]
    assert figures["retained_fraction"] is None


def test_one_potential_serves_both_modalities_and_the_second_is_misaligned() -> None:
    figures = json.loads(run("multimodal", "--nside", 8, "--json", "--coupling", 0, "--misalign", 90, "--tau", 0.1).stdout)
    alone = json.loads(run("unimodal", "--nside", 8, "--json", "--misalign", 90, "--floor", 1e-3, "--tau", 0.1).stdout)
    assert figures["binding"][1] == pytest.approx(alone["binding"], abs=1e-12)


def test_the_table_shows_the_figures() -> None:
    result = run("unimodal", "--tau", 1, "--nside", 8)
    figures = json.loads(run("unimodal", "--tau", 1, "--nside", 8, "--json").stdout)
    assert f"energy                {figures['energy']:.10g}" in result.stdout
    assert result.stdout.startswith("converged")
    assert run("unimodal", "--nside", 8, "--quiet").output == ""


def test_results_are_written_and_reload(tmp_path: Path) -> None:
    result = run("multimodal", "--nside", 8, "--floor", 1e-2, "--json", "-o", tmp_path / "run")
    assert result.exit_code == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"summary.json", "fields.fits", "trace.csv", "figure.png"}
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert set(summary.pop("files")) == {"fields.fits", "figure.png", "trace.csv"}
    assert isinstance(summary.pop("checksum"), int)
    assert summary == json.loads(result.stdout)
    solution = fs.load(tmp_path / "run")
    assert solution.spike_mass == pytest.approx([1, 1])
    again = run("multimodal", "--nside", 8, "--floor", 1e-2, "--json", "--start", tmp_path / "run")
    assert json.loads(again.stdout)["steps"] == 1  # one best response, which changes nothing
    assert json.loads(again.stdout)["energy"] == pytest.approx(solution.energy, abs=1e-13)


def test_results_on_the_circle(tmp_path: Path) -> None:
    result = run(
        "unimodal", "--circle", 90, "--potential", "vmf:6@1,0*0.7+6@-1,0*0.3", "--energy", "smoothed", "-o", tmp_path / "c"
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "c" / "fields.npz").exists()
    assert fs.load(tmp_path / "c").grid == fs.Circle(90)


def test_the_circle_has_a_default_potential() -> None:
    for command in ("unimodal", "multimodal"):
        result = run(command, "--circle", 90, "--json", "--misalign", 30)
        assert result.exit_code == 0, result.output
        assert "vmf:6" in json.loads(result.stdout)["potential"][0]
        assert json.loads(result.stdout)["problem"]["grid"] == "circle:90"


def test_a_full_standard_output_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fieldsolve.cli.solutions._table", full)
    assert "No space left" in refused("unimodal", "--nside", 4)


def test_pairs_from_one_file_and_from_two(tmp_path: Path, rng: np.random.Generator) -> None:
    both = rng.standard_normal((2, 50, 7)) + 0.5
    both /= np.linalg.norm(both, axis=-1, keepdims=True)
    np.save(tmp_path / "both.npy", both)
    np.save(tmp_path / "a.npy", both[0])
    np.save(tmp_path / "b.npy", both[1])
    one = run("multimodal", "--nside", 8, "--json", "--pairs", tmp_path / "both.npy", "-o", tmp_path / "run")
    two = run("multimodal", "--nside", 8, "--json", "--pairs", tmp_path / "a.npy", "--pairs", tmp_path / "b.npy")
    assert one.exit_code == two.exit_code == 0, one.output
    first, second = json.loads(one.stdout), json.loads(two.stdout)
    assert 0 < first["retained_fraction"] < 1
    assert first["energy"] == second["energy"]
    assert fs.load(tmp_path / "run").pairs.shape == (2, 50, 3)


def test_running_out_of_steps_is_exit_code_4_and_results_are_written(tmp_path: Path) -> None:
    result = run("multimodal", "--nside", 8, "--coupling", 0.5, "--start", "tilted", "--max-steps", 2, "-o", tmp_path / "run")
    assert result.exit_code == 4
    assert "not converged" in result.stderr
    assert not fs.load(tmp_path / "run").converged


def test_numbers_out_of_range_are_errors_of_usage() -> None:
    for command, option, value in (
        ("unimodal", "--floor", 1), ("unimodal", "--floor", -0.1), ("unimodal", "--floor", "nan"), ("unimodal", "--tau", 0),
        ("multimodal", "--tau", -1), ("unimodal", "--tau", 5e-324), ("unimodal", "--nside", 12),
        ("multimodal", "--coupling", 1.5),
        ("multimodal", "--misalign", "inf"), ("unimodal", "--cap-radius", 0), ("unimodal", "--circle", 2),
        ("unimodal", "--max-steps", -1), ("unimodal", "--tol", -1), ("unimodal", "--critic", "euclidean"),
        ("unimodal", "--energy", "free"), ("unimodal", "--nside", 10**20),
    ):  # fmt: skip
        assert f"'{option}'" in refused(command, option, value, code=2)
    refused("unimodal", "--circle", 90, "--nside", 8, code=2)
    assert "is not a valid float" in refused("unimodal", "--tau", "cold", code=2)


def test_what_is_no_problem_is_refused() -> None:
    assert "start" in refused("unimodal", "--start", "nowhere")
    assert "unbounded below" in refused("multimodal", "--floor", 0)
    assert "nside 64" in refused("unimodal", "--tau", 0.001, "--nside", 16, "--energy", "smoothed")
    assert "circle" in refused("unimodal", "--circle", 90, "--potential", "two-well")
    assert "unknown grid" in refused("unimodal", "--grid", "torus:8")
    assert "unknown term" in refused("unimodal", "--term", "mdm")


def test_bad_files(tmp_path: Path) -> None:
    values = np.zeros(768)
    values[3] = np.nan
    np.save(tmp_path / "nan.npy", values)
    assert "1 of 768 pixels are NaN" in refused("unimodal", "--potential", tmp_path / "nan.npy")
    np.save(tmp_path / "short.npy", values[:700])
    assert "700 values" in refused("unimodal", "--potential", tmp_path / "short.npy")
    (tmp_path / "none.fits").write_bytes(b"\x00" * 5000)
    assert "none.fits" in refused("unimodal", "--potential", tmp_path / "none.fits")
    pairs = np.full((2, 6, 4), 0.5)
    pairs[1, 2] = 0
    np.save(tmp_path / "zero.npy", pairs)
    assert "zero" in refused("multimodal", "--pairs", tmp_path / "zero.npy")
    np.save(tmp_path / "a.npy", pairs[0])
    np.save(tmp_path / "b.npy", pairs[0, :4])
    assert "6 and 4" in refused("multimodal", "--pairs", tmp_path / "a.npy", "--pairs", tmp_path / "b.npy")
    refused("multimodal", "--pairs", tmp_path / "a.npy", "--potential", "flat", code=2)
    refused("multimodal", "--bandwidth", 0.1, code=2)


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    assert "not empty" in refused("unimodal", "--nside", 4, "-o", tmp_path / "run")
    assert "not empty" in refused("unimodal", "--nside", 4, "-o", tmp_path / "run", "--force")
    assert (tmp_path / "run" / "mine.txt").read_text() == "mine"


def test_shown_results_may_be_where_nobody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("unimodal", "--nside", 4, "--cap-radius", 1, "-o", tmp_path / "run").exit_code == 0
    written = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}

    def read_only(self: Path, mode: str = "r", *arguments: object) -> object:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.replace", read_only)
        result = run("show", tmp_path / "run", "--json")
    assert result.exit_code == 0
    assert "nothing is drawn again" in result.stderr
    stored = json.loads(written["summary.json"])
    assert json.loads(result.stdout) == {name: stored[name] for name in stored if name not in ("files", "checksum")}
    assert json.loads(result.stdout)["cap_radius"] == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == written


def test_damaged_results_are_refused_in_one_sentence(tmp_path: Path) -> None:
    assert run("unimodal", "--nside", 4, "-o", tmp_path / "run").exit_code == 0
    path = tmp_path / "run" / "summary.json"
    whole = json.loads(path.read_text())
    for name in ("energy", "problem", "schema", "files", "trace", "checksum", "status"):
        path.write_text(json.dumps(whole | {name: 5}))
        assert "summary.json" in refused("show", tmp_path / "run")
    path.write_text(json.dumps(whole))
    (tmp_path / "run" / "fields.fits").write_bytes((tmp_path / "run" / "fields.fits").read_bytes()[:-1])
    assert "fields.fits is damaged" in refused("show", tmp_path / "run")


def test_pictures_look_as_ours_whatever_matplotlib_is_set_to(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\naxes.facecolor: red\nfont.family: no such font\n")
    np.save(tmp_path / "a$b_$.npy", np.zeros(192))
    pictures = []
    for more in ({}, {"MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(tmp_path)}):
        folder = tmp_path / f"run{len(pictures)}"
        arguments = ["unimodal", "--potential", tmp_path / "a$b_$.npy", "--nside", "4", "-o", folder]
        done = subprocess.run(
            [sys.executable, "-m", "fieldsolve", *map(str, arguments)], env=os.environ | more, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "no picture" not in done.stderr
        pictures.append((folder / "trace.csv").read_bytes() and (folder / "figure.png").read_bytes())
    assert len(pictures[0]) == pytest.approx(len(pictures[1]), rel=0.02)  # the time that it took is in them


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode here")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).normal(size=(24, 3))
    first, second = os.fsdecode(b"fi\xffrst.npy"), "se\x1b[31mcond.npy"
    np.save(tmp_path / first, rows)
    np.save(tmp_path / second, rows[:, ::-1])
    done = subprocess.run(
        [sys.executable, "-m", "fieldsolve", "diagnose", first, second, "--normalize", "--tau", "0.1", "--theory", "-o", "out"],
        cwd=tmp_path, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    assert "fi\N{REPLACEMENT CHARACTER}rst (a)" in done.stdout.decode()
    assert {"report.html", "table.md", "metrics.csv", "sky.png"} <= {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert "cannot be written" in refused("unimodal", "--nside", 4, "-o", tmp_path / "run")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no folder here that nobody can write to")
def test_a_folder_that_cannot_be_made() -> None:
    assert "cannot be written" in refused("unimodal", "--nside", 4, "-o", "/proc/fieldsolve/run")


def test_an_internal_error_hints_at_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("fieldsolve.equilibrium.solve.matched_state", broken)
    result = run("unimodal", "--nside", 4)
    assert result.exit_code == 1
    assert "a bug" in result.stderr
    assert "--debug" in result.stderr
    debugged = run("unimodal", "--nside", 4, "--debug")
    assert debugged.exit_code == 1
    assert "Traceback" in debugged.stderr
    assert "a bug" in debugged.stderr


def test_debug_keeps_the_exit_code() -> None:
    result = run("multimodal", "--floor", 0, "--debug")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_an_interruption_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fieldsolve.equilibrium.solve.matched_state", interrupted)
    assert run("unimodal", "--nside", 4).exit_code == 130


@pytest.mark.parametrize("command", ["unimodal", "multimodal"])
def test_help_has_examples_units_and_defaults(command: str) -> None:
    text = run(command, "--help").output
    assert text.count(f"fieldsolve {command}") >= 2
    for word in ("nats", "default", "RAD", "--tau", "--floor", "--force", "--debug"):
        assert word in text


def loaded(*arguments: str) -> set[str]:
    """The top-level modules a fresh interpreter has loaded after a command."""
    code = (
        "import sys, atexit\natexit.register(lambda: print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr))\n"
    )
    code += f"from fieldsolve.cli import main\nmain({list(arguments)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_loads_nothing_slow() -> None:
    assert "click" in loaded("--help")
    for arguments in (["--help"], ["multimodal", "--help"], ["--version"]):
        assert not loaded(*arguments) & {"numpy", "numba", "healpy", "scipy", "matplotlib", "ducc0", "rich"}


def test_a_solve_without_a_figure_loads_neither_healpy_nor_matplotlib() -> None:
    modules = loaded("multimodal", "--nside", "8", "--misalign", "20", "--json")
    assert "numba" in modules
    assert not modules & {"healpy", "astropy", "matplotlib", "rich"}


def test_the_installed_command_answers() -> None:
    command = Path(sys.executable).with_name("fieldsolve")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert fs.__version__ in done.stdout


SMALL = """
[problem]
tau = 1.0
nside = 4
[axes]
coupling = [0.0, 0.1, 0.3]
"""


def test_phase_diagram_and_show(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SMALL)
    estimate = json.loads(run("phase-diagram", tmp_path / "s.toml", "--dry-run", "--json").stdout)
    assert (estimate["cells"], estimate["transitions"], estimate["branches"]) == (3, 1, 2)
    assert estimate["seconds"] > 0
    assert not (tmp_path / "d").exists()
    done = run("phase-diagram", tmp_path / "s.toml", "-o", tmp_path / "d", "--workers", 1, "--json")
    assert done.exit_code == 0
    figures = json.loads(done.stdout)
    assert (figures["schema"], figures["cells"], figures["certified"]) == ("fieldsolve/phase-diagram/1", 3, 3)
    assert figures["matched"] + figures["separated"] + figures["collapsed"] == 3
    picture = (tmp_path / "d" / "diagram.png").read_bytes()
    (tmp_path / "d" / "diagram.png").unlink()
    shown = run("show", tmp_path / "d", "--json")
    assert json.loads(shown.stdout) == figures
    assert (tmp_path / "d" / "diagram.png").read_bytes() == picture
    assert {"cells.csv", "diagram.svg", "ledger.sqlite"} <= {path.name for path in (tmp_path / "d").iterdir()}


def test_show_draws_a_solution_again(tmp_path: Path) -> None:
    run("multimodal", "--nside", 4, "--coupling", 0.2, "-o", tmp_path / "run", "--quiet")
    picture = (tmp_path / "run" / "figure.png").read_bytes()
    (tmp_path / "run" / "figure.png").unlink()
    shown = run("show", tmp_path / "run")
    assert shown.exit_code == 0
    assert "phase" in shown.stdout
    assert (tmp_path / "run" / "figure.png").read_bytes() == picture
    assert "no complete fieldsolve results" in refused("show", tmp_path)


def test_failed_cells_give_their_own_exit_code(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SMALL.replace("coupling = [0.0, 0.1, 0.3]", "floor = [0.0, 0.1]"))
    done = run("phase-diagram", tmp_path / "s.toml", "-o", tmp_path / "d", "--workers", 1)
    assert done.exit_code == 5
    assert "floor" in done.stderr
    assert "--retry-failed" in done.stderr
    assert (tmp_path / "d" / "cells.csv").exists()
    steps = SMALL.replace("nside = 4", "nside = 4\nmax_steps = 1\nenergy = 'smoothed'")
    (tmp_path / "s.toml").write_text(steps)
    assert run("phase-diagram", tmp_path / "s.toml", "-o", tmp_path / "e", "--workers", 1).exit_code == 4


def test_phase_diagram_usage(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SMALL)
    assert run("phase-diagram", tmp_path / "s.toml").exit_code == 2
    assert run("phase-diagram", tmp_path / "s.toml", "-o", "d", "--scheduler", "tcp://x:1", "--workers", 2).exit_code == 2
    (tmp_path / "s.toml").write_text("[axes]\ntau = [-1.0]\nnside = [3]\n")
    done = run("phase-diagram", tmp_path / "s.toml", "--dry-run")
    assert done.exit_code == 3
    assert "2 things to mend" in done.stderr
    assert "axes.tau.0" in done.stderr
    assert "axes.nside.0" in done.stderr


def test_phases_are_reported(tmp_path: Path) -> None:
    figures = json.loads(run("multimodal", "--nside", 8, "--tau", 1, "--coupling", 0.2, "--json").stdout)
    assert (figures["phase"], figures["matched_stability"], figures["start"]) == ("separated", "metastable", "global")
    assert figures["gap"] < 1e-6
    assert figures["matched_energy"] > figures["energy"]
    said = run("multimodal", "--nside", 8, "--tau", 1, "--coupling", 0.2).stdout
    assert "separated; the matched state is metastable" in said
    smoothed = json.loads(run("multimodal", "--nside", 8, "--energy", "smoothed", "--json").stdout)
    assert (smoothed["phase"], smoothed["start"]) == (None, "tilted")
    assert "global" in refused("multimodal", "--nside", 8, "--energy", "smoothed", "--start", "global")


def test_the_spec_in_the_help_is_one(tmp_path: Path) -> None:
    help_text = run("phase-diagram", "--help").stdout
    body = help_text[help_text.index("[problem]") : help_text.index("Run it again")]
    (tmp_path / "s.toml").write_text(body.replace(', "map.fits"', ""))
    done = run("phase-diagram", tmp_path / "s.toml", "--dry-run", "--json")
    assert json.loads(done.stdout)["cells"] == 41 * 41


def test_smoothed_states_say_whether_they_are_stable(tmp_path: Path) -> None:
    flat = (
        "multimodal",
        "--energy",
        "smoothed",
        "--potential",
        "flat",
        "--nside",
        8,
        "--floor",
        0,
        "--coupling",
        0.45,
        "--start",
        "uniform",
    )
    saddle = json.loads(run(*flat, "-o", tmp_path / "saddle", "--json").stdout)
    assert (saddle["local_stability"], saddle["unstable_modes"], saddle["unstable_modes_are_all"]) == ("saddle", 3, True)
    assert saddle["multipole_content"][1] == pytest.approx(1, abs=1e-5)
    assert saddle["antisymmetry"] == pytest.approx(1, abs=1e-6)
    assert saddle["lowest_eigenvalues"][0] < -0.01
    assert "100 % of degree 1" in run("show", tmp_path / "saddle").stdout
    left = json.loads(run(*flat, "--escape", "--json").stdout)
    assert left["energy"] < saddle["energy"] - 0.01
    assert left["centroid_gap"] > 1
    intrinsic = json.loads(run("unimodal", "--nside", 8, "--json").stdout)
    assert intrinsic["local_stability"] is None
    assert "smoothed energy" in refused("multimodal", "--nside", 8, "--escape")
