"""JSON or CSV: what the `format` parameter says, else what the `Accept` header prefers."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class OutputFormat(StrEnum):
    """The forms an answer comes in."""

    JSON = "json"
    CSV = "csv"


MEDIA_TYPES = {
    OutputFormat.JSON: "application/json",
    OutputFormat.CSV: "text/csv; charset=utf-8; header=present",
}


def choose_format(named: OutputFormat | None, accept: str) -> OutputFormat:
    """The named format, else CSV where the header prefers it to JSON, else JSON."""
    if named is not None:
        return named
    is_csv = _weight(accept, "text/csv") > _weight(accept, "application/json", "application/*", "*/*")
    return OutputFormat.CSV if is_csv else OutputFormat.JSON


def asks_for_file(named: Sequence[str], accept: str) -> bool:
    """Whether a request, unless it is refused, is answered with a file to take away instead of JSON.

    Args:
        named: every `format` that it names.
        accept: its `Accept` header.
    """
    if OutputFormat.JSON in named and OutputFormat.CSV not in named:
        return False
    return OutputFormat.CSV in named or choose_format(None, accept) is OutputFormat.CSV


def _weight(accept: str, *media_types: str) -> float:
    """The highest quality that a header gives to any of some media types; 0 if it names none."""
    weights = [0.0]
    for item in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in item.split(";"))
        if name in media_types:
            quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
            weights.append(float(quality) if quality.replace(".", "", 1).isdecimal() else 0.0)
    return max(weights)
