"""Opening the state store: one engine, set up so that SQLite and PostgreSQL keep the same promises.

SQLite is told to survive a power cut (WAL, `synchronous=FULL`), to hold foreign keys, and to leave
transactions to us: its driver would commit before DDL and begin nothing before a read. Nothing here
knows tables; see `tables/`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, event, make_url

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection

BUSY_TIMEOUT_MILLISECONDS = 10_000
"""How long a write waits for another process's write to the same SQLite file."""
CONNECT_TIMEOUT_SECONDS = 10

TRANSACTION_OPTION = "bursar_transaction"
"""Execution option that says what a transaction is for, so that SQLite takes its write lock in time."""
WRITES = "writes"
MIGRATES = "migrates"


StateEngine = Engine
"""The state store's engine, by a name that other packages may use."""


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql+psycopg://…`; connects only when it is used."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _make_sqlite_engine(url)
    return create_engine(
        parsed,
        # A server restarted between two requests must cost none of them.
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS},
    )


def is_sqlite(engine: Engine) -> bool:
    """Whether the store is a SQLite file."""
    return engine.dialect.name == "sqlite"


def forget_replaced(engine: Engine) -> None:
    """Let a SQLite file's log not keep what was just replaced: its pages move into the file, it is emptied.

    PostgreSQL does the like by itself, when its next vacuum and its checkpoints come.
    """
    if not is_sqlite(engine):
        return
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _make_sqlite_engine(url: str) -> Engine:
    engine = create_engine(url)
    path = engine.url.database

    @event.listens_for(engine, "do_connect")
    def _make_private(*_connecting: object) -> None:  # pyright: ignore[reportUnusedFunction]
        # SQLite gives the files beside it the file's own mode.
        if path and Path(path).parent.is_dir():
            _make_private_file(Path(path))

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        # No driver transactions: `_begin` below is the only one that begins any.
        connection.isolation_level = None
        cursor = connection.cursor()
        # First, for switching the journal mode needs a lock itself.
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # What is deleted or replaced is overwritten in the file, not only marked as free.
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    event.listen(engine, "begin", _begin)
    return engine


def _make_private_file(path: Path) -> None:
    """Make the file if need be, for its owner only; also one that a copy or a restore left open to others."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return
    for file in (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))):
        with suppress(FileNotFoundError, PermissionError):
            # Another's file can't be changed; whether it can be used is for SQLite to say.
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def _begin(connection: Connection) -> None:
    purpose = connection.get_execution_options().get(TRANSACTION_OPTION)
    if purpose == MIGRATES:
        # Rebuilding a table drops it for a moment, which foreign keys would refuse. The setting can't be
        # changed within a transaction; `migrate.py` throws the connection away afterwards.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    # A read that turns into a write may fail with "database is locked" without waiting, so a write says
    # what it is from the start and waits its turn.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if purpose else "BEGIN")
