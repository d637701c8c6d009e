"""An export on its way out: piece after piece as text, or as a Parquet file made of them.

Each piece is a question of its own in the pool of queries, so that a slow reader holds no thread and no
transaction. When the reader leaves, the task is cancelled and with it the question that runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from bursar import clock
from bursar.errors import DiskFull, Overloaded
from bursar.storage.duckdb.parquet_file import ParquetFile
from bursar.usage.csv_table import Text, write_rows
from bursar.usage.exports.pieces import ROWS_PER_PIECE
from bursar.usage.exports.reading import ExportFormat

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from bursar.storage.duckdb.connection import DuckDBLimits
    from bursar.storage.folder import DataFolder
    from bursar.usage.exports.columns import ExportColumn
    from bursar.usage.exports.pieces import Piece, Pieces
    from bursar.usage.exports.reading import ExportAsked
    from bursar.usage.store import AsksQuestions

TRIES = 20
"""How often a piece is asked for again while other questions take all the room: for a minute or so."""
PAGE_SECONDS = 5.0
"""A page that has taken so long ends with the piece that it has, for a client waits for the whole of it;
a piece is a few seconds of work at most, and clients wait for half a minute or so."""
BLOCK_BYTES = 256 * 1024
"""Read from a file at once."""


@dataclass(slots=True)
class ExportRun:
    """One export under way."""

    questions: AsksQuestions
    pieces: Pieces
    asked: ExportAsked
    as_of: int
    place: int | None
    """Where the next piece begins; None at the end."""
    rows: int = 0
    """How many rows have been read."""
    begun_at: float = field(default_factory=clock.monotonic)

    async def read(self) -> AsyncIterator[Piece]:
        """The pieces of the page that was asked for, or all to the end."""
        while self.place is not None and not self._is_enough():
            piece = await self._ask(self.place)
            self.place, self.rows = piece.next_place, self.rows + piece.rows
            yield piece

    def cursor(self) -> str | None:
        """Where the export goes on behind what was read; None at the end."""
        return None if self.place is None else self.asked.cursor(self.as_of, self.place)

    def _is_enough(self) -> bool:
        if self.asked.limit is None:
            return False
        is_late = clock.monotonic() - self.begun_at >= PAGE_SECONDS
        return self.rows >= self.asked.limit or (is_late and self.rows > 0)

    async def _ask(self, place: int) -> Piece:
        selection = self.asked.selection(self.as_of)
        wanted = ROWS_PER_PIECE
        if self.asked.limit is not None:
            wanted = min(wanted, self.asked.limit - self.rows)
        tries = 0
        while True:
            try:
                return await self.questions.ask(
                    lambda store: self.pieces.read(store, selection, place, wanted)
                )
            except Overloaded as busy:
                tries += 1
                # Only what has begun is worth waiting for; who comes new is told to come again.
                if tries == TRIES or not self.rows:
                    raise
                await asyncio.sleep(busy.retry_after_seconds)


async def write_text(run: ExportRun, columns: Sequence[ExportColumn]) -> AsyncIterator[bytes]:
    """The export as CSV or JSON."""
    is_csv = run.asked.format in {ExportFormat.CSV, ExportFormat.FOCUS}
    if is_csv and run.asked.has_header:
        yield header_of(columns)
    is_array = run.asked.format is ExportFormat.JSON
    begun = b"[\n"
    async for piece in run.read():
        if not is_array:
            yield piece.text
        elif piece.rows:
            # A line break stands behind every object and nowhere within one.
            yield begun + piece.text[:-1].replace(b"\n", b",\n")
            begun = b",\n"
    if is_array:
        yield (b"[" if begun == b"[\n" else b"") + b"\n]\n"


def header_of(columns: Sequence[ExportColumn]) -> bytes:
    """The header of a CSV file."""
    return write_rows([[Text(column.name) for column in columns]]).encode()


@dataclass(frozen=True, slots=True)
class FileGround:
    """Where files are made, and with how much of the machine."""

    folder: DataFolder
    limits: DuckDBLimits
    min_free_bytes: int

    def refuse_full_disk(self) -> None:
        """Let nobody fill the disk that the journal needs.

        Raises:
            DiskFull: there is too little room left.
        """
        if self.folder.free_bytes() <= self.min_free_bytes:
            message = "There is no room left on the disk for the file; nothing was made."
            raise DiskFull(message)


async def make_parquet(run: ExportRun, columns: Sequence[ExportColumn], ground: FileGround) -> ParquetFile:
    """The export as a file; whoever gets it discards it.

    Raises:
        DiskFull: there is no room for it.
        Overloaded, TimedOut: as for any question.
    """
    ground.refuse_full_disk()
    file = ParquetFile(ground.folder.scratch / f"export-{uuid4().hex}.parquet", columns, ground.limits)
    try:
        async for piece in run.read():
            ground.refuse_full_disk()
            await asyncio.to_thread(file.add, piece.text)
        await _finished(file)
    except BaseException:
        file.discard()
        raise
    return file


async def _finished(file: ParquetFile) -> None:
    """Wait until the file is written; when cancelled, until the writing has ended, for the file goes then."""
    writing = asyncio.ensure_future(asyncio.to_thread(file.finish))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        while not writing.done():
            file.interrupt()
            await asyncio.wait((writing,), timeout=0.05)
        with contextlib.suppress(Exception):
            writing.result()
        raise


async def send_file(path: Path) -> AsyncGenerator[bytes]:
    """A file, block by block."""
    with path.open("rb") as opened:
        while block := await asyncio.to_thread(opened.read, BLOCK_BYTES):
            yield block
