"""The state store as one neutral file, from either engine into either: what a backup keeps of it.

The file is compressed lines of JSON: a head with the migration that the tables are at and their columns,
then one line per row. It is read in one transaction, so that it is one moment. Restoring makes the tables as
they were at that migration, fills them, and leaves the way to today's tables to `migrate.py`.
"""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard
from sqlalchemy import LargeBinary, MetaData, Numeric, inspect, select
from sqlalchemy import types as sql_types

from bursar.errors import ConfigurationError
from bursar.storage.relational.engine import is_sqlite
from bursar.storage.relational.migrate import build_at, current_revision
from bursar.storage.relational.transactions import building, reading_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine, Table

ROWS_AT_ONCE = 1_000
_LEFT_OUT = frozenset({"alembic_version", "leases"})
"""The head has the one; the other says which process is at work, and none is after a restore."""


class DumpHead(msgspec.Struct):
    """The first line."""

    revision: str | None
    tables: dict[str, list[str]]
    """Columns of each table, in an order in which rows may be inserted."""


class DumpedRow(msgspec.Struct, array_like=True):
    """One row, with its values in the head's order."""

    table: str
    values: list[Any]


def dump_state(engine: Engine, path: Path) -> str | None:
    """Write everything in the state store, as it is at one moment; answers the migration it is at.

    Raises:
        Unavailable: the store doesn't answer.
    """
    with reading_once(engine) as connection, path.open("wb") as file:
        tables = _tables_of(connection)
        revision = current_revision(connection)
        columns = {str(table.name): [str(column.name) for column in table.columns] for table in tables}
        with zstandard.ZstdCompressor(level=6).stream_writer(file) as lines:
            lines.write(msgspec.json.encode(DumpHead(revision, columns)) + b"\n")
            for table in tables:
                for row in _rows_of(connection, table):
                    lines.write(msgspec.json.encode(DumpedRow(str(table.name), row)) + b"\n")
    return revision


def restore_state(engine: Engine, path: Path) -> str | None:
    """Fill an empty state store from a dump, all or nothing; answers the migration it is at.

    Raises:
        NewerFormat: the dump is of a newer Bursar.
        ConfigurationError: the store isn't empty, or the dump can't be read.
    """
    refuse_used(engine)
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
        lines = io.BufferedReader(plain)
        head = msgspec.json.decode(lines.readline(), type=DumpHead)
        with building(engine) as connection:
            build_at(connection, head.revision)
            tables = {table.name: table for table in _tables_of(connection)}
            for table in reversed(tables.values()):
                # A migration may have put rows of its own there.
                connection.execute(table.delete())
            _insert_rows(connection, tables, head, lines)
    return head.revision


def refuse_used(engine: Engine) -> None:
    """Let only a store pass that has no tables.

    Raises:
        ConfigurationError: it has.
    """
    with reading_once(engine) as connection:
        found = inspect(connection).get_table_names()
    if found:
        where = engine.url.render_as_string(hide_password=True)
        message = f"{where} isn't empty: it has {len(found)} tables. Restore into an empty database."
        raise ConfigurationError(message)


def _tables_of(connection: Connection) -> list[Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name not in _LEFT_OUT]


def _rows_of(connection: Connection, table: Table) -> Iterator[list[Any]]:
    found = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(select(table))
    for row in found:
        yield [_neutral(value) for value in row]


def _neutral(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    if isinstance(value, datetime):
        # SQLite keeps moments in UTC without saying so.
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value


def _insert_rows(
    connection: Connection, tables: dict[str, Table], head: DumpHead, lines: Iterable[bytes]
) -> None:
    waiting: list[dict[str, Any]] = []
    table_name = ""
    readers: list[tuple[str, Callable[[Any], Any]]] = []
    for line in lines:
        row = msgspec.json.decode(line, type=DumpedRow)
        if row.table != table_name or len(waiting) == ROWS_AT_ONCE:
            _flush(connection, tables, table_name, waiting)
            table_name = row.table
            readers = [
                (name, _reader_of(tables[table_name], name, naive=is_sqlite(connection.engine)))
                for name in head.tables[table_name]
            ]
        waiting.append({name: read(value) for (name, read), value in zip(readers, row.values, strict=True)})
    _flush(connection, tables, table_name, waiting)


def _flush(
    connection: Connection, tables: dict[str, Table], name: str, waiting: list[dict[str, Any]]
) -> None:
    if waiting:
        connection.execute(tables[name].insert(), waiting)
        waiting.clear()


def _reader_of(table: Table, name: str, *, naive: bool) -> Callable[[Any], Any]:
    """What turns a neutral value into one for this column."""
    if name not in table.columns:
        message = f"The backup's table {table.name} has a column {name} that its migration doesn't make."
        raise ConfigurationError(message)
    kind = table.columns[name].type
    if isinstance(kind, sql_types.DateTime):
        return lambda value: None if value is None else _moment(value, naive=naive)
    if isinstance(kind, LargeBinary):
        return lambda value: None if value is None else base64.b64decode(value)
    if isinstance(kind, Numeric):
        return lambda value: None if value is None else Decimal(str(value))
    return lambda value: value


def _moment(text: str, *, naive: bool) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=None) if naive else moment
