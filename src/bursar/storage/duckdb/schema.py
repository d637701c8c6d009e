"""The tables of the DuckDB usage store, and the column lists that all other SQL is built from.

Raw rows are kept in journal order, so that DuckDB's row-group statistics make a look-up by `seq`
or a window of time read only what it needs. Rollups are append-only rows of signed amounts: a
reader always sums them, a correction or a void adds opposite rows, and compaction replaces many
by their sum. Measures of every rollup are the same list, so that one query can read any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.units import OUTPUT_UNITS, UNITS
from bursar.usage.stored_event import TEXT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

STORE_VERSION = 2
"""Version of these tables, kept in the folder's FORMAT file; `upgrade_tables` brings older ones up."""

IDENTITY_COLUMNS: dict[str, str] = {
    "seq": "UBIGINT NOT NULL",
    "fingerprint": "UBIGINT NOT NULL",
    "tenant_id": "VARCHAR NOT NULL",
    "event_id": "VARCHAR NOT NULL",
    "time": "TIMESTAMP NOT NULL",
    "received_at": "TIMESTAMP NOT NULL",
    "door": "VARCHAR NOT NULL",
    "key_id": "VARCHAR NOT NULL",
}
DETAIL_COLUMNS: dict[str, str] = {
    **dict.fromkeys(TEXT_FIELDS, "VARCHAR"),
    "batch": "BOOLEAN",
    "context_tokens": "BIGINT",
    "retry_count": "INTEGER",
    "latency_ms": "DECIMAL(18,3)",
    "time_to_first_token_ms": "DECIMAL(18,3)",
    "temperature": "DOUBLE",
    "max_tokens": "BIGINT",
}
UNIT_COLUMNS: dict[str, str] = dict.fromkeys(UNITS, "BIGINT")
COST_COLUMNS: dict[str, str] = {
    "custom_units": "MAP(VARCHAR, BIGINT)",
    "units_source": "VARCHAR",
    "cost": "DECIMAL(18,12)",
    "currency": "VARCHAR NOT NULL",
    "cost_status": "VARCHAR NOT NULL",
    "cost_reason": "VARCHAR",
    "rate_card": "VARCHAR",
    "parts": "JSON",
    "reported_cost": "DECIMAL(18,12)",
    "reported_currency": "VARCHAR",
    "tags": "MAP(VARCHAR, VARCHAR)",
    "metadata": "JSON",
    "usage": "JSON",
    "revised_seq": "UBIGINT",
    "reported_by": "VARCHAR",
    "provider_named": "BOOLEAN",
}
EVENT_COLUMNS: dict[str, str] = {
    **IDENTITY_COLUMNS,
    **DETAIL_COLUMNS,
    **UNIT_COLUMNS,
    **COST_COLUMNS,
}
"""Every column of a raw row, in the table's order."""

MEASURE_COLUMNS: dict[str, str] = {
    "events": "BIGINT",
    "errors": "BIGINT",
    **dict.fromkeys(UNITS, "HUGEINT"),
    "cost": "DECIMAL(38,12)",
    "latency_ms": "DECIMAL(38,3)",
    "timed_events": "BIGINT",
    "timed_output_tokens": "HUGEINT",
}
"""What every rollup row carries; `cost` is 0 where the status is `unpriced`."""

HOUR_DIMENSIONS: dict[str, str] = {
    "hour": "TIMESTAMP",
    "tenant_id": "VARCHAR",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "service_type": "VARCHAR",
    "project_id": "VARCHAR",
    "currency": "VARCHAR",
    "cost_status": "VARCHAR",
}
USER_DAY_DIMENSIONS: dict[str, str] = {
    "day": "TIMESTAMP",
    **{name: kind for name, kind in HOUR_DIMENSIONS.items() if name != "hour"},
    "user_id": "VARCHAR",
}
"""All that the rollup by hour has, and users: what a part (a project, a model) cost by user is a sum, too.
Measured in batches of 20,000, that costs 0.2 µs of processor time per event more than users alone."""
LATENCY_DIMENSIONS: dict[str, str] = {
    "hour": "TIMESTAMP",
    "tenant_id": "VARCHAR",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "service_type": "VARCHAR",
    "project_id": "VARCHAR",
    "bucket": "INTEGER",
}

LATENCY_GROWTH = 1.04
"""Each latency bucket is 4 % wider than the one before: a percentile is at most 4 % off."""


def latency_bucket(column: str) -> str:
    """SQL for the bucket number of a latency in milliseconds; bucket 0 is everything under 1 ms."""
    return (
        f"CASE WHEN {column} < 1 THEN 0"
        f" ELSE 1 + CAST(floor(ln(CAST({column} AS DOUBLE)) / ln({LATENCY_GROWTH})) AS INTEGER) END"
    )


def output_tokens(table: str = "", units: Collection[str] = OUTPUT_UNITS) -> str:
    """SQL for all output tokens of a raw row, as far as they are among these units."""
    prefix = f"{table}." if table else ""
    return " + ".join(f"coalesce({prefix}{unit}, 0)" for unit in OUTPUT_UNITS if unit in units) or "0"


def measure_sums(sign: str = "", units: Collection[str] = tuple(UNITS)) -> str:
    """SQL of every rollup measure over raw rows, in the order of `MEASURE_COLUMNS`.

    Args:
        sign: `-` for the opposite amounts of a correction or void.
        units: those that any of the rows has; the sum of each other one is a plain 0.
    """
    timed_output = f"sum({output_tokens(units=units)}) FILTER (latency_ms IS NOT NULL)"
    parts = [
        f"{sign}count(*) AS events",
        f"{sign}count(*) FILTER (status = 'error') AS errors",
        *(f"{sign}coalesce(sum({unit}), 0) AS {unit}" if unit in units else f"0 AS {unit}" for unit in UNITS),
        f"{sign}coalesce(sum(CAST(cost AS DECIMAL(38,12))), 0) AS cost",
        f"{sign}coalesce(sum(CAST(latency_ms AS DECIMAL(38,3))), 0) AS latency_ms",
        f"{sign}count(latency_ms) AS timed_events",
        f"{sign}coalesce({timed_output}, 0) AS timed_output_tokens",
    ]
    return ", ".join(parts)


_LONG_TEXTS = frozenset({"metadata", "usage"})
"""Compressed with zstd: 26 bytes of a row of varied events instead of 56, and no dearer to write. DuckDB on
its own would do so only from 4 kB a value."""


def _ddl(table: str, columns: dict[str, str]) -> str:
    body = ", ".join(
        f'"{name}" {kind}' + (" USING COMPRESSION zstd" if name in _LONG_TEXTS else "")
        for name, kind in columns.items()
    )
    return f"CREATE TABLE IF NOT EXISTS {table} ({body})"


ENDED_COLUMNS: dict[str, str] = {
    "ended_seq": "UBIGINT",
    "ended_kind": "VARCHAR",
    "ended_at": "TIMESTAMP",
    "ended_by": "VARCHAR",
    "ended_reason": "VARCHAR",
    "ended_run": "VARCHAR",
}
"""Of a version that is no longer current: the record that ended it, when, who asked, why, by which run."""
RATING_COLUMNS: dict[str, str] = {
    "cost": "DECIMAL(18,12)",
    "currency": "VARCHAR",
    "cost_status": "VARCHAR",
    "cost_reason": "VARCHAR",
    "rate_card": "VARCHAR",
    "parts": "JSON",
    "provider": "VARCHAR",
}
"""What rating decides of an event; a rating run replaces just these."""
_KEPT_COLUMNS: dict[str, str] = {"by_seq": "UBIGINT NOT NULL", "place": "UBIGINT NOT NULL"}
"""Which expiry made a row, and its number there: an erasure names it by both."""
_LATENCY_COLUMNS: dict[str, str] = {**LATENCY_DIMENSIONS, "events": "BIGINT"}

TABLES: dict[str, dict[str, str]] = {
    "usage_events": EVENT_COLUMNS,
    "usage_history": {**EVENT_COLUMNS, **ENDED_COLUMNS},
    "usage_by_hour": {**HOUR_DIMENSIONS, **MEASURE_COLUMNS},
    "usage_by_user_day": {**USER_DAY_DIMENSIONS, **MEASURE_COLUMNS},
    "latency_by_hour": _LATENCY_COLUMNS,
    # What is in the rollups of events whose raw rows have expired.
    "kept_by_hour": {**HOUR_DIMENSIONS, **MEASURE_COLUMNS, **_KEPT_COLUMNS},
    "kept_by_user_day": {**USER_DAY_DIMENSIONS, **MEASURE_COLUMNS, **_KEPT_COLUMNS},
    "kept_latency_by_hour": {**_LATENCY_COLUMNS, **_KEPT_COLUMNS},
    "quarantine": {
        "seq": "UBIGINT NOT NULL",
        "tenant_id": "VARCHAR",
        "event_id": "VARCHAR",
        "received_at": "TIMESTAMP",
        "reason": "VARCHAR NOT NULL",
        "detail": "VARCHAR",
        "record": "VARCHAR",
    },
    # Records beyond a tenant's bound: where they are in the journal, without their text.
    "quarantine_drops": {
        "seq": "UBIGINT NOT NULL",
        "tenant_id": "VARCHAR",
        "received_at": "TIMESTAMP",
        "reason": "VARCHAR NOT NULL",
    },
    # How far each expiry of a tenant went; also where a project was reset, or something of one expired.
    "horizons": {
        "tenant_id": "VARCHAR NOT NULL",
        "what": "VARCHAR NOT NULL",
        "before": "TIMESTAMP NOT NULL",
        "seq": "UBIGINT NOT NULL",
    },
    # How far each expiry of a project went, until the project is reset.
    "project_horizons": {
        "tenant_id": "VARCHAR NOT NULL",
        "project_id": "VARCHAR NOT NULL",
        "what": "VARCHAR NOT NULL",
        "before": "TIMESTAMP NOT NULL",
        "seq": "UBIGINT NOT NULL",
    },
    # Positions that the journal must lose: noted until it is rewritten. Tombstones read from a rewritten
    # journal stand here too, until the record that removed them comes.
    "removed": {
        "seq": "UBIGINT NOT NULL",
        "by_seq": "UBIGINT NOT NULL",
        "upper": "UBIGINT",
        "lower": "UBIGINT",
        "fingerprint": "UBIGINT",
        "is_tombstone": "BOOLEAN NOT NULL",
    },
    # Positions whose lines must lose a person, noted until the journal is rewritten.
    "erased": {"seq": "UBIGINT NOT NULL", "by_seq": "UBIGINT NOT NULL", "tags": "VARCHAR[]"},
    # Versions of events that an erasure took words from, for good: a rule that asks for one can't rate them.
    "erased_events": {
        "seq": "UBIGINT NOT NULL",
        "version": "UBIGINT NOT NULL",
        "tenant_id": "VARCHAR NOT NULL",
    },
    # Ratings that a rating run has replaced; `version` is the position of the record that was rated.
    "earlier_ratings": {
        "seq": "UBIGINT NOT NULL",
        "version": "UBIGINT NOT NULL",
        "tenant_id": "VARCHAR NOT NULL",
        **RATING_COLUMNS,
        **{name: kind for name, kind in ENDED_COLUMNS.items() if name != "ended_kind"},
    },
    # Ratings of a run that hasn't come into force.
    "staged_ratings": {
        "seq": "UBIGINT NOT NULL",
        "tenant_id": "VARCHAR NOT NULL",
        "as_of": "UBIGINT NOT NULL",
        **RATING_COLUMNS,
    },
    # The open rating run of a tenant (no `seq` yet), and what each that came into force has changed.
    "rating_runs": {
        "tenant_id": "VARCHAR NOT NULL",
        "run_id": "VARCHAR",
        "began_seq": "UBIGINT",
        "chunks": "UBIGINT",
        "seq": "UBIGINT",
        "at": "TIMESTAMP",
        "key_id": "VARCHAR",
        "reason": "VARCHAR",
        "sums": "VARCHAR",
    },
    # How many rows each period of a rollup had when it was last summed up.
    "compacted": {
        "rollup": "VARCHAR NOT NULL",
        "period": "TIMESTAMP NOT NULL",
        "row_count": "BIGINT NOT NULL",
    },
    "applied": {"journal_id": "VARCHAR NOT NULL", "seq": "UBIGINT NOT NULL", "applied_at": "TIMESTAMP"},
}


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make every table that isn't there yet, and bring those of an older Bursar up to date.

    In a transaction of the caller's: an upgrade is whole or not begun.
    """
    found = tables_version(connection)
    for table, columns in TABLES.items():
        connection.execute(_ddl(table, columns))
    upgrade_tables(connection, found)


def tables_version(connection: duckdb.DuckDBPyConnection) -> int:
    """The version that the tables of the attached file have; the current one where there are none."""
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_name = 'usage_history' AND table_catalog = current_database()"
    ).fetchall()
    return 1 if rows and ("ended_at",) not in rows else STORE_VERSION


def upgrade_tables(connection: duckdb.DuckDBPyConnection, from_version: int) -> None:
    """Bring existing tables of an older version up to `STORE_VERSION`, step by step; rows stay.

    Tables that a version added are made by `create_tables`. Repeating a step changes nothing.
    """
    for version in range(from_version, STORE_VERSION):
        for statement in _STEPS[version]:
            connection.execute(statement)


_USERS_BY_DAY = (
    f"SELECT {', '.join(USER_DAY_DIMENSIONS)}, {measure_sums()}"
    " FROM (SELECT *, date_trunc('day', time) AS day FROM usage_events) GROUP BY ALL"
)
_STEPS: dict[int, tuple[str, ...]] = {
    1: (
        *(
            f"ALTER TABLE usage_history ADD COLUMN IF NOT EXISTS {name} {kind}"
            for name, kind in ENDED_COLUMNS.items()
        ),
        "ALTER TABLE usage_events ADD COLUMN IF NOT EXISTS reported_by VARCHAR",
        "ALTER TABLE usage_events ADD COLUMN IF NOT EXISTS provider_named BOOLEAN",
        "UPDATE usage_events SET reported_by = 'client' WHERE reported_cost IS NOT NULL",
        # Its new columns have places among the others.
        "CREATE OR REPLACE TEMP TABLE ended_before AS SELECT * FROM usage_history",
        "DROP TABLE usage_history",
        _ddl("usage_history", TABLES["usage_history"]),
        "INSERT INTO usage_history BY NAME SELECT * FROM ended_before",
        "DROP TABLE ended_before",
        # Nothing had expired yet, so that raw rows say all that there is to sum.
        "DROP TABLE IF EXISTS usage_by_user_day",
        _ddl("usage_by_user_day", TABLES["usage_by_user_day"]),
        f"INSERT INTO usage_by_user_day {_USERS_BY_DAY}",
    ),
}
"""What leads from each version to the next."""
