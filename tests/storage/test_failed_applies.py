"""An apply that fails at any statement and is tried again leaves what one leaves that nothing disturbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import duckdb

from bursar.storage.duckdb.apply import make_applier
from tests.support.changed_store import QUARANTINE_LIMIT, ChangedStore, Lines
from tests.support.ledger import a_change, a_correction, a_usage, a_void

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.storage.duckdb.connection import StoreDatabase

DAY = 86_400_000_000
START = 20_700 * DAY


class Failing:
    """A database of which every statement fails from a chosen one on, as where memory is short."""

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database
        self.left = 1_000

    def cursor(self) -> FailingConnection:
        return FailingConnection(self._database.cursor(), self)

    def count_down(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise duckdb.OutOfMemoryException("no statement is left")


class FailingConnection:
    """One connection to it; what isn't a statement works."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, owner: Failing) -> None:
        self._connection = connection
        self._owner = owner

    def execute(self, *arguments: Any) -> duckdb.DuckDBPyConnection:  # noqa: ANN401 - DuckDB's own
        self._owner.count_down()
        return self._connection.execute(*arguments)

    def commit(self) -> None:
        self._owner.count_down()
        self._connection.commit()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - DuckDB's own
        return getattr(self._connection, name)


def some_history() -> Lines:
    """Deliveries, changes between them, repeats of both, what can't be read, and what ends a stretch."""
    lines = Lines()
    for record in (
        a_usage("a", time=START),
        a_usage("a", tenant_id="umbrella"),
        a_correction("a", a_usage("a", time=START + DAY, cost="1.000000000000")),
        a_usage("b"),
        a_usage("a", fingerprint=1),
        a_void("b", "late"),
        a_usage("late"),
        a_correction("nobody", a_usage("nobody")),
        a_void("b"),
        a_usage("b"),
        a_usage("old", time=START),
        a_change("expire", what="events", before=START + DAY),
        a_usage("old", time=START + DAY),
        a_usage("broken", time="no time"),
        a_void("old", "a", tenant_id="umbrella"),
    ):
        lines.add(record)
    return lines


def attempts(store: ChangedStore, database: Failing, lines: Lines) -> int:
    """Apply until it works, with more statements each time; how often that took."""
    attempt = 0
    while True:
        attempt += 1
        database.left = 3 * attempt
        try:
            store.applier.apply(list(lines.batches()))
        except duckdb.OutOfMemoryException:
            continue
        return attempt


def test_an_apply_that_fails_a_little_later_each_time_leaves_what_an_undisturbed_one_does(
    tmp_path: Path,
) -> None:
    lines = some_history()
    failed, whole = ChangedStore(tmp_path / "failed"), ChangedStore(tmp_path / "whole")
    try:
        database = Failing(failed.database)
        failed.applier = make_applier(
            cast("StoreDatabase", database), failed.index, "journal", tmp_path / "scratch", QUARANTINE_LIMIT
        )
        assert attempts(failed, database, lines) > 15
        whole.apply(lines)
        assert failed.dump() == whole.dump()
        assert failed.recount(lines).differences == []
    finally:
        failed.close()
        whole.close()
