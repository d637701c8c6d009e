"""A file of a batch's results: JSON lines, each the answer to one request.

What a single line holds is in `batch_lines.py`, and what an answer means in `provider_answers.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from bursar.exact import decode_json
from bursar.usage.formats.batch_lines import answer_in_line

if TYPE_CHECKING:
    from collections.abc import Iterator


def lines_of_batch(content: bytes) -> Iterator[tuple[int, bytes]] | None:
    """The lines of a batch's results with their numbers; None where a file is no such one.

    Its first line tells; a torn line among the others is for its own reading to refuse.
    """
    lines = content.splitlines()
    first = next((line for line in lines if line.strip()), b"")
    if not _is_result(first):
        return None
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _is_result(line: bytes) -> bool:
    try:
        value = decode_json(line)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return False
    return isinstance(value, dict) and answer_in_line(cast("dict[str, Any]", value)) is not None
