"""Price files on this machine: their bytes, as they are, for the server to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.cli.failures import CommandFailed

if TYPE_CHECKING:
    from pathlib import Path


def content_of(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        CommandFailed: it can't be read, or there is nothing in it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"{path} can't be read: {error.strerror or error}."
        raise CommandFailed(message) from None
    if not content:
        message = f"{path} is empty."
        raise CommandFailed(message)
    return content
