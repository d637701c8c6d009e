"""Opens the DuckDB file once per process, with its limits set, and hands out cursors.

One writer (the applier) and many readers share one instance; each thread takes a cursor of its
own. DuckDB releases the GIL while it works. Never fork after opening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import duckdb

from bursar.errors import ConfigurationError
from bursar.storage.duckdb.schema import create_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Column = NDArray[Any]


Database = duckdb.DuckDBPyConnection
"""An open database, or a cursor of one."""


@dataclass(frozen=True, slots=True)
class DuckDBLimits:
    """What one DuckDB instance may take of the machine."""

    memory: str = "1GB"
    threads: int = 2
    temp: str = "20GB"


def open_duckdb(path: Path | None, limits: DuckDBLimits, temp_folder: Path) -> duckdb.DuckDBPyConnection:
    """An open database with limits set; `None` opens one in memory.

    Times are stored as naive UTC; the session's zone is UTC so that no cast shifts them. Extensions
    are never fetched from the network.
    """
    temp_folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "memory_limit": limits.memory,
        "threads": limits.threads,
        "temp_directory": str(temp_folder),
        "max_temp_directory_size": limits.temp,
        "autoinstall_known_extensions": False,
        # Replaying a WAL costs about as much as a checkpoint: 256 MB keeps start-up within a second
        # or two and lets large appliers' batches skip most checkpoints.
        "checkpoint_threshold": "256MB",
        "preserve_insertion_order": True,
    }
    connection = duckdb.connect(str(path) if path else ":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def open_store(path: Path, limits: DuckDBLimits, temp_folder: Path) -> Database:
    """The usage store of a data folder, its tables made if need be.

    Raises:
        ConfigurationError: the file can't be opened.
    """
    try:
        database = open_duckdb(path, limits, temp_folder)
        create_tables(database)
    except duckdb.Error as error:
        message = f"{path} can't be opened ({error}). `bursar rebuild` derives it anew from the journal."
        raise ConfigurationError(message) from error
    return database


def fetch_columns(database: Database, statement: str, values: Sequence[object] = ()) -> dict[str, Column]:
    """The result of a statement as numpy arrays by column: the cheapest way into Python."""
    # DuckDB's stubs leave the arrays' type open; this is the one place that closes it.
    fetched: Any = cast("Any", database.execute(statement, list(values))).fetchnumpy()
    return fetched


def read_position(database: Database) -> tuple[str, int] | None:
    """Journal id and seq up to which records were applied; None in a new store."""
    rows = database.execute("SELECT journal_id, seq FROM applied").fetchall()
    return (str(rows[0][0]), int(rows[0][1])) if rows else None
