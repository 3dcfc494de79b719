"""summary.json: what a folder of results says of itself, the files that belong to it, and the checksums of both."""

import json
import zlib
from pathlib import Path
from typing import Any

from fieldsolve.numerics.errors import InputError
from fieldsolve.output.tables import to_json

SUMMARY = "summary.json"

_SCHEMA = "fieldsolve/"
_CHUNK = 1 << 22  # bytes read at a time

#: Of each file by name its length in bytes and its CRC-32.
Files = dict[str, dict[str, int]]


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a folder's results, with their `files`. Raises InputError if there is none, or it is damaged or not ours."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: holds no complete fieldsolve results ({SUMMARY} is missing)") from None
    except (OSError, ValueError, RecursionError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{folder}: {SUMMARY} cannot be read: {cause}; compute the results again") from error
    if not (isinstance(summary, dict) and str(summary.get("schema")).startswith(_SCHEMA)):
        raise InputError(f"{folder}: {SUMMARY} is not fieldsolve's: it names none of its schemas")
    if "checksum" not in summary:
        raise InputError(f"{folder}: {SUMMARY} is of an earlier version (schema {summary['schema']}); compute the results again")
    if summary.pop("checksum") != _checksum(summary):
        raise InputError(f"{folder}: {SUMMARY} is damaged, or was changed by hand: its checksum does not fit; compute them again")
    files = summary.get("files")
    if not (isinstance(files, dict) and all(_is_plain(name) for name in files)):
        raise InputError(f"{folder}: {SUMMARY} lists files outside the folder, which fieldsolve does not write")
    return summary


def _is_plain(name: str) -> bool:
    return name == Path(name).name and name not in ("", ".", "..", SUMMARY)


def summary_text(values: dict[str, Any], files: Files) -> str:
    """summary.json of these values and files, with its checksum."""
    plain = json.loads(to_json(values | {"files": files}))
    return to_json(plain | {"checksum": _checksum(plain)}) + "\n"


def _checksum(values: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def entry_of(path: Path) -> dict[str, int]:
    """A file's length and CRC-32."""
    size, crc = 0, 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return {"bytes": size, "crc32": crc}
