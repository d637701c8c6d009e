"""Opens the DuckDB file once per process, with its limits set, and hands out cursors.

One writer (the applier) and many readers share one instance; each thread takes a cursor of its
own. DuckDB releases the GIL while it works. Never fork after opening.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import duckdb

from bursar.errors import ConfigurationError
from bursar.storage.duckdb.schema import create_tables

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Column = NDArray[Any]


Database = duckdb.DuckDBPyConnection
"""An open database, or a cursor of one."""


_CATALOG = "usage"
_SIZE = re.compile(r"([0-9.]+) ?([A-Za-z]+)")
_COPY = "usage_copy"
ROW_GROUP_ROWS = 16_384
"""Rows of a row group; DuckDB's default is 122,880. Batches of whole row groups are written past the
write-ahead log, so smaller groups let ordinary batches do that (13 instead of 18 µs of CPU per event),
and a look-up by position reads less. Only an attached file can choose, hence `ATTACH`."""


@dataclass(frozen=True, slots=True)
class DuckDBLimits:
    """What one DuckDB instance may take of the machine."""

    memory: str = "1GB"
    threads: int = 1
    """Of one statement. Two made applying a tenth dearer, and left the event loop no core of two."""
    temp: str = "20GB"

    def share(self, divisor: int) -> DuckDBLimits:
        """A part of the memory and one thread, for work beside the store in use."""
        found = _SIZE.fullmatch(self.memory)
        memory = f"{float(found[1]) / divisor:g}{found[2]}" if found else self.memory
        return DuckDBLimits(memory, 1, self.temp)


class StoreDatabase:
    """The open database file: hands out cursors that see its tables, one for each thread."""

    def __init__(self, connection: Database, path: Path) -> None:
        """Attach this file to the connection."""
        quoted = str(path).replace("'", "''")
        self._attach = f"ATTACH '{quoted}' AS {_CATALOG} (ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
        self._connection = connection
        self._connection.execute(self._attach)
        self._connection.execute(f"USE {_CATALOG}")

    def cursor(self) -> Database:
        """A connection of its own to the same file; close it after use."""
        cursor = self._connection.cursor()
        cursor.execute(f"USE {_CATALOG}")
        return cursor

    def execute(self, statement: str) -> Database:
        """Run one statement, from the thread that opened the file."""
        return self._connection.execute(statement)

    def recover(self) -> None:
        """Attach the file anew if DuckDB has given it up, as it does when a disk is too full to checkpoint.

        Cursors that were handed out go on working. Nothing is lost: what was committed is in the
        write-ahead log.

        Raises:
            duckdb.Error: it can't be attached yet.
        """
        # A connection of its own, for only one that doesn't use the file by default can let go of it.
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(f"SELECT seq FROM {_CATALOG}.applied").fetchall()
            except duckdb.Error:
                with contextlib.suppress(duckdb.Error):
                    cursor.execute(f"DETACH {_CATALOG}")
                cursor.execute(self._attach)

    def limit(self, limits: DuckDBLimits) -> None:
        """Take more or less of the machine from now on."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SET GLOBAL memory_limit = '{limits.memory}'")
            cursor.execute(f"SET GLOBAL threads = {limits.threads}")

    def abandon(self) -> None:
        """Write nothing more, not even when it is closed: another file has taken its place.

        Cursors that were handed out go on reading. The file is let go of with the last of them, and
        with this object.
        """
        # A broken one can't be told so, and doesn't write either.
        with self._connection.cursor() as cursor, contextlib.suppress(duckdb.Error):
            cursor.execute("PRAGMA disable_checkpoint_on_shutdown")

    def copy_to(self, path: Path) -> int:
        """Write a copy of everything, as it is at one moment, beside readers and the writer.

        Returns the position that the copy is at. A copy is compact, and a file of its own.

        Raises:
            duckdb.Error: it can't be written.
        """
        quoted = str(path).replace("'", "''")
        with self._connection.cursor() as cursor:
            cursor.execute(f"ATTACH '{quoted}' AS {_COPY} (ROW_GROUP_SIZE {ROW_GROUP_ROWS})")
            try:
                with transaction(cursor):
                    rows = cursor.execute(f"SELECT seq FROM {_CATALOG}.applied").fetchall()
                    cursor.execute(f"COPY FROM DATABASE {_CATALOG} TO {_COPY}")
            finally:
                cursor.execute(f"DETACH {_COPY}")
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Checkpoint and close the file; no cursor can be used any more."""
        self._connection.close()


def open_store(path: Path, limits: DuckDBLimits, temp_folder: Path) -> StoreDatabase:
    """The usage store of a data folder, with limits set and its tables made if need be.

    Times are stored as naive UTC; the session's zone is UTC so that no cast shifts them. Extensions
    are never fetched from the network.

    Raises:
        ConfigurationError: the file can't be opened.
    """
    temp_folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "memory_limit": limits.memory,
        "threads": limits.threads,
        "temp_directory": str(temp_folder),
        "max_temp_directory_size": limits.temp,
        "autoinstall_known_extensions": False,
        # Nothing is written during a checkpoint, so it must be short: at 32 MB it takes 130 ms of processor
        # time, at 256 MB a second. Each costs about 1.5 ms per million stored events beside what it takes in.
        "checkpoint_threshold": "32MB",
        "preserve_insertion_order": True,
    }
    try:
        connection = duckdb.connect(":memory:", config=config)
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        database = StoreDatabase(connection, path)
        with transaction(connection):
            create_tables(connection)
    except duckdb.Error as error:
        message = f"{path} can't be opened ({error}). `bursar rebuild` derives it anew from the journal."
        raise ConfigurationError(message) from error
    return database


def adopt_store(path: Path, journal_id: str) -> None:
    """Let the store go on with a journal of another id that holds the same records at the same positions.

    Raises:
        ConfigurationError: the file can't be opened.
    """
    quoted = str(path).replace("'", "''")
    try:
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"ATTACH '{quoted}' AS {_CATALOG}")
            connection.execute(f"UPDATE {_CATALOG}.applied SET journal_id = ?", [journal_id])
            connection.execute(f"DETACH {_CATALOG}")
    except duckdb.Error as error:
        message = f"The copy of the usage store can't be opened ({error})."
        raise ConfigurationError(message) from error


@contextlib.contextmanager
def transaction(database: Database) -> Generator[None]:
    """Commit what the block does, or nothing of it."""
    database.begin()
    try:
        yield
        database.commit()
    except BaseException:
        # A commit that failed has ended the transaction already.
        with contextlib.suppress(duckdb.Error):
            database.rollback()
        raise


def fetch_columns(
    database: Database, statement: str, values: Sequence[object] | dict[str, Any] = ()
) -> dict[str, Column]:
    """The result of a statement as numpy arrays by column: the cheapest way into Python."""
    # DuckDB's stubs leave the arrays' type open; this is the one place that closes it.
    fetched: Any = cast("Any", database.execute(statement, values)).fetchnumpy()
    return fetched


def read_position(database: Database) -> tuple[str, int] | None:
    """Journal id and seq up to which records were applied; None in a new store."""
    rows = database.execute("SELECT journal_id, seq FROM applied").fetchall()
    return (str(rows[0][0]), int(rows[0][1])) if rows else None
