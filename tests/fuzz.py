"""Fuzzing of the command line: options at their extremes and damaged or foreign files end in an answer or a clear refusal.

`python tests/fuzz.py --cases 5000` runs as many cases of each kind and prints what came of them; tests/cli/test_fuzz.py a few
hundred. A case fails if it ends in an internal error or a traceback, says nothing of why, or takes longer than it may.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.testing import CliRunner

from fieldsolve.cli import main
from fieldsolve.encoders.moving import move_gap

Generator = np.random.Generator

#: What a case may end in: done, usage, refused, not converged, cells failed, a check failed.
ALLOWED = {0, 2, 3, 4, 5, 6}
PATIENCE = 60.0  # seconds, of which compiling may take some

NUMBERS = (
    *("0", "-0.0", "-1", "1", "2", "3", "4", "7", "0.5", "1e-9", "1e-8", "0.001", "1e9", "1e-308", "5e-324", "1e308", "1e309"),
    *("nan", "inf", "-inf", "12345678901234567890", "-99999999999999999999", "1" + "0" * 400, "0x10", "1_0", "\u0661", "", " "),
)
WORDS = (
    *(
        "flat",
        "two-well",
        "uniform",
        "gibbs",
        "tilted",
        "random:1",
        "random:99999999999999999999",
        "global",
        "cosine",
        "geodesic",
    ),
    *("vmf:12@0,0,1", "vmf:1e308@0,0,1", "vmf:5e-324@1,0,0", "vmf:1@0,0,0", "vmf:nan@0,0,1", "vmf:1@1e308,1e308,0", "vmf:1@1,0"),
    *("vmf:" + "+".join(["1@0,0,1"] * 500), "vmf:", "healpix:4", "circle:16", "healpix:1e3", "healpix:0", "circle:-1", "zonal"),
    *("x.fits", "none.npy", "none.csv", "a/" * 2000 + "x.npy", "y" * 5000, "\x1b[31mred", "caf\udce9.npy", "a\0b.npy", "..", "/"),
    *(
        "smoothed",
        "intrinsic",
        "cross-entropy:1",
        "cross-entropy:weight=nan",
        "::",
        "a::b",
        "0.1,0.5",
        "0.1,,",
        "=cmd",
        "<script>",
    ),
)

#: What keeps a case short, by command.
SMALL: dict[str, list[str]] = {
    "unimodal": ["--nside", "4"],
    "multimodal": ["--nside", "4"],
    "consistency": ["--nside", "2", "--largest", "16", "--seeds", "2", "--batch", "4"],
    "sharpness": ["--nside", "4"],
    "stability": [],
    "diagnose": ["--exchanges", "99"],
    "encoders": ["--tau", "0.3", "--max-steps", "300"],
    "move-gap": [],
    "check": ["--max-centroid-gap", "0.5"],
    "remedy": ["--no-states"],
    "show": [],
    "phase-diagram": ["--dry-run"],
}


@dataclass(frozen=True)
class Outcome:
    """What came of a case; problem: what is wrong with that, if anything."""

    arguments: list[str]
    code: int
    seconds: float
    problem: str | None


class _TooLong(BaseException):
    """Not an Exception, so that nothing takes it for a failure of its own."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise _TooLong after so many seconds, where there are alarms (not on Windows)."""

    def ring(*_: Any) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(arguments: list[str]) -> Outcome:
    """Run one command line in this process."""
    began = time.perf_counter()
    try:
        with at_most(PATIENCE):
            result = CliRunner().invoke(main, arguments)
    except _TooLong:
        return Outcome(arguments, -1, PATIENCE, f"takes longer than {PATIENCE:g} s")
    problem = None
    if result.exit_code not in ALLOWED:
        problem = f"ends with {result.exit_code}: {result.output[-300:] or result.exception!r}"
    elif "Traceback" in result.output or "\x1b" in result.output:
        problem = "shows a traceback or control characters"
    elif result.exit_code in (2, 3) and len(result.output.strip().splitlines()) == 0:
        problem = "is refused without a word"
    return Outcome(arguments, result.exit_code, time.perf_counter() - began, problem)


def option_cases(folder: Path, rng: Generator) -> Iterator[list[str]]:
    """Command lines with one to three options at values from anywhere."""
    commands = {name: main.get_command(click.Context(main), name) for name in SMALL}
    both = folder / "both.npy"
    while True:
        name = str(rng.choice(list(commands)))
        command = commands[name]
        assert command is not None
        options = [one for one in command.params if isinstance(one, click.Option) and one.name not in _KEPT]
        chosen = rng.choice(len(options), size=min(len(options), int(rng.integers(1, 4))), replace=False)
        line = [name, *_arguments(name, folder, both, rng), *SMALL[name]]
        for one in (options[k] for k in chosen):
            line.append(one.opts[-1] if not one.opts[0].startswith("--") else one.opts[0])
            if not one.is_flag:
                line.append(_value(one, rng))
        yield line


#: Options that a case must not have: they write, or start other processes.
_KEPT = {"output", "save_means", "moved", "states", "force", "workers", "scheduler", "local_cluster", "debug", "help", "figure"}


def _arguments(name: str, folder: Path, both: Path, rng: Generator) -> list[str]:
    if name == "encoders":
        return [str(rng.choice(np.array(_LAWS)))]
    if name in ("diagnose", "move-gap", "check"):
        return [str(both) if rng.random() < 0.8 else str(rng.choice(WORDS))]
    if name == "remedy":
        return [str(rng.choice(np.array(_REMEDIES)))]
    if name == "show":
        return [str(rng.choice(WORDS))]
    if name == "phase-diagram":
        return [str(folder / "spec.toml")]
    return []


_REMEDIES = (
    *("all", "alignclip", "cua", "siglip", "in-modal-negatives", "joint-softmax", "uniformity:2", "uniformity:nan", "mmd:0.1"),
    *("mmd:1e-9", "mmd:1e9", "centroid", "energy-distance", "centroid:1", "nothing", "", "mmd:", "uniformity:1e308", "sigmoid:1"),
)

_LAWS = (
    "ring:6,2",
    "simplex:4,0.3",
    "blocks:2,2,0.1",
    "circle:8,1",
    "ring:6",
    "ring:6,-1e9",
    "simplex:1,0",
    "blocks:9999,9999,0.1",
    "x.csv",
)


def _value(option: click.Parameter, rng: Generator) -> str:
    is_number = option.type.name in ("float", "integer", "float range", "integer range", "int")
    pool = NUMBERS if rng.random() < (0.9 if is_number else 0.2) else WORDS
    if option.name in _FITTING and rng.random() < 0.5:
        pool = _FITTING[option.name]
    return str(rng.choice(np.array(pool, dtype=object)))


#: Values that an option takes, so that cases come as far as its command.
_FITTING = {
    "objective": ("one-sided", "one-encoder", "in-modal-negatives:0.5", "joint-softmax:0.5", "sigmoid:4,learned", "negatives:2"),
    "penalties": ("gap:0.1", "gap:-1", "uniformity:0.5"),
    "to": ("min", "max", "0.5"),
    "critic": ("cosine", "rbf", "geodesic"),
    "energy": ("intrinsic", "smoothed"),
    "tau": ("1e-9", "1e-6", "0.003", "0.1", "10", "1e9"),
    "grid": ("healpix:4", "circle:16", "circle:3", "healpix:1"),
    "start": ("uniform", "gibbs", "tilted", "random:3", "intrinsic", "global", "plain"),
    "terms": (
        *("centroid:1", "mmd:1,0.5", "mmd:1,1e-9", "mixture:0.5", "mixture:1.5", "tempered:0.2", "sigmoid", "sigmoid-at:300"),
        *(
            "mixing:0.5 0.5/0.5 0.5",
            "mixing:1",
            "uniformity:1,2",
            "uniformity:1e300,2",
            "cross-uniformity:1,1e5",
            "temperatures:1,2",
        ),
    ),
    "potential": ("flat", "two-well", "vmf:12@0,0,1+6@1,0,0*0.5", "vmf:6@1,0", "vmf:1e9@0,0,1"),
}


def file_cases(folder: Path, rng: Generator) -> Iterator[list[str]]:
    """Command lines with a file of every kind that has bytes changed, cut off, repeated or put in."""
    readers = _files(folder)
    while True:
        path, line = readers[int(rng.integers(len(readers)))]
        damaged = folder / f"damaged{path.suffix}"
        damaged.write_bytes(_damage(path.read_bytes(), rng))
        yield [str(damaged) if one == str(path) else one for one in line]


def _damage(content: bytes, rng: Generator) -> bytes:
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 3))):
        at, length = int(rng.integers(0, min(len(found), 4096) + 1)), int(rng.integers(1, 40))
        kind = rng.integers(5)
        if kind == 0:
            found[at : at + length] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        elif kind == 1:
            del found[at : at + length]
        elif kind == 2:
            found[at:at] = found[at : at + length]
        elif kind == 3:
            found[at : at + 1] = bytes([rng.choice(list(b"0123456789.,-eE\"'[](){}\n \0\xff"))])
        else:
            del found[max(at, 1) :]
    return bytes(found)


def _files(folder: Path) -> list[tuple[Path, list[str]]]:
    """Files of every kind, and the command line that reads each."""
    both = np.load(folder / "both.npy")
    np.savez(folder / "both.npz", image=both[0], text=both[1])
    np.savetxt(folder / "a.csv", both[0], delimiter=",", header=",".join(f"e{k}" for k in range(4)), comments="")
    np.savetxt(folder / "bare.csv", both[0], delimiter=",")
    np.savetxt(folder / "b.csv", both[1], delimiter=",")
    np.save(folder / "map.npy", np.linspace(0, 1, 48))
    np.save(folder / "groups.npy", np.arange(30) % 3)
    (folder / "pairs.csv").write_text("a,b\n" + "\n".join(f"{k},{k}" for k in range(30)))
    (folder / "groups.txt").write_text("\n".join("xyz"[k % 3] for k in range(30)))
    np.save(folder / "table.npy", np.arange(1, 13).reshape(3, 4))
    np.savetxt(folder / "table.csv", np.arange(1, 13).reshape(3, 4), "%d", ",")
    (folder / "labels.csv").write_text("\n".join(f"{'xyz'[k % 3]},{'uv'[k % 2]}" for k in range(30)))
    move_gap(both[0], both[1]).save(folder / "gap.npz")
    for name in ("pairs.npy", "law.npy"):
        np.save(folder / name, both[..., :3] / np.linalg.norm(both[..., :3], axis=-1, keepdims=True))
    _more_files(folder, both)
    lines: dict[str, Callable[[str], list[str]]] = {
        "both.npy": lambda path: ["diagnose", path],
        "pairs.npy": lambda path: ["multimodal", "--nside", "4", "--pairs", path],
        "law.npy": lambda path: [
            "consistency",
            "--nside",
            "8",
            "--largest",
            "16",
            "--seeds",
            "2",
            "--batch",
            "4",
            "--pairs",
            path,
        ],
        "both.npz": lambda path: ["diagnose", path],
        "both.safetensors": lambda path: ["diagnose", path],
        "a.csv": lambda path: ["diagnose", path, str(folder / "b.csv")],
        "bare.csv": lambda path: ["diagnose", path, str(folder / "b.csv")],
        "a.parquet": lambda path: ["diagnose", path, str(folder / "b.csv")],
        "pairs.csv": lambda path: ["diagnose", str(folder / "both.npy"), "--pairs", path],
        "groups.txt": lambda path: ["diagnose", str(folder / "both.npy"), "--corrupt", "0.5", "--groups", path],
        "groups.npy": lambda path: ["diagnose", str(folder / "both.npy"), "--corrupt", "0.5", "--groups", path],
        "map.npy": lambda path: ["unimodal", "--nside", "2", "--potential", path],
        "map.fits": lambda path: ["unimodal", "--nside", "2", "--potential", path],
        "table.csv": lambda path: ["encoders", path, "--tau", "0.5"],
        "table.npy": lambda path: ["encoders", path, "--tau", "0.5"],
        "labels.csv": lambda path: ["encoders", path, "--tau", "0.5", "--labels"],
        "gap.npz": lambda path: ["move-gap", str(folder / "both.npy"), "--use", path],
        "spec.toml": lambda path: ["phase-diagram", path, "--dry-run"],
    }
    quick = ["--exchanges", "99", "--quiet"]
    return [
        (folder / name, line(str(folder / name)) + (quick if line("")[0] == "diagnose" else [])) for name, line in lines.items()
    ]


def _more_files(folder: Path, both: np.ndarray) -> None:
    import healpy
    import pyarrow as pa
    from pyarrow import parquet
    from safetensors.numpy import save_file

    save_file({"image": both[0], "text": both[1]}, folder / "both.safetensors")
    parquet.write_table(pa.table({f"e{k}": both[0][:, k] for k in range(4)}), folder / "a.parquet")
    healpy.write_map(folder / "map.fits", np.linspace(0, 1, 48), nest=False, dtype=np.float64, overwrite=True)


def prepared(folder: Path) -> None:
    """What cases start from."""
    rows = np.random.default_rng(0).standard_normal((2, 30, 4))
    np.save(folder / "both.npy", (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32))
    (folder / "spec.toml").write_text(
        'title = "x"\n[axes]\ncoupling = [0.0, 0.5]\nfloor = { from = 0.1, to = 0.01, points = 3, scale = "log" }\n'
        '[problem]\npotential = "two-well"\ntau = 0.5\nnside = 4\n'
    )


KINDS = {"options": option_cases, "files": file_cases}


def run(kind: str, cases: int, seed: int, folder: Path) -> list[Outcome]:
    """So many cases of a kind."""
    prepared(folder)
    made = KINDS[kind](folder, np.random.default_rng(seed))
    return [outcome(next(made)) for _ in range(cases)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    failed = 0
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            found = run(kind, given.cases, given.seed, Path(folder))
        wrong = [one for one in found if one.problem]
        slowest = max(found, key=lambda one: one.seconds)
        print(f"{kind}: {len(found)} cases, exit codes {dict(sorted(Counter(one.code for one in found).items()))}, ", end="")
        print(f"slowest {slowest.seconds:.1f} s, {len(wrong)} wrong")
        for one in wrong[:30]:
            print("  ", " ".join(part[:60] for part in one.arguments).encode("unicode_escape").decode(), "->", one.problem)
        failed += len(wrong)
    sys.exit(1 if failed else 0)
