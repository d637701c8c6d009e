"""The file of an export as it grows: pages into `….part`, and a note of how far it is, until it is whole.

The note is written after the page that it speaks of is on the disk; what stands behind it in the file is
cut off when the export goes on. Parquet has no pages: such a file is fetched whole, or anew.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from bursar.cli.failures import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from bursar_client import BursarClient

PATH = "/api/v1/export"
PAGE_ROWS = 20_000
"""Some 10 MB: a second or two for the server, and not much to fetch again."""
HEADERS = ("events", "unpriced_events", "total", "as_of", "as_of_time", "window", "complete_since")
"""What an export says of itself, each in a header `Bursar-…`."""


@dataclass(slots=True)
class ExportFile:
    """Which export, and where it goes."""

    asked: dict[str, Any]
    path: Path | None
    cursor: str | None = None
    size: int = 0
    """Bytes that are written for good."""
    totals: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def part(self) -> Path:
        """The file while it isn't whole."""
        assert self.path is not None  # noqa: S101 - asked for only where there is one
        return self.path.with_name(self.path.name + ".part")

    @property
    def note(self) -> Path:
        """How far it is."""
        return self.part.with_name(self.part.name + ".json")

    @property
    def is_parquet(self) -> bool:
        """Whether it comes in one piece."""
        return "parquet" in self.asked["format"]

    def refuse_misuse(self, *, is_resumed: bool, may_overwrite: bool) -> None:
        """Refuse what would lose a file, or can't go on.

        Raises:
            BadParameter: an option that makes no sense here.
            CommandFailed: there is a file of that name.
        """
        if self.path is None:
            if is_resumed or self.is_parquet:
                name = "--resume" if is_resumed else "Parquet"
                message = f"{name} needs a file: give --out."
                raise typer.BadParameter(message, param_hint="--out")
        elif self.path.exists() and not may_overwrite:
            message = f"{self.path} is there already. Choose another name, or replace it with --overwrite."
            raise CommandFailed(message)

    def recall(self) -> None:
        """Go on where the note says; from the beginning where there is none.

        Raises:
            CommandFailed: the note is of another export.
        """
        if self.is_parquet or not self.note.is_file() or not self.part.is_file():
            return
        note = json.loads(self.note.read_text())
        if note["asked"] != self.asked:
            message = f"{self.part} was begun with other options; repeat those, or leave --resume out."
            raise CommandFailed(message)
        self.cursor, self.size, self.totals = note["cursor"], note["size"], note["totals"]

    def remember(self) -> None:
        """Note how far the file is; on disk when this returns."""
        note = {"asked": self.asked, "cursor": self.cursor, "size": self.size, "totals": self.totals}
        fresh = self.note.with_name(self.note.name + ".new")
        with fresh.open("w") as opened:
            json.dump(note, opened)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(self.note)

    def tell_rest(self) -> None:
        """Say how to go on, where the file isn't whole."""
        from bursar.cli.printing import say

        if self.path is not None and self.note.is_file():
            say(f"{self.size:,} bytes are in {self.part}; the same command with --resume goes on from there.")


def write_export(client: BursarClient, file: ExportFile, *, is_resumed: bool) -> dict[str, str]:
    """Fetch an export to its end; answers what it says of itself.

    Raises:
        BursarClientError: the server refused, or is gone; what was fetched stays for `--resume`.
        CommandFailed: the file can't be written, or isn't the one to go on with.
    """
    from bursar.cli.printing import progress_of

    if file.path is None:
        with progress_of("rows", None) as advance:
            _write_pages(client, file, sys.stdout.buffer, advance)
        return file.totals
    if is_resumed:
        file.recall()
    try:
        _write_file(client, file, file.path)
    except OSError as error:
        message = f"{file.path} can't be written: {error.strerror or error}."
        raise CommandFailed(message) from error
    return file.totals


def _write_file(client: BursarClient, file: ExportFile, path: Path) -> None:
    """Fetch the rest of the file; it gets its name once it is whole and on the disk."""
    from bursar.cli.printing import progress_of

    mode = "r+b" if file.size else "wb"
    with file.part.open(mode) as opened, progress_of("rows", None) as advance:
        opened.seek(file.size)
        opened.truncate()
        if file.is_parquet:
            _write_whole(client, file, opened)
        else:
            _write_pages(client, file, opened, advance)
        opened.flush()
        os.fsync(opened.fileno())
    file.part.replace(path)
    file.note.unlink(missing_ok=True)


def _write_whole(client: BursarClient, file: ExportFile, out: BinaryIO) -> None:
    with client.download(PATH, params=file.asked) as answer:
        _read_totals(file, answer.headers)
        out.writelines(answer.iter_bytes())


def _write_pages(
    client: BursarClient, file: ExportFile, out: BinaryIO, advance: Callable[[int], None]
) -> None:
    is_array = file.asked["format"] == "json"
    begun = file.cursor is not None
    while True:
        page = {"limit": PAGE_ROWS, "header": not begun, **({"cursor": file.cursor} if file.cursor else {})}
        form = {"format": "ndjson"} if is_array else {}
        answer = client.fetch(PATH, params={**file.asked, **form, **page})
        _read_totals(file, answer.headers)
        out.write(_in_array(answer.content, begun=begun) if is_array else answer.content)
        advance(int(answer.headers.get("bursar-rows", 0)))
        begun, file.cursor = True, answer.headers.get("bursar-next-cursor")
        if file.cursor is None:
            break
        if file.path is not None:
            out.flush()
            os.fsync(out.fileno())
            file.size = out.tell()
            file.remember()
    if is_array:
        out.write(b"\n]\n")


def _in_array(lines: bytes, *, begun: bool) -> bytes:
    """JSON lines as members of one array, without its end."""
    return (
        (b",\n" if begun else b"[\n") + lines[:-1].replace(b"\n", b",\n") if lines else b"" if begun else b"["
    )


def _read_totals(file: ExportFile, headers: Mapping[str, str]) -> None:
    """Keep what the first page says: it speaks of all of them."""
    if not file.totals:
        named = {name: headers.get(f"bursar-{name.replace('_', '-')}") for name in HEADERS}
        file.totals = {name: value for name, value in named.items() if value is not None}
