"""The runs that are compared: checkpoints or models, from words on the command line or from a manifest file."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fieldsolve.diagnose.statistics.temperature import LEAST_TAU
from fieldsolve.embeddings.files import FORMATS, read
from fieldsolve.embeddings.shards import shards_of
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.files import require_file
from fieldsolve.numerics.names import printable
from fieldsolve.output.summary import SUMMARY, entry_of

_MOST = 1e12  # of numbers in a manifest


@dataclass(frozen=True)
class RunSpec:
    """One run. files: of its embeddings, two modalities or more, as those of `diagnose`; or one folder that `diagnose -o` wrote;
    step: of training; tau, bias: of its loss, those of all without; pairs: a file of matched rows.
    """

    name: str
    files: tuple[str, ...]
    step: float | None = None
    tau: float | None = None
    bias: float | None = None
    pairs: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is the folder of an earlier diagnosis."""
        return len(self.files) == 1 and (Path(self.files[0]) / SUMMARY).exists()

    @cached_property
    def contents(self) -> dict[str, Any]:
        """Of every file its length and checksum. Raises InputError for files that are not there."""
        found: dict[str, Any] = {}
        for source in [*self.files, *([self.pairs] if self.pairs else [])]:
            path = _file(source)
            shards = [path / SUMMARY] if self.is_folder and source != self.pairs else shards_of(path, FORMATS)
            for one in shards or [path]:
                require_file(one)
                found[str(one)] = entry_of(one)
        return found


def runs_of(words: Sequence[str]) -> list[RunSpec]:
    """The runs that words mean: a manifest (.toml), an earlier diagnosis' folder, or [NAME=]FILE[,FILE...].

    Raises InputError for fewer than two runs, names that recur, and files that are missing.
    """
    found: list[RunSpec] = []
    for word in words:
        if Path(word).suffix.lower() == ".toml":
            found += read_manifest(Path(word))
            continue
        name, sign, files = word.partition("=")
        if not (files if sign else word).strip(","):
            raise InputError(f"{word!r}: names no file; a run is [NAME=]FILE[,FILE...]")
        if not sign or Path(word).exists():
            name, files = "", word
        parts = tuple(files.split(","))
        is_one = Path(files).exists() or not all(_file(part).exists() for part in parts)
        sources = (files,) if is_one and _file(files).exists() else parts
        found.append(RunSpec(printable(name or _name_of(sources)), sources))
    if len(found) < 2:
        raise InputError(f"a comparison is of two runs or more, and there is {len(found)}; give files, folders or a manifest")
    names = [one.name for one in found]
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise InputError(f"several runs are called {', '.join(again)}; name them, as in new=clip.npy")
    for one in found:
        _ = one.contents
    return found


def read_manifest(path: Path) -> list[RunSpec]:
    """The runs of a TOML file: a table [[run]] each with name, files (beside the manifest), step, tau, bias and pairs.

    What stands above the first [[run]] holds for all that do not say otherwise. Raises InputError for what is no manifest, with
    the run's name.
    """
    content = read(path, lambda: tomllib.loads(path.read_text(encoding="utf-8-sig")))
    tables = content.pop("run", None)
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path}: has no [[run]] tables; each names a run by name and files")
    unknown = sorted(set(content) - {"tau", "bias", "pairs"})
    if unknown:
        raise InputError(f"{path}: knows no {', '.join(unknown)} above the first [[run]]; tau, bias and pairs can stand there")
    return [_run(path, number, content | table) for number, table in enumerate(tables, start=1)]


def _run(path: Path, number: int, table: dict[str, Any]) -> RunSpec:
    where = f"{path}: run {table.get('name', number)}"
    unknown = sorted(set(table) - {field.name for field in fields(RunSpec)})
    if unknown:
        raise InputError(
            f"{where}: knows no {', '.join(unknown)}; a run has {', '.join(field.name for field in fields(RunSpec))}"
        )
    files = table.get("files")
    files = [files] if isinstance(files, str) else files
    if not isinstance(files, list) or not files or not all(isinstance(one, str) for one in files):
        raise InputError(f"{where}: files are names, one or several; it has {json.dumps(table.get('files'), default=str)}")
    for name in ("step", "tau", "bias"):
        value = table.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST):
            raise InputError(f"{where}: {name} is a finite number, not {value!r}")
    if table.get("tau") is not None and not table["tau"] >= LEAST_TAU:
        raise InputError(f"{where}: tau is a temperature of at least {LEAST_TAU}, not {table['tau']!r}")
    if any(not one for one in (*files, table.get("pairs", "x"))):
        raise InputError(f"{where}: a name of a file is empty")
    for name in ("name", "pairs"):
        if not isinstance(table.get(name, ""), str):
            raise InputError(f"{where}: {name} is text, not {table[name]!r}")
    beside = tuple(str(path.parent / one) for one in files)
    found = RunSpec(**{**table, "files": beside, "name": printable(table.get("name") or _name_of(beside))})
    found = found if found.pairs is None else replace(found, pairs=str(path.parent / found.pairs))
    try:
        _ = found.contents
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return found


def _file(source: str) -> Path:
    return Path(source.partition("::")[0])


def _name_of(files: tuple[str, ...]) -> str:
    parts = [source.partition("::") for source in files]
    return ", ".join(name or Path(file).stem for file, _, name in parts)
