"""Finds a person in a tenant's usage: rows, their history, the quarantine, and kept sums by user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.usage.erasing import PERSON_FIELDS
from bursar.usage.person import PersonFound, person_pattern

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

_TAGS = (
    "list_transform(list_filter(coalesce(map_entries(tags), []),"
    " lambda t: regexp_matches(t.value, $pattern)), lambda t: t.key)"
)
_NAMES = " OR ".join(f'regexp_matches("{name}"::VARCHAR, $pattern)' for name in (*PERSON_FIELDS, "usage"))

_NO_WORDS = frozenset({"tenant_id", "seq", "revised_seq", "ended_seq", "fingerprint"})
"""Columns that hold the tenant's own id, or numbers."""


class _Event(msgspec.Struct):
    tags: dict[str, Any] | None = None


class _Usage(msgspec.Struct):
    event: _Event | None = None


class _Line(msgspec.Struct):
    event: _Event | None = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Line).decode


def find_person(
    cursor: duckdb.DuckDBPyConnection, tenant_id: str, identifiers: Collection[str]
) -> PersonFound:
    """Where the identifiers stand in this tenant's usage; a scan of all of it."""
    values = {"tenant": tenant_id, "pattern": person_pattern(identifiers)}
    found: dict[int, set[str]] = {}
    for table in ("usage_events", "usage_history"):
        rows = cursor.execute(
            f"SELECT place, named FROM (SELECT coalesce(revised_seq, seq) AS place, {_TAGS} AS named,"
            f" {_NAMES} AS is_named FROM {table}"
            " WHERE tenant_id = $tenant) WHERE coalesce(is_named, false) OR len(named) > 0",
            values,
        ).fetchall()
        for seq, tags in rows:
            found.setdefault(int(seq), set()).update(tags or ())
    aside = cursor.execute(
        "SELECT seq, record FROM quarantine WHERE tenant_id = $tenant AND regexp_matches(record, $pattern)",
        values,
    ).fetchall()
    for seq, record in aside:
        found.setdefault(int(seq), set()).update(_tags_of(record, values["pattern"]))
    kept = cursor.execute(
        "SELECT by_seq, place FROM kept_by_user_day"
        " WHERE tenant_id = $tenant AND regexp_matches(user_id, $pattern) ORDER BY ALL",
        values,
    ).fetchall()
    return PersonFound(
        tuple((seq, tuple(sorted(found[seq]))) for seq in sorted(found)),
        tuple((int(by_seq), int(place)) for by_seq, place in kept),
    )


def _tags_of(record: str, pattern: str) -> list[str]:
    try:
        line = _decode(record.encode())
    except msgspec.DecodeError:
        return []
    event = line.event or (line.usage.event if line.usage else None)
    tags = (event.tags if event else None) or {}
    return [name for name, value in tags.items() if isinstance(value, str) and re.search(pattern, value)]


def rows_naming(
    cursor: duckdb.DuckDBPyConnection, tenant_id: str, pattern: str, through_seq: int
) -> set[tuple[str, int]]:
    """Columns that still match, each with the place of its row, up to a place; sums by user are place 0."""
    left: set[tuple[str, int]] = set()
    values = {"tenant": tenant_id, "pattern": pattern, "last": through_seq}
    for table in ("usage_events", "usage_history", "quarantine"):
        columns = [
            row[0] for row in cursor.execute(f"DESCRIBE {table}").fetchall() if row[0] not in _NO_WORDS
        ]
        named = ", ".join(
            f"CASE WHEN regexp_matches(\"{name}\"::VARCHAR, $pattern) THEN '{name}' END" for name in columns
        )
        rows = cursor.execute(
            f"SELECT unnest(list_filter([{named}], lambda name: name IS NOT NULL)) AS name, seq"
            f" FROM {table} t WHERE tenant_id = $tenant AND seq <= $last"
            " AND regexp_matches(t::VARCHAR, $pattern)",
            values,
        ).fetchall()
        left |= {(name, int(seq)) for name, seq in rows}
    kept = cursor.execute(
        "SELECT 1 FROM kept_by_user_day"
        " WHERE tenant_id = $tenant AND regexp_matches(user_id, $pattern) LIMIT 1",
        {"tenant": tenant_id, "pattern": pattern},
    ).fetchall()
    return left | ({("user_id", 0)} if kept else set())
