"""Finds what leads to a person: which records an erasure has to name.

By the rules of `usage/erasing.py`, over current rows, history and quarantined records, and the sums
by user of events that are expired. One tenant's data only. `erase.py` takes the person out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bursar.storage.duckdb.erase import UNREADABLE
from bursar.usage.changes import ErasedEvent, KeptPlace
from bursar.usage.erasing import names_person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.storage.duckdb.connection import Database

_HOLDS = "len(list_filter($quoted, lambda q: contains({}, q))) > 0"
_TAGS = (
    "coalesce(list_transform(list_filter(map_entries(tags), lambda t: list_contains($names, t.value)),"
    " lambda t: t.key), [])"
)
_NAMED = (
    f"SELECT coalesce(revised_seq, seq) AS place, {_TAGS} AS named FROM {{}} WHERE tenant_id = $tenant"
    " AND (list_contains($names, user_id) OR list_contains($names, message)"
    " OR list_has_any(map_values(tags), $names)"
    f" OR {_HOLDS.format('metadata::VARCHAR')} OR {_HOLDS.format('usage::VARCHAR')})"
)
_PLACES = (
    f"SELECT place, any_value(named) FROM ({_NAMED.format('usage_events')}"
    f" UNION ALL {_NAMED.format('usage_history')}) GROUP BY place ORDER BY place"
)
_QUARANTINED = (
    "SELECT seq, reason, record FROM quarantine WHERE tenant_id = $tenant AND"
    f" {_HOLDS.format('record')} ORDER BY seq"
)


def find_person(
    database: Database, tenant_id: str, identifiers: Sequence[str]
) -> tuple[list[ErasedEvent], list[KeptPlace]]:
    """Positions whose records name one of the identifiers, with the tags that do; and sums by that user.

    Args:
        database: the store; it reads every row of the tenant once.
        tenant_id: whose person it is.
        identifiers: what the person goes by.
    """
    quoted = [msgspec.json.encode(one).decode() for one in identifiers]
    values = {"tenant": tenant_id, "names": list(identifiers), "quoted": quoted}
    rows = database.execute(_PLACES, values).fetchall()
    events = [ErasedEvent(int(place), list(tags)) for place, tags in rows]
    aside = database.execute(_QUARANTINED, {"tenant": tenant_id, "quoted": quoted}).fetchall()
    for seq, reason, record in aside:
        tags = [] if reason == UNREADABLE else names_person(str(record).encode(), identifiers)
        if tags is not None:
            events.append(ErasedEvent(int(seq), tags))
    kept = database.execute(
        "SELECT by_seq, place FROM kept_by_user_day WHERE tenant_id = ? AND list_contains(?, user_id)"
        " ORDER BY ALL",
        [tenant_id, list(identifiers)],
    ).fetchall()
    return events, [KeptPlace(int(by_seq), int(place)) for by_seq, place in kept]
