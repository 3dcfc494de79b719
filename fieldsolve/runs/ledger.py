"""The ledger of a run: one SQLite file, one writer, every outcome on disk before the next one is asked for."""

import json
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from fieldsolve.numerics.errors import InputError
from fieldsolve.runs.tasks import Outcome, Task, configuration

LEDGER = "ledger.sqlite"

_APPLICATION = 0x66736C76  # "fslv"
_SCHEMA = 1
_TABLES = """
    CREATE TABLE IF NOT EXISTS spec (id INTEGER PRIMARY KEY CHECK (id = 0), json TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS outcomes (
        key TEXT PRIMARY KEY, kind TEXT NOT NULL, config TEXT NOT NULL, version TEXT NOT NULL,
        figures TEXT, reason TEXT, seconds REAL NOT NULL
    );
"""

_T = TypeVar("_T")


class Ledger:
    """The outcomes of tasks by the hash of their configuration and the package's version.

    A rollback journal makes every record whole or absent, whenever the process dies. The file is locked while it is
    open for writing, so that two runs cannot share it.
    """

    def __init__(self, path: Path, write: bool = True) -> None:
        self._path = path
        if not write and not path.exists():
            raise InputError(f"{path.parent}: holds no run ({LEDGER} is missing)")
        self._connection = self._guarded(lambda: self._opened(write))

    def _opened(self, write: bool) -> sqlite3.Connection:
        place = f"{self._path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}"
        connection = sqlite3.connect(place, uri=True, isolation_level=None, timeout=1)
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        is_new = write and application == 0 and not connection.execute("SELECT * FROM sqlite_master").fetchall()
        if not is_new and (application, schema) != (_APPLICATION, _SCHEMA):
            raise InputError(f"{self._path}: is no ledger of this version of fieldsolve; choose another folder")
        if write:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN EXCLUSIVE")
            for statement in (*_TABLES.split(";"), f"PRAGMA application_id = {_APPLICATION}", f"PRAGMA user_version = {_SCHEMA}"):
                connection.execute(statement)
            connection.execute("COMMIT")
        return connection

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def spec(self) -> str | None:
        """The JSON of what the tasks are of, or None in a new ledger."""
        rows = self._guarded(lambda: self._connection.execute("SELECT json FROM spec").fetchall())
        return str(rows[0][0]) if rows else None

    def set_spec(self, text: str) -> None:
        """Keep the JSON of what the tasks are of."""
        self._guarded(lambda: self._connection.execute("INSERT OR REPLACE INTO spec VALUES (0, ?)", (text,)))

    def outcomes(self) -> dict[str, Outcome]:
        """Every recorded outcome, by its task's key."""
        return {key: outcome for key, _, _, outcome in self._rows()}

    def by_configuration(self) -> dict[str, Outcome]:
        """The last outcome recorded of every `configuration`, whichever version of the package and of maps it is of."""
        return {configuration(kind, json.loads(config)): outcome for _, kind, config, outcome in self._rows()}

    def _rows(self) -> list[tuple[str, str, str, Outcome]]:
        columns = "key, kind, config, figures, reason, seconds, version"
        rows = self._guarded(lambda: self._connection.execute(f"SELECT {columns} FROM outcomes ORDER BY rowid").fetchall())
        return [(*row[:3], Outcome(None if row[3] is None else json.loads(row[3]), *row[4:])) for row in rows]

    def record(self, outcomes: Iterable[tuple[Task, Outcome]]) -> None:
        """Write outcomes, all of them or none; on disk when this returns."""
        rows = [
            (
                task.key,
                task.kind,
                json.dumps(task.config),
                outcome.version,
                _json(outcome.values),
                outcome.reason,
                outcome.seconds,
            )
            for task, outcome in outcomes
        ]

        def write() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

        self._guarded(write)

    def _guarded(self, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except sqlite3.Error as error:
            text = str(error)
            if "locked" in text:
                raise InputError(
                    f"{self._path}: another run is writing it; wait for that one, or choose another folder"
                ) from error
            if "full" in text:
                raise InputError(
                    f"{self._path}: the disk is full; what was recorded is safe: free some space and run the same command again"
                ) from error
            raise InputError(f"{self._path}: cannot be read or written as a ledger: {text}") from error


def _json(values: dict[str, Any] | None) -> str | None:
    return None if values is None else json.dumps(values)
