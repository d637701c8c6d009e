"""Journal, key index and usage store of a folder, without a server: records in, rows out.

For tests of what happens behind the journal: they choose the very records that are in it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import xxhash

from bursar.app.usage_stores import UsageStores, open_stores
from bursar.storage.duckdb.connection import DuckDBLimits
from bursar.storage.duckdb.rollup import rollup_sums
from bursar.storage.folder import DataFolder
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.recover import recover_journal
from tests.support.journal import write_groups

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from bursar.storage.duckdb.connection import StoreDatabase
    from bursar.storage.duckdb.recount import Recount
    from bursar.storage.keyindex.index import RunKeyIndex
    from bursar.usage.applying import Applied, RecordBatch

RECEIVED = 1_790_000_000_000_000
"""In microseconds: some day of 2026."""
QUARANTINE_LIMIT = 50


def a_usage(event_id: str, *, tenant_id: str = "acme", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - a record's own types
    """A usage record as ingest would write it; `event` changes the caller's part, the rest the record's."""
    event = {"event_id": event_id, "provider": "openai", "model": "gpt-4o-mini", **fields.pop("event", {})}
    return {
        "v": 1,
        "kind": "usage",
        "received": RECEIVED,
        "tenant_id": tenant_id,
        "key_id": "key_1",
        "door": "native",
        "fingerprint": xxhash.xxh3_64_intdigest(msgspec.json.encode(event)),
        "time": RECEIVED,
        "units": {"input_text": 100, "output_text": 10},
        "units_source": "totals",
        "cost": "0.000021000000",
        "currency": "USD",
        "cost_status": "priced",
        "rate_card": "card",
        **fields,
        "event": event,
    }


def a_change(kind: str, *, tenant_id: str = "acme", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - a record's own types
    """A record that changes earlier ones."""
    return {
        "v": 1,
        "kind": kind,
        "received": RECEIVED,
        "tenant_id": tenant_id,
        "key_id": "key_1",
        "door": "native",
        "reason": "a test asks",
        **fields,
    }


def a_void(*event_ids: str, tenant_id: str = "acme", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - a record's own types
    """A record that takes events out."""
    return {**a_change("void", tenant_id=tenant_id), "event_ids": list(event_ids), **fields}


def a_correction(event_id: str, usage: object, *, tenant_id: str = "acme") -> dict[str, Any]:
    """A record that replaces an event by another version."""
    return a_change("correction", tenant_id=tenant_id, event_id=event_id, usage=usage)


class Ledger:
    """The open stores of a folder."""

    def __init__(self, stores: UsageStores) -> None:
        self.stores = stores

    def journal(self, *records: dict[str, Any] | bytes, usage_only: bool | None = None) -> None:
        """Append each record in a frame of its own kind."""
        for record in records:
            line = record if isinstance(record, bytes) else msgspec.json.encode(record)
            is_usage = b'"kind":"usage"' in line[:40] if usage_only is None else usage_only
            write_groups(self.stores.folder.journal, [[line]], usage_only=is_usage)

    def journal_together(self, *records: dict[str, Any] | bytes) -> None:
        """Append usage records in one frame."""
        lines = [record if isinstance(record, bytes) else msgspec.json.encode(record) for record in records]
        write_groups(self.stores.folder.journal, [lines])

    def batches(self) -> list[RecordBatch]:
        """Everything in the journal."""
        folder = self.stores.folder.journal
        return list(batches_up_to(folder, recover_journal(folder).last_seq))

    def apply(self) -> Applied:
        """Apply what is in the journal and not in the store."""
        return self.stores.applier.apply(self.batches())

    def recount(self) -> Recount:
        """What `verify` finds."""
        return self.stores.recount(lambda _step, _records: None)

    def places(self) -> set[str]:
        """Where a recount finds differences."""
        found = self.recount()
        assert found.is_clean == (not found.differences)
        return {one.place for one in found.differences}

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query straight to the store."""
        return ask_store(self.stores.database, sql)

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that the store holds, but for when it was applied; rollups as sums."""
        return dump_store(self.stores.database, self.stores.index)


def ask_store(database: StoreDatabase, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query, on a cursor of its own."""
    cursor = database.cursor()
    try:
        return cursor.execute(sql).fetchall()
    finally:
        cursor.close()


def dump_store(database: StoreDatabase, index: RunKeyIndex) -> dict[str, list[tuple[Any, ...]]]:
    """All that a store and its index hold, but for when it was applied; rollups as sums."""
    tables = (
        "usage_events",
        "usage_history",
        "quarantine",
        "quarantine_drops",
        "kept_by_hour",
        "kept_by_user_day",
        "kept_latency_by_hour",
        "horizons",
        "project_horizons",
        "earlier_ratings",
        "staged_ratings",
        "rating_runs",
    )
    found = {table: sorted(ask_store(database, f"SELECT * FROM {table}"), key=repr) for table in tables}
    for table in ("usage_by_hour", "usage_by_user_day", "latency_by_hour"):
        found[table] = sorted(ask_store(database, rollup_sums(table)), key=repr)
    found["keys"] = sorted(index.items())
    found["applied"] = ask_store(database, "SELECT journal_id, seq FROM applied")
    return found


@contextmanager
def opened_ledger(path: Path) -> Generator[Ledger]:
    """The stores of a folder, closed in order at the end."""
    stores = open_stores(DataFolder(path), DuckDBLimits(), QUARANTINE_LIMIT)
    try:
        yield Ledger(stores)
    finally:
        stores.close()
