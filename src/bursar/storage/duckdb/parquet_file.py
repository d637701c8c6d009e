"""Turns the CSV text of an export into a Parquet file, by DuckDB's own reader and writer.

It runs in a database of its own, beside the store in use: with a share of the memory, and no transaction
of the store's held open while a large file is made. The text is compressed, so it takes about a tenth of
its size on the disk, and it is cut into parts: read from one long file, DuckDB's memory grows with it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import duckdb
import zstandard

from bursar.errors import Overloaded, Unavailable
from bursar.usage.exports.columns import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bursar.storage.duckdb.connection import DuckDBLimits
    from bursar.usage.exports.columns import ExportColumn

LINE_LIMIT_BYTES = 4 * 2**20
"""No row is longer: texts, tags, metadata and usage of an event are bounded to some hundreds of kB."""
PART_BYTES = 32 * 2**20
"""Of text in each part: of 10 million events in one file, DuckDB 2.0 kept more than 256 MB until its end."""
ROW_GROUP_ROWS = 50_000
"""Held in memory until written: some 100 MB of rows as wide as events, half of DuckDB's default."""


class ParquetFile:
    """One file in the making: `add` texts, then `finish`; use from one thread at a time."""

    def __init__(self, path: Path, columns: Sequence[ExportColumn], limits: DuckDBLimits) -> None:
        """Make it at `path`; the texts are kept beside it until it is finished."""
        self.path = path
        self._columns = columns
        self._parts: list[_Part] = []
        self._begin_part()
        config: dict[str, Any] = {
            "memory_limit": limits.memory,
            "threads": 1,
            "temp_directory": str(path.parent),
            "autoinstall_known_extensions": False,
            "preserve_insertion_order": True,
        }
        self._connection = duckdb.connect(":memory:", config=config)

    def add(self, text: bytes) -> None:
        """Add whole rows: CSV without a header and without apostrophes before formulas."""
        if self._parts[-1].size >= PART_BYTES:
            self._parts[-1].close()
            self._begin_part()
        self._parts[-1].add(text)

    def finish(self) -> int:
        """Write the file; answers how many bytes it has.

        Raises:
            Overloaded: there is too little memory for it.
            Unavailable: it was interrupted.
        """
        self._parts[-1].close()
        try:
            self._connection.execute("SET TimeZone = 'UTC'")
            self._connection.execute(self._statement(), [[str(part.path) for part in self._parts]])
        except duckdb.OutOfMemoryException:
            message = "This export needs more memory than it may take; narrow its window."
            raise Overloaded(message) from None
        except duckdb.InterruptException:
            message = "The export was ended, because nobody waited for it any more."
            raise Unavailable(message) from None
        return self.path.stat().st_size

    def interrupt(self) -> None:
        """End `finish`, from any thread."""
        self._connection.interrupt()

    def discard(self) -> None:
        """Close everything and remove the files."""
        self._connection.close()
        for part in self._parts:
            part.discard()
        self.path.unlink(missing_ok=True)

    def _begin_part(self) -> None:
        self._parts.append(_Part(self.path.with_suffix(f".{len(self._parts)}.csv.zst")))

    def _statement(self) -> str:
        types = {column.name: _type_of(column) for column in self._columns}
        path = str(self.path).replace("'", "''")
        # Nothing is guessed: an empty cell is NULL, and an empty text stands in quotes.
        reading = (
            "auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"',"
            f" new_line = '\\r\\n', parallel = false, allow_quoted_nulls = false,"
            f" max_line_size = {LINE_LIMIT_BYTES}, buffer_size = {2 * LINE_LIMIT_BYTES}, columns = {types!r}"
        )
        return (
            f"COPY (SELECT * FROM read_csv(?, {reading})) TO '{path}'"
            f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
        )


class _Part:
    """Some of the text, compressed, in a file of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        """Bytes of text so far, before they were compressed."""
        self._file = path.open("wb")
        self._compressor = zstandard.ZstdCompressor(level=1).compressobj()

    def add(self, text: bytes) -> None:
        self._file.write(self._compressor.compress(text))
        self.size += len(text)

    def close(self) -> None:
        self._file.write(self._compressor.flush())
        self._file.close()

    def discard(self) -> None:
        # On a full disk closing fails as writing did, for what still waits in memory.
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)


def _type_of(column: ExportColumn) -> str:
    match column.shape:
        case Shape.TEXT | Shape.JSON:
            # As plain text JSON is read by every program; focus-validator refuses Parquet's own type for it.
            return "VARCHAR"
        case Shape.WHOLE:
            return "BIGINT"
        case Shape.DECIMAL:
            return f"DECIMAL(38,{column.places})"
        case Shape.NUMBER:
            return "DOUBLE"
        case Shape.FLAG:
            return "BOOLEAN"
        case Shape.TIME:
            return "TIMESTAMPTZ"
