"""Which project a line of the journal is of: what a deletion of a project must not leave."""

from __future__ import annotations

import msgspec

from bursar.usage.changes import KeptRows


class _Event(msgspec.Struct):
    project_id: str | None = None


class _Usage(msgspec.Struct):
    event: _Event | None = None


class _Line(_Usage):
    usage: _Usage | None = None
    kept: dict[str, KeptRows] | None = None


_decode = msgspec.json.Decoder(_Line).decode


def project_mark(project_id: str) -> bytes:
    """What stands in every line that names a project: cheap to look for before a line is read."""
    return msgspec.json.encode(project_id)


def project_of(line: bytes) -> str | None:
    """The project of a usage record, or of what a correction makes of one; None of others, or unreadable."""
    try:
        found = _decode(line)
    except msgspec.DecodeError:
        return None
    event = found.event or (found.usage.event if found.usage else None)
    return event.project_id if event else None


def keeps_sums_of(line: bytes, project_id: str) -> bool:
    """Whether an expiry's line holds sums of a project."""
    try:
        kept = _decode(line).kept or {}
    except msgspec.DecodeError:
        return False
    return any(
        row[rows.columns.index("project_id")] == project_id
        for rows in kept.values()
        if "project_id" in rows.columns
        for row in rows.rows
    )
