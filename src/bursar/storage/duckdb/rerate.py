"""Rating runs: ratings wait in a table of their own, and come into force all at once.

`rates` records fill `staged_ratings`; the run's `commit` replaces the ratings of all these events in one
transaction, with opposite and new rollup rows, and moves the old ones to `earlier_ratings`. Raw rows are
updated in place, so that they stay in the journal's order. An event that was corrected, voided or removed
since it was rated is passed over. The recount uses the same steps on its own tables, without rollups; what
a run leaves of events that expire is decided in `expire.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bursar.clock import from_micros
from bursar.storage.duckdb.binding import naive
from bursar.storage.duckdb.rollup import ROLLUPS, add_to_rollups
from bursar.storage.duckdb.schema import RATING_COLUMNS
from bursar.usage.changes import ABANDON, COMMIT, MonthSums, RatingRunRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from bursar.storage.duckdb.change_reader import RatingRun

_LINE_BYTES = 16 * 2**20
"""Of most lines; a longer one is read all the same, or nothing behind it ever were."""
_FIELDS = (
    "{'tenant_id': 'VARCHAR', 'as_of': 'UBIGINT', 'seqs': 'UBIGINT[]', 'picos': 'BIGINT[]',"
    " 'ratings': 'INTEGER[]', 'kinds': 'VARCHAR[][]', 'parts': 'MAP(VARCHAR, JSON)'}"
)
_AMOUNT = "CAST(CAST(r.picos AS DECIMAL(19,0)) * CAST(0.000000000001 AS DECIMAL(12,12)) AS DECIMAL(18,12))"
_LOAD = (
    "WITH line AS MATERIALIZED (SELECT * FROM read_json(?, format = 'newline_delimited',"
    f" columns = {_FIELDS}, maximum_object_size = ?)),"
    " r AS (SELECT tenant_id, as_of, unnest(seqs) AS seq, unnest(picos) AS picos, unnest(ratings) AS nth"
    " FROM line),"
    " k AS (SELECT unnest(kinds) AS said, generate_subscripts(kinds, 1) - 1 AS nth FROM line),"
    " p AS (SELECT CAST(one.key AS UBIGINT) AS seq, one.value AS parts FROM"
    " (SELECT unnest(map_entries(parts)) AS one FROM line))"
    f" SELECT r.seq, r.tenant_id, r.as_of, {_AMOUNT}, said[1], said[2], said[3], said[4], p.parts, said[5]"
    " FROM r JOIN k USING (nth) LEFT JOIN p USING (seq)"
)
_NEW = ", ".join(f"s.{name} AS new_{name}" for name in RATING_COLUMNS)
_OLD = ", ".join(f"e.{name}" for name in RATING_COLUMNS)
_SET = ", ".join(f"{name} = r.new_{name}" for name in RATING_COLUMNS)
_SIDES = (("before", ""), ("after", "new_"))
_MONTHS = (
    "SELECT month, currency, sum(events_before), sum(events_after), sum(unpriced_before),"
    " sum(unpriced_after), sum(cost_before)::VARCHAR, sum(cost_after)::VARCHAR FROM ("
    + " UNION ALL ".join(
        f"SELECT strftime(time, '%Y-%m') AS month, {prefix}currency AS currency, "
        + ", ".join(
            f"{figure if side == name else zero} AS {kind}_{name}"
            for kind, figure, zero in (
                ("events", "count(*)", "0"),
                ("unpriced", f"count(*) FILTER ({prefix}cost IS NULL)", "0"),
                (
                    "cost",
                    f"coalesce(sum(CAST({prefix}cost AS DECIMAL(38,12))), 0)",
                    "CAST(0 AS DECIMAL(38,12))",
                ),
            )
            for name, _ in _SIDES
        )
        + " FROM rerated GROUP BY 1, 2"
        for side, prefix in _SIDES
    )
    + ") GROUP BY 1, 2 ORDER BY 1, 2"
)
_OF_LATENCIES = "latency_by_hour"
_OF_RATINGS = tuple(name for name in ROLLUPS if name != _OF_LATENCIES)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[MonthSums]).decode
_decode_step = msgspec.json.Decoder(RatingRunRecord).decode


class Rerater:
    """Carries out the steps of rating runs on one connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, schema: str = "") -> None:
        """Work on the tables of this schema (`recount.`); those of the store itself have rollups too."""
        self._connection = connection
        self._schema = schema

    def take(self, change: RatingRun, line: bytes, scratch: Path) -> bool:
        """Make a step, inside a transaction; False where it belongs to no open run and is passed over.

        Args:
            change: the step.
            line: the same as a line of the journal.
            scratch: a file to load it through.
        """
        if change.step == COMMIT:
            return self._commit(change)
        if change.step == ABANDON:
            return self._close(change.tenant_id, change.run_id)
        return self._stage(change, line, scratch)

    def _stage(self, change: RatingRun, line: bytes, scratch: Path) -> bool:
        if change.number == 0:
            self._close(change.tenant_id, None)
            self._connection.execute(
                f"INSERT INTO {self._schema}rating_runs (tenant_id, run_id, began_seq, chunks)"
                " VALUES (?, ?, ?, 0)",
                [change.tenant_id, change.run_id, change.seq],
            )
        if self._chunks_of(change) != change.number:
            return False
        self._connection.execute(
            f"UPDATE {self._schema}rating_runs SET chunks = chunks + 1 WHERE tenant_id = ? AND seq IS NULL",
            [change.tenant_id],
        )
        scratch.write_bytes(line)
        values = [str(scratch), max(_LINE_BYTES, len(line) + 1)]
        self._connection.execute(f"INSERT INTO {self._schema}staged_ratings {_LOAD}", values)
        scratch.write_bytes(b"")
        return True

    def _commit(self, change: RatingRun) -> bool:
        is_whole = self._chunks_of(change) == change.number > 0
        if is_whole:
            self._replace(change)
        elif change.applied is None:
            return False
        sums = self._sums() if change.applied is None else change.applied
        self._close(change.tenant_id, change.run_id)
        if is_whole:
            # It would be kept until the next run, some 200 MB for a million events.
            self._connection.execute("DROP TABLE rerated")
        if not sums:
            # As if it had never been: its ratings may be dropped from the journal before it.
            return False
        self._connection.execute(
            f"INSERT INTO {self._schema}rating_runs VALUES (?, ?, NULL, NULL, ?, ?, ?, ?, ?)",
            [
                change.tenant_id,
                change.run_id,
                change.seq,
                _moment(change),
                change.key_id,
                change.reason,
                _encode(sums).decode(),
            ],
        )
        return True

    def _replace(self, change: RatingRun) -> None:
        """Put the staged ratings in the places of those that hold."""
        schema, execute = self._schema, self._connection.execute
        execute(
            "CREATE OR REPLACE TEMP TABLE rerated AS SELECT e.seq, coalesce(e.revised_seq, e.seq) AS version,"
            f" e.tenant_id, e.time, {_OLD}, {_NEW} FROM {schema}usage_events e"
            f" JOIN {schema}staged_ratings s ON s.seq = e.seq AND s.tenant_id = e.tenant_id"
            f" JOIN {schema}rating_runs r ON r.tenant_id = e.tenant_id AND r.seq IS NULL"
            " AND e.seq < r.began_seq WHERE s.tenant_id = ? AND coalesce(e.revised_seq, e.seq) <= s.as_of",
            [change.tenant_id],
        )
        execute(
            f"INSERT INTO {schema}earlier_ratings SELECT seq, version, tenant_id,"
            f" {', '.join(RATING_COLUMNS)}, ?, ?, ?, ?, ? FROM rerated",
            [change.seq, _moment(change), change.key_id, change.reason, change.run_id],
        )
        if not schema:
            self._add_to_rollups("-")
        execute(f"UPDATE {schema}usage_events SET {_SET} FROM rerated r WHERE usage_events.seq = r.seq")
        if not schema:
            self._add_to_rollups("")

    def _add_to_rollups(self, sign: str) -> None:
        """Add what is rated again to the rollups, as it stands now; latencies only know its provider."""
        of_others = "SELECT seq FROM rerated WHERE provider IS DISTINCT FROM new_provider"
        rows = "(SELECT e.* FROM usage_events e SEMI JOIN rerated USING (seq))"
        add_to_rollups(self._connection, rows, sign, _OF_RATINGS)
        add_to_rollups(self._connection, f"usage_events WHERE seq IN ({of_others})", sign, (_OF_LATENCIES,))

    def _sums(self) -> list[MonthSums]:
        """What the ratings that were just replaced came to, and what they come to now."""
        rows = self._connection.execute(_MONTHS).fetchall()
        return [
            MonthSums(month, currency, int(events), int(later), int(unknown), int(still), before, after)
            for month, currency, events, later, unknown, still, before, after in rows
        ]

    def _chunks_of(self, change: RatingRun) -> int | None:
        """How many `rates` of this very run wait; None where it isn't open."""
        rows = self._connection.execute(
            f"SELECT chunks FROM {self._schema}rating_runs"
            " WHERE tenant_id = ? AND run_id IS NOT DISTINCT FROM ? AND seq IS NULL",
            [change.tenant_id, change.run_id],
        ).fetchall()
        return int(rows[0][0]) if rows else None

    def _close(self, tenant_id: str, run_id: str | None) -> bool:
        """Forget the open run of a tenant, if there is one, and if it is this one where one is named."""
        where = "tenant_id = ? AND seq IS NULL" + ("" if run_id is None else " AND run_id = ?")
        values = [tenant_id] if run_id is None else [tenant_id, run_id]
        gone = self._connection.execute(f"DELETE FROM {self._schema}rating_runs WHERE {where}", values)
        if not int(gone.fetchall()[0][0]):
            return False
        self._connection.execute(f"DELETE FROM {self._schema}staged_ratings WHERE tenant_id = ?", [tenant_id])
        return True


def sums_of_runs(connection: duckdb.DuckDBPyConnection, tenant_id: str | None = None) -> dict[int, bytes]:
    """By the position of its commit: what each rating run (of a tenant) has changed, as JSON."""
    rows = connection.execute(
        "SELECT seq, sums FROM rating_runs WHERE seq IS NOT NULL AND coalesce(tenant_id = ?, true)",
        [tenant_id],
    ).fetchall()
    return {int(seq): str(sums).encode() for seq, sums in rows}


def read_sums(text: str) -> list[MonthSums]:
    """The sums of a row of `rating_runs`."""
    return _decode(text.encode())


def with_applied(line: bytes, sums: bytes) -> bytes:
    """A commit's line with what it changed."""
    return _replaced(line, {"applied": msgspec.Raw(sums)})


def without_positions(line: bytes, is_gone: Callable[[int], bool]) -> bytes:
    """The line of a rating run's step without the ratings of positions that are gone."""
    said = _decode_step(line)
    left = [i for i, seq in enumerate(said.seqs) if not is_gone(seq)]
    if len(left) == len(said.seqs):
        return line
    new: dict[str, Any] = {
        name: [values[i] for i in left]
        for name, values in (("seqs", said.seqs), ("picos", said.picos), ("ratings", said.ratings))
    }
    if said.parts:
        new["parts"] = {seq: parts for seq, parts in said.parts.items() if not is_gone(int(seq))}
    return _replaced(line, new)


def _replaced(line: bytes, values: dict[str, Any]) -> bytes:
    record: dict[str, Any] = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    return _encode({**record, **values}) + (b"\n" if line.endswith(b"\n") else b"")


def _moment(change: RatingRun) -> datetime:
    return naive(from_micros(change.received))
