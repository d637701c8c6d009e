"""The tables of the DuckDB usage store, and the column lists that all other SQL is built from.

Raw rows are kept in journal order, so that DuckDB's row-group statistics make a look-up by `seq`
or a window of time read only what it needs. Rollups are append-only rows of signed amounts: a
reader always sums them, a correction or a void adds opposite rows, and compaction replaces many
by their sum. Measures of every rollup are the same list, so that one query can read any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.units import OUTPUT_UNITS, UNITS

if TYPE_CHECKING:
    import duckdb

STORE_VERSION = 1
"""Version of these tables, kept in the folder's FORMAT file."""

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
TEXT_FIELDS = (
    "project_id",
    "user_id",
    "session_id",
    "request_id",
    "correlation_id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "tracking_token_id",
    "service_type",
    "provider",
    "model",
    "response_model",
    "operation",
    "endpoint",
    "environment",
    "region",
    "service_tier",
    "speed",
    "status",
    "error_code",
    "category",
    "message",
    "prompt_version",
)
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
    "tenant_id": "VARCHAR",
    "user_id": "VARCHAR",
    "currency": "VARCHAR",
    "cost_status": "VARCHAR",
}
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


def output_tokens(table: str = "") -> str:
    """SQL for all output tokens of a raw row."""
    prefix = f"{table}." if table else ""
    return " + ".join(f"coalesce({prefix}{unit}, 0)" for unit in OUTPUT_UNITS)


def measure_sums(sign: str = "") -> str:
    """SQL of every rollup measure over raw rows, in the order of `MEASURE_COLUMNS`.

    Args:
        sign: `-` for the opposite amounts of a correction or void.
    """
    parts = [
        f"{sign}count(*) AS events",
        f"{sign}count(*) FILTER (status = 'error') AS errors",
        *(f"{sign}coalesce(sum({unit}), 0) AS {unit}" for unit in UNITS),
        f"{sign}coalesce(sum(CAST(cost AS DECIMAL(38,12))), 0) AS cost",
        f"{sign}coalesce(sum(CAST(latency_ms AS DECIMAL(38,3))), 0) AS latency_ms",
        f"{sign}count(latency_ms) AS timed_events",
        f"{sign}coalesce(sum({output_tokens()}) FILTER (latency_ms IS NOT NULL), 0) AS timed_output_tokens",
    ]
    return ", ".join(parts)


def _ddl(table: str, columns: dict[str, str]) -> str:
    body = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {table} ({body})"


TABLES: dict[str, dict[str, str]] = {
    "usage_events": EVENT_COLUMNS,
    "usage_history": {**EVENT_COLUMNS, "ended_seq": "UBIGINT", "ended_kind": "VARCHAR"},
    "usage_by_hour": {**HOUR_DIMENSIONS, **MEASURE_COLUMNS},
    "usage_by_user_day": {**USER_DAY_DIMENSIONS, **MEASURE_COLUMNS},
    "latency_by_hour": {**LATENCY_DIMENSIONS, "events": "BIGINT"},
    "quarantine": {
        "seq": "UBIGINT NOT NULL",
        "tenant_id": "VARCHAR",
        "event_id": "VARCHAR",
        "received_at": "TIMESTAMP",
        "reason": "VARCHAR NOT NULL",
        "detail": "VARCHAR",
        "record": "VARCHAR",
    },
    "applied": {"journal_id": "VARCHAR NOT NULL", "seq": "UBIGINT NOT NULL", "applied_at": "TIMESTAMP"},
}


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make every table that isn't there yet."""
    for table, columns in TABLES.items():
        connection.execute(_ddl(table, columns))
