"""Corrections and voids: an event is replaced or taken out, its rollups follow, its trail stays.

The old row moves to the history and its rollup rows are undone by opposite ones; a correction then
adds the new row at the old position, so that the key index needs no change. Corrections of different
events that follow each other are made together, and a void names many events: either is one
transaction of a few statements, however many events it is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.clock import from_micros
from bursar.storage.duckdb.change_reader import Refusal
from bursar.storage.duckdb.rollup import add_to_rollups
from bursar.storage.duckdb.schema import ENDED_COLUMNS, EVENT_COLUMNS
from bursar.storage.duckdb.staging import STAGED
from bursar.usage.applying import event_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from bursar.storage.duckdb.change_reader import Correction, Void
    from bursar.storage.duckdb.staging import Staging
    from bursar.usage.applying import KeyIndex

_COLUMNS = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)
ENDED = ", ".join(f"n.{name}" for name in ENDED_COLUMNS)
"""The columns of `ends` (as n) that go into the history."""
ENDING = "ending"
"""The temporary table of versions that a change ends."""


def stage_replacements(staging: Staging, targets: Mapping[int, Correction]) -> dict[int, Refusal]:
    """Load what corrections bring, each for its event's position; returns why some can't take their places.

    Args:
        staging: its table holds the new rows afterwards.
        targets: corrections by the position of the event that each replaces.
    """
    staging.fill([change.replacement(seq) for seq, change in targets.items()])
    refusals = {_seq_of(bad.line): Refusal("unreadable_record", bad.detail) for bad in staging.bad}
    rows = staging.connection.execute(f"SELECT seq, tenant_id, event_id FROM {STAGED}").fetchall()
    staged = {int(seq): (tenant_id, event_id) for seq, tenant_id, event_id in rows}
    for seq, change in targets.items():
        if seq not in refusals and staged.get(seq) != (change.tenant_id, change.event_id):
            text = f"A correction of {change.event_id!r} must be the same event of the same tenant."
            refusals[seq] = Refusal("other_event", text)
    good = [seq for seq in targets if seq not in refusals]
    if refusals:
        staging.connection.execute(
            f"DELETE FROM {STAGED} WHERE seq NOT IN (SELECT unnest(?::UBIGINT[]))", [good]
        )
    staging.connection.execute(
        f"UPDATE {STAGED} SET revised_seq = n.revised FROM (SELECT unnest(?::UBIGINT[]) AS seq,"
        f" unnest(?::UBIGINT[]) AS revised) n WHERE {STAGED}.seq = n.seq",
        [good, [targets[seq].seq for seq in good]],
    )
    return refusals


def name_ends(connection: duckdb.DuckDBPyConnection, ends: Mapping[int, Correction | Void]) -> None:
    """Make the temporary table `ends`: which position's version ends, and the values of `ENDED_COLUMNS`."""
    columns = [list(column) for column in zip(*map(ended_values, ends.values()), strict=True)]
    kinds = ", ".join(f"unnest(?::{kind}[]) AS {name}" for name, kind in ENDED_COLUMNS.items())
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE ends AS SELECT unnest(?::UBIGINT[]) AS seq, {kinds}",
        [list(ends), *(columns or [[] for _ in ENDED_COLUMNS])],
    )


def ended_values(change: Correction | Void) -> list[object]:
    """The values of `ENDED_COLUMNS` for versions that this change ends."""
    at = from_micros(change.received).replace(tzinfo=None)
    return [change.seq, change.kind, at, change.key_id, change.reason, change.run_id]


class Amender:
    """Applies corrections and voids on the applier's connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, index: KeyIndex, staging: Staging) -> None:
        """Share the applier's connection, index and staging table."""
        self._connection = connection
        self._index = index
        self._staging = staging
        self._staged: dict[int, Correction] = {}

    def stage(self, changes: Sequence[Correction]) -> dict[int, Refusal]:
        """Load what corrections of different events bring.

        Within a transaction, one that can't be loaded leaves nothing but to roll it back (`duckdb.Error`).
        Returns why some can't be made, by the seqs of their records.
        """
        keys = {event_key(one.tenant_id, one.event_id): one for one in changes}
        known = self._index.find_all(list(keys))
        # An event that came after a correction is none that it could mean.
        seqs = {seq: keys[key] for key, seq in known.items() if seq < keys[key].seq}
        current = self._current(list(seqs))
        targets = {seq: one for seq, one in seqs.items() if seq in current}
        refused = stage_replacements(self._staging, targets) if targets else {}
        self._staged = {seq: one for seq, one in targets.items() if seq not in refused}
        refusals = {targets[seq].seq: refusal for seq, refusal in refused.items()}
        found = {one.seq for one in targets.values()}
        for one in changes:
            if one.seq not in found:
                text = f"There is no event {one.event_id!r} to change."
                refusals[one.seq] = Refusal("no_such_event", text)
        return refusals

    def correct(self) -> None:
        """Put the staged corrections in the old versions' places."""
        self._end(self._staged)
        self._connection.execute(f"INSERT INTO usage_events SELECT * FROM {STAGED}")
        add_to_rollups(self._connection, STAGED)

    def void(self, change: Void) -> int:
        """Take events out; returns how many of those named weren't current."""
        keys = sorted({event_key(change.tenant_id, event_id) for event_id in change.event_ids})
        earlier = [seq for seq in self._index.find_all(keys).values() if seq < change.seq]
        return len(keys) - self._end(dict.fromkeys(earlier, change))

    def _current(self, seqs: Sequence[int]) -> set[int]:
        """Those of the positions that have a current version."""
        if not seqs:
            return set()
        rows = self._connection.execute(
            "SELECT seq FROM usage_events WHERE seq BETWEEN ? AND ? AND seq IN (SELECT unnest(?::UBIGINT[]))",
            [min(seqs), max(seqs), list(seqs)],
        ).fetchall()
        return {int(row[0]) for row in rows}

    def _end(self, ends: Mapping[int, Correction | Void]) -> int:
        """Move current versions to the history and undo what they added to the rollups; returns how many."""
        if not ends:
            return 0
        name_ends(self._connection, ends)
        # The bounds let DuckDB skip every row group that can't hold them.
        where = f"seq BETWEEN {min(ends)} AND {max(ends)} AND seq IN (SELECT seq FROM ends)"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {ENDING} AS SELECT {_COLUMNS} FROM usage_events WHERE {where}"
        )
        rows = self._connection.execute(f"SELECT count(*) FROM {ENDING}").fetchall()
        add_to_rollups(self._connection, ENDING, sign="-")
        self._connection.execute(
            f"INSERT INTO usage_history SELECT e.*, {ENDED} FROM {ENDING} e JOIN ends n USING (seq)"
        )
        self._connection.execute(f"DELETE FROM usage_events WHERE {where}")
        return int(rows[0][0])


def _seq_of(line: bytes) -> int:
    """The position of a `Correction.replacement`, whatever else is in it."""
    return int(line[len(b'{"seq":') : line.index(b",")])
