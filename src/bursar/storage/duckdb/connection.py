"""Opens the DuckDB file once per process, with its limits set, and hands out cursors.

One writer (the applier) and many readers share one instance; each thread takes a cursor of its
own. DuckDB releases the GIL while it works. Never fork after opening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path


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
