"""Journal lines into a staging table with the raw row's columns, in bulk.

DuckDB's own JSON reader does the work without holding the GIL. Lines that it can't read are found
by halving, so that one bad record never stops those around it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from bursar.storage.duckdb.schema import EVENT_COLUMNS
from bursar.units import UNITS
from bursar.usage.stored_event import TEXT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STAGED = "staged_usage"

_RECORD_WINS = ("service_tier", "speed", "region", "batch", "context_tokens")
"""What the provider's own usage object said, before what the caller said."""
_EVENT_WINS = ("provider", "model")
"""What the caller said, before what was inferred."""
_DEFAULTS = {"service_type": "'llm_service'", "status": "'ok'"}
_EVENT_ONLY: dict[str, str] = {
    "retry_count": "INTEGER",
    "latency_ms": "DECIMAL(18,3)",
    "time_to_first_token_ms": "DECIMAL(18,3)",
    "temperature": "DOUBLE",
    "max_tokens": "BIGINT",
    "tags": "MAP(VARCHAR, VARCHAR)",
    "metadata": "JSON",
    "usage": "JSON",
}
_EVENT_FIELDS: dict[str, str] = {
    "event_id": "VARCHAR",
    **dict.fromkeys(TEXT_FIELDS, "VARCHAR"),
    "batch": "BOOLEAN",
    "context_tokens": "BIGINT",
    **_EVENT_ONLY,
}
_RECORD_FIELDS: dict[str, str] = {
    "seq": "UBIGINT",
    "fingerprint": "UBIGINT",
    "received": "BIGINT",
    "time": "BIGINT",
    "tenant_id": "VARCHAR",
    "key_id": "VARCHAR",
    "door": "VARCHAR",
    "event_id": "VARCHAR",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "service_tier": "VARCHAR",
    "batch": "BOOLEAN",
    "speed": "VARCHAR",
    "region": "VARCHAR",
    "context_tokens": "BIGINT",
    "units": "STRUCT(" + ", ".join(f'"{unit}" BIGINT' for unit in UNITS) + ")",
    "custom_units": "MAP(VARCHAR, BIGINT)",
    "units_source": "VARCHAR",
    "cost": "DECIMAL(18,12)",
    "currency": "VARCHAR",
    "cost_status": "VARCHAR",
    "cost_reason": "VARCHAR",
    "rate_card": "VARCHAR",
    "parts": "JSON",
    "reported_cost": "DECIMAL(18,12)",
    "reported_currency": "VARCHAR",
    "reported_by": "VARCHAR",
    "event": "STRUCT(" + ", ".join(f'"{name}" {kind}' for name, kind in _EVENT_FIELDS.items()) + ")",
}
_JSON_COLUMNS = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in _RECORD_FIELDS.items()) + "}"


def _expression(column: str) -> str:
    """SQL that gives a raw column out of a journal record."""
    if column in _EXPRESSIONS:
        return _EXPRESSIONS[column]
    return f"event.{column}" if column in _EVENT_FIELDS else column


_EXPRESSIONS: dict[str, str] = {
    "time": "make_timestamp(time)",
    "received_at": "make_timestamp(received)",
    "revised_seq": "NULL::UBIGINT",
    "provider_named": "event.provider IS NOT NULL",
    "reported_by": "CASE WHEN reported_cost IS NOT NULL THEN coalesce(reported_by, 'client') END",
    **{unit: f'units."{unit}"' for unit in UNITS},
    **{column: f"coalesce(event.{column}, {column})" for column in ("event_id", *_EVENT_WINS)},
    **{column: f"coalesce({column}, event.{column})" for column in _RECORD_WINS},
    **{column: f"coalesce(event.{column}, {default})" for column, default in _DEFAULTS.items()},
}
_SELECTED = ", ".join(f'{_expression(column)} AS "{column}"' for column in EVENT_COLUMNS)
_LINE_BYTES = 16 * 2**20
"""The longest line that can be read, many times what an event may have. Each load takes memory for two."""
SELECT_FROM_JSON = (
    f"SELECT {_SELECTED} FROM read_json(?, format = 'newline_delimited', columns = {_JSON_COLUMNS},"
    f" maximum_object_size = {_LINE_BYTES})"
)


_INCOMPLETE = " OR ".join(f'"{name}" IS NULL' for name, kind in EVENT_COLUMNS.items() if "NOT NULL" in kind)


_LINE_ERRORS = (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException)
"""What DuckDB says of a line that it can't read. Others, such as too little memory, say nothing of it."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A record that could not become a row, and why."""

    line: bytes
    detail: str


class UnreadableLines(Exception):
    """Some of the lines don't make rows."""


@dataclass(slots=True)
class Staging:
    """One staging table on one connection, filled anew for each run of records."""

    connection: duckdb.DuckDBPyConnection
    path: Path
    """A scratch file for the lines; it never needs to be durable."""
    bad: list[BadLine] = field(default_factory=list[BadLine])

    def insert(self, payloads: Sequence[bytes]) -> None:
        """Load lines of usage records straight into the raw rows, within a transaction: the cheapest way.

        Raises:
            UnreadableLines: some line doesn't fit; the transaction can only be rolled back.
        """
        try:
            self._write(payloads)
            self.connection.execute(f"INSERT INTO usage_events {SELECT_FROM_JSON}", [str(self.path)])
        except duckdb.Error as error:
            raise UnreadableLines(str(error)) from error
        finally:
            os.truncate(self.path, 0)

    def fill(self, payloads: Sequence[bytes]) -> None:
        """Load lines of usage records; what can't be read is in `bad`.

        Raises:
            duckdb.Error: lines can't be loaded now, whatever is in them.
        """
        self.bad = []
        try:
            if not self._load_at_once(payloads):
                self._load_carefully(payloads)
        finally:
            # An empty file keeps no dirty pages for the kernel to write out.
            os.truncate(self.path, 0)

    def _load_at_once(self, payloads: Sequence[bytes]) -> bool:
        """Make the table out of the lines, which is the cheapest way; False where some don't fit."""
        self._write(payloads)
        try:
            self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {STAGED} AS {SELECT_FROM_JSON}", [str(self.path)]
            )
        except duckdb.Error:
            return False
        return not self.connection.execute(f"SELECT 1 FROM {STAGED} WHERE {_INCOMPLETE} LIMIT 1").fetchall()

    def _load_carefully(self, payloads: Sequence[bytes]) -> None:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in EVENT_COLUMNS.items())
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} ({columns})")
        self._load_halves([line for payload in payloads for line in payload.splitlines(keepends=True)])

    def _load(self, lines: Sequence[bytes]) -> None:
        self._write(lines)
        self.connection.execute(f"INSERT INTO {STAGED} {SELECT_FROM_JSON}", [str(self.path)])

    def _write(self, parts: Sequence[bytes]) -> None:
        with self.path.open("wb") as file:
            file.writelines(parts)

    def _load_halves(self, lines: Sequence[bytes]) -> None:
        for half in (lines[: len(lines) // 2], lines[len(lines) // 2 :]):
            if not half:
                continue
            try:
                self._load(half)
            except duckdb.Error as error:
                if len(half) > 1:
                    self._load_halves(half)
                elif isinstance(error, _LINE_ERRORS):
                    self.bad.append(BadLine(half[0], self._explain(error)))
                else:
                    raise

    def _explain(self, error: duckdb.Error) -> str:
        """What DuckDB says of a line, without its advice and without where the scratch file is."""
        return str(error).partition("\n")[0].replace(f' in file "{self.path}"', "")
