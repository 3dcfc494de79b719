"""The ledger of a run: one SQLite file, one writer, every outcome on disk before the next one is asked for."""

import json
import sqlite3
import warnings
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from fieldsolve.numerics.errors import Advice, InputError
from fieldsolve.runs.tasks import Outcome, Task, configuration

LEDGER = "ledger.sqlite"

_APPLICATION = 0x66736C76  # "fslv"
_SCHEMA = 2
_TABLES = """
    CREATE TABLE IF NOT EXISTS spec (id INTEGER PRIMARY KEY CHECK (id = 0), json TEXT NOT NULL, checksum INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS outcomes (
        key TEXT PRIMARY KEY, kind TEXT NOT NULL, config TEXT NOT NULL, version TEXT NOT NULL,
        result TEXT, reason TEXT, seconds REAL NOT NULL, checksum INTEGER NOT NULL
    );
"""

_T = TypeVar("_T")


class Ledger:
    """The outcomes of tasks by the hash of their configuration and the package's version.

    A rollback journal makes every record whole or absent, whenever the process dies. The file is locked while it is
    open for writing, so that two runs cannot share it. Every row has a checksum; one that does not fit is dropped, with an
    advice, so that what it held is computed again.
    """

    def __init__(self, path: Path, write: bool = True) -> None:
        self._path = path
        if not write and not path.exists():
            raise InputError(f"{path.parent}: holds no run ({LEDGER} is missing)")
        self._connection = self._guarded(lambda: self._opened(write))
        self._write = write

    def _opened(self, write: bool) -> sqlite3.Connection:
        place = f"{self._path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}"
        connection = sqlite3.connect(place, uri=True, isolation_level=None, timeout=1)
        try:
            self._set_up(connection, write)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection, write: bool) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        is_new = write and application == 0 and not connection.execute("SELECT * FROM sqlite_master").fetchall()
        if not is_new and (application, schema) != (_APPLICATION, _SCHEMA):
            raise InputError(f"{self._path}: is no ledger of this version of fieldsolve; choose another folder")
        connection.text_factory = lambda raw: raw.decode(errors="replace")  # of a damaged row; its checksum tells
        if write:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN EXCLUSIVE")
            for statement in (*_TABLES.split(";"), f"PRAGMA application_id = {_APPLICATION}", f"PRAGMA user_version = {_SCHEMA}"):
                connection.execute(statement)
            connection.execute("COMMIT")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def spec(self) -> str | None:
        """The JSON of what the tasks are of, or None in a new ledger."""
        found = self._guarded(lambda: self._connection.execute("SELECT rowid, json, checksum FROM spec").fetchall())
        rows = self._whole(found, "spec")
        return str(rows[0][0]) if rows else None

    def set_spec(self, text: str) -> None:
        """Keep the JSON of what the tasks are of."""
        self._guarded(lambda: self._connection.execute("INSERT OR REPLACE INTO spec VALUES (0, ?, ?)", _checked((text,))))

    def outcomes(self) -> dict[str, Outcome]:
        """Every recorded outcome, by its task's key."""
        return {key: outcome for key, _, _, outcome in self._rows()}

    def by_configuration(self) -> dict[str, Outcome]:
        """The last outcome recorded of every `configuration`, whichever version of the package and of maps it is of."""
        return {configuration(kind, json.loads(config)): outcome for _, kind, config, outcome in self._rows()}

    def _rows(self) -> list[tuple[str, str, str, Outcome]]:
        found = self._guarded(lambda: self._connection.execute("SELECT rowid, * FROM outcomes ORDER BY rowid").fetchall())
        return [
            (key, kind, config, Outcome(None if result is None else json.loads(result), reason, seconds, version))
            for key, kind, config, version, result, reason, seconds in self._whole(found, "outcomes")
        ]

    def _whole(self, rows: list[Any], table: str) -> list[Any]:
        """Of rows with their numbers and checksums those whose checksum fits, without both; others are dropped, which is said."""
        damaged = [row[0] for row in rows if row[1:] != _checked(row[1:-1])]
        if damaged:
            warnings.warn(
                f"{self._path}: {len(damaged)} of {len(rows)} rows of its {table} are damaged (their checksums do not fit); they "
                "are left out, and computed again by the command that began them",
                Advice,
                stacklevel=1,
            )
            if self._write:
                delete = f"DELETE FROM {table} WHERE rowid = ?"
                self._guarded(lambda: self._connection.executemany(delete, [(number,) for number in damaged]))
        return [row[1:-1] for row in rows if row[0] not in damaged]

    def record(self, outcomes: Iterable[tuple[Task, Outcome]]) -> None:
        """Write outcomes, all of them or none; on disk when this returns."""
        rows = [
            _checked(
                (
                    task.key,
                    task.kind,
                    json.dumps(task.config),
                    outcome.version,
                    None if outcome.values is None else json.dumps(outcome.values),
                    outcome.reason,
                    float(outcome.seconds),
                )
            )
            for task, outcome in outcomes
        ]

        def write() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

        self._guarded(write)

    def _guarded(self, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter for a damaged name in the former's text
            text = str(error)
            if "locked" in text:
                raise InputError(
                    f"{self._path}: another run is writing it; wait for that one, or choose another folder"
                ) from error
            if "full" in text:
                raise InputError(
                    f"{self._path}: the disk is full; what was recorded is safe: free some space and run the same command again"
                ) from error
            raise InputError(
                f"{self._path}: cannot be read or written as a ledger: {text}; compute into another folder, or move it away"
            ) from error


def _checked(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row with its checksum, the CRC-32 of its values."""
    return (*row, zlib.crc32(repr(row).encode()))
