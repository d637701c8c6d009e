"""A JSON object from a file or from standard input, to the letter: its numbers stay the decimals they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bursar.cli.failures import CommandFailed
from bursar.usage.json_shape import is_object

JsonFile = Annotated[Path, typer.Argument(metavar="FILE", help="A JSON object; - for stdin.")]


def read_object(path: Path) -> tuple[bytes, dict[str, Any]]:
    """What a file holds, as it is and decoded.

    Raises:
        CommandFailed: it can't be read, or is no JSON object.
    """
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        decoded = json.loads(content)
    except OSError as error:
        message = f"{path} can't be read: {error.strerror or error}."
        raise CommandFailed(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{path} is no JSON: {error}."
        raise CommandFailed(message) from error
    if not is_object(decoded):
        message = f"{path} must hold one JSON object."
        raise CommandFailed(message)
    return content, decoded
