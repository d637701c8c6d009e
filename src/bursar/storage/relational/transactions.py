"""How the state store is read and written: short transactions, and errors in Bursar's own words.

A store that doesn't answer becomes `Unavailable`, a clash becomes what the caller of `refusing` says;
anything else is a bug and stays what it is.
"""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import exc, text

from bursar.errors import DiskFull, Unavailable
from bursar.storage.relational.engine import MIGRATES, TRANSACTION_OPTION, WRITES, is_sqlite

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlalchemy import Connection, Engine

    from bursar.errors import BursarError

STARTUP_LOCK = 0x62757273_61720001
"""The number of PostgreSQL's advisory lock under which processes start: "bursar" in ASCII, then 1."""
STARTUP_WAIT_SECONDS = 60
"""Longer than any migration should take; a process that waits longer gives up with a clear message."""

_UNIQUE_CODES = frozenset({"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})
_FOREIGN_KEY_CODES = frozenset({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"})

_NO_ANSWER = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.TimeoutError,
    # While a connection is set up, SQLAlchemy passes the driver's errors on as they are.
    sqlite3.OperationalError,
)
_WRONG_SQL = "SQLITE_ERROR"
"""SQLite calls a mistake in a statement operational too; that is a bug of ours, not an outage."""
_DISK_FULL_CODES = frozenset({"53100", "SQLITE_FULL"})
_LOCK_TIMEOUT_CODES = frozenset({"55P03", "SQLITE_BUSY"})
_DAMAGED_CODES = frozenset({"SQLITE_NOTADB", "SQLITE_CORRUPT"})


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """A transaction that only reads: what it sees doesn't change while it looks (SQLite).

    Raises:
        Unavailable: the store doesn't answer.
    """
    with _translating(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, purpose: str = WRITES) -> Generator[Connection]:
    """A transaction that writes: on disk when the block is left, undone if it raises.

    Raises:
        Unavailable: the store doesn't answer, or has no room (`DiskFull`).
    """
    with _translating(), engine.connect() as plain:
        connection = plain.execution_options(**{TRANSACTION_OPTION: purpose})
        with connection.begin():
            yield connection


@contextmanager
def reading_once(engine: Engine) -> Generator[Connection]:
    """A transaction that only reads and sees one moment, on both engines, however long it looks.

    Raises:
        Unavailable: the store doesn't answer.
    """
    with _translating(), engine.connect() as connection:
        if not is_sqlite(engine):
            connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
        with connection.begin():
            yield connection


@contextmanager
def building(engine: Engine) -> Generator[Connection]:
    """A transaction that makes tables and fills them, all or nothing, while no other process starts.

    Raises:
        Unavailable: the store doesn't answer, or has no room (`DiskFull`).
    """
    with starting_alone(engine), writing(engine, MIGRATES) as connection:
        yield connection


@contextmanager
def refusing(*, duplicate: BursarError | None = None, orphan: BursarError | None = None) -> Generator[None]:
    """Name what a violated constraint means: `duplicate` for a taken key, `orphan` for a missing parent."""
    try:
        yield
    except exc.IntegrityError as error:
        code = _code_of(error)
        if duplicate is not None and code in _UNIQUE_CODES:
            raise duplicate from error
        if orphan is not None and code in _FOREIGN_KEY_CODES:
            raise orphan from error
        raise


@contextmanager
def starting_alone(engine: Engine) -> Generator[None]:
    """Hold off every other process (and thread) that starts on this store until the block is left.

    The lock ends with its process, however that ends.

    Raises:
        Unavailable: another process has been starting for more than a minute (PostgreSQL).
    """
    if is_sqlite(engine):
        with _lock_file(engine):
            yield
        return
    with _translating(), engine.connect() as connection, connection.begin():
        connection.execute(text(f"SET LOCAL lock_timeout = '{STARTUP_WAIT_SECONDS}s'"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        # Bound to a transaction, not to a session, so that it also works behind a pooler.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": STARTUP_LOCK})
        yield


@contextmanager
def _lock_file(engine: Engine) -> Generator[None]:
    path = Path(f"{engine.url.database}.lock")
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _translating() -> Generator[None]:
    try:
        yield
    except _NO_ANSWER as error:
        code = _code_of(error)
        if code == _WRONG_SQL:
            raise
        if code in _DISK_FULL_CODES:
            raise DiskFull from error
        if code in _LOCK_TIMEOUT_CODES:
            message = "Another process holds the state store for too long; try again shortly."
        else:
            message = "The state store does not answer; try again shortly."
        raise Unavailable(message) from error
    except (exc.DatabaseError, sqlite3.DatabaseError) as error:
        if _code_of(error) not in _DAMAGED_CODES:
            raise
        message = "The state store's file is damaged; restore it from a backup. Nothing was changed."
        raise Unavailable(message) from error


def _code_of(error: Exception) -> str | None:
    """PostgreSQL's SQLSTATE or the name of SQLite's error code."""
    cause = getattr(error, "orig", error)
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return code if isinstance(code, str) else None
