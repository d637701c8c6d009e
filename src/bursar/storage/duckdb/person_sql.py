"""Finds a person in a tenant's usage: rows, their history, the quarantine, and kept sums by user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.erase import UNREADABLE
from bursar.usage.erasing import PERSON_FIELDS, fields_naming, is_named_in, names_person
from bursar.usage.figures import besides_figures
from bursar.usage.person import Person, PersonFound

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

_TAGS = (
    "list_transform(list_filter(coalesce(map_entries(tags), []),"
    " lambda t: regexp_matches(t.value, $pattern)), lambda t: t.key)"
)
_NAMES = " OR ".join(
    f'coalesce(regexp_matches("{name}"::VARCHAR, $pattern), false)' for name in PERSON_FIELDS
)
_AS_JSON = {"VARCHAR": 'to_json("{}")', "JSON": '"{}"', "MAP(VARCHAR, VARCHAR)": 'to_json("{}")'}
_AS_JSON["MAP(VARCHAR, BIGINT)"] = 'to_json(map_keys("{}"))'
"""SQL for the columns of a type that may hold words, as JSON; others hold numbers and moments."""
_NO_WORDS = frozenset({"tenant_id", "record"})
"""The tenant's own id; and a whole line, which is looked through field by field."""


def find_person(
    cursor: duckdb.DuckDBPyConnection, tenant_id: str, identifiers: Collection[str]
) -> PersonFound:
    """Where the identifiers stand in this tenant's usage; a scan of all of it."""
    person = Person(identifiers)
    values = {"tenant": tenant_id, "pattern": person.pattern}
    found: dict[int, set[str]] = {}
    for table in ("usage_events", "usage_history"):
        rows = cursor.execute(
            f"SELECT place, named, CASE WHEN NOT is_named THEN usage END FROM"
            f" (SELECT coalesce(revised_seq, seq) AS place, {_TAGS} AS named, usage::VARCHAR AS usage,"
            f" len(named) > 0 OR {_NAMES} AS is_named FROM {table} WHERE tenant_id = $tenant)"
            " WHERE is_named OR regexp_matches(usage, $pattern)",
            values,
        ).fetchall()
        for seq, tags, usage in rows:
            # A figure is nobody's name.
            if usage is None or any(map(person.is_in, besides_figures(usage.encode()))):
                found.setdefault(int(seq), set()).update(tags or ())
    aside = cursor.execute(
        "SELECT seq, record, reason FROM quarantine"
        " WHERE tenant_id = $tenant AND regexp_matches(record, $pattern)",
        values,
    ).fetchall()
    for seq, record, reason in aside:
        tags = names_person(record.encode(), person)
        if tags is not None or reason == UNREADABLE:
            found.setdefault(int(seq), set()).update(tags or ())
    kept = cursor.execute(
        "SELECT by_seq, place FROM kept_by_user_day"
        " WHERE tenant_id = $tenant AND regexp_matches(user_id, $pattern) ORDER BY ALL",
        values,
    ).fetchall()
    return PersonFound(
        tuple((seq, tuple(sorted(found[seq]))) for seq in sorted(found)),
        tuple((int(by_seq), int(place)) for by_seq, place in kept),
    )


def rows_naming(
    cursor: duckdb.DuckDBPyConnection, tenant_id: str, person: Person, through_seq: int
) -> set[tuple[str, int]]:
    """Columns that still match, each with the place of its row, up to a place; sums by user are place 0."""
    left: set[tuple[str, int]] = set()
    values = {"tenant": tenant_id, "pattern": person.pattern, "last": through_seq}
    for table in ("usage_events", "usage_history", "quarantine"):
        columns = {
            str(row[0]): _AS_JSON[row[1]].format(row[0])
            for row in cursor.execute(f"DESCRIBE {table}").fetchall()
            if row[1] in _AS_JSON and row[0] not in _NO_WORDS
        }
        for name, content in columns.items():
            rows = cursor.execute(
                f"SELECT seq, {content}::VARCHAR AS content FROM {table}"
                " WHERE tenant_id = $tenant AND seq <= $last AND regexp_matches(content, $pattern)",
                values,
            ).fetchall()
            left |= {(name, int(seq)) for seq, text in rows if is_named_in(name, text.encode(), person)}
    aside = cursor.execute(
        "SELECT seq, record FROM quarantine"
        " WHERE tenant_id = $tenant AND seq <= $last AND regexp_matches(record, $pattern)",
        values,
    ).fetchall()
    left |= {("record", int(seq)) for seq, line in aside if fields_naming(line.encode(), person)}
    kept = cursor.execute(
        "SELECT 1 FROM kept_by_user_day"
        " WHERE tenant_id = $tenant AND regexp_matches(user_id, $pattern) LIMIT 1",
        {"tenant": tenant_id, "pattern": person.pattern},
    ).fetchall()
    return left | ({("user_id", 0)} if kept else set())
