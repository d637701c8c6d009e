"""The kept price book in SQL: updates are added, nothing is changed or deleted; implements `PriceStore`.

An update's number is its place in the order of all updates and unique, so of two processes that add one
at the same time the second is refused and starts over from what the first has made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, insert, select

from bursar.errors import BookMoved
from bursar.pricing.entries import ModelEntry
from bursar.pricing.keeping.kept import (
    EndedRow,
    KeptBook,
    KeptEntry,
    KeptProvider,
    KeptRow,
    PriceUpdate,
    SourceState,
)
from bursar.pricing.keeping.source import Remark
from bursar.storage.relational.price_rows import insert_plainly, moment_of, row_of, values_of
from bursar.storage.relational.tables.prices import (
    PRICE_ENTRIES,
    PRICE_PROVIDERS,
    PRICE_ROW_ENDS,
    PRICE_ROWS,
    PRICE_UPDATES,
)
from bursar.storage.relational.transactions import reading, reading_once, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Row

    from bursar.pricing.keeping.kept import UpdateHead
    from bursar.pricing.keeping.update import Plan

Place = tuple[str, str]


class RelationalPriceBook:
    """Keeps the price book in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep it behind `engine`, whose tables are up to date."""
        self._engine = engine

    def latest(self) -> int:
        """See `PriceStore.latest`."""
        with reading(self._engine) as connection:
            return _latest(connection)

    def load(self, known_at: datetime | None = None) -> KeptBook:
        """See `PriceStore.load`."""
        with reading_once(self._engine) as connection:
            number = _latest(connection, known_at)
            return KeptBook(
                number,
                _providers(connection, number),
                _entries(connection, number),
                _KeptRows(_row_values(connection, number), _ends(connection, number)),
                _versions(connection, number),
            )

    def append(self, head: UpdateHead, plan: Plan, based_on: int) -> PriceUpdate:
        """See `PriceStore.append`."""
        update = PriceUpdate(number=based_on + 1, **msgspec.structs.asdict(head))
        with writing(self._engine) as connection:
            if _latest(connection) != based_on:
                raise BookMoved
            with refusing(duplicate=BookMoved()):
                connection.execute(insert(PRICE_UPDATES).values(_update_values(update)))
            _add_rows(connection, update, plan)
            _add_entries(connection, update, plan)
        return update

    def updates(self, limit: int, before: int | None = None) -> Sequence[PriceUpdate]:
        """See `PriceStore.updates`."""
        question = select(PRICE_UPDATES).order_by(PRICE_UPDATES.c.number.desc()).limit(limit)
        if before is not None:
            question = question.where(PRICE_UPDATES.c.number < before)
        with reading(self._engine) as connection:
            return [_update_of(row) for row in connection.execute(question)]

    def sources(self) -> Sequence[SourceState]:
        """See `PriceStore.sources`."""
        with reading_once(self._engine) as connection:
            latest = select(func.max(PRICE_UPDATES.c.number)).group_by(PRICE_UPDATES.c.source)
            question = select(PRICE_UPDATES).where(PRICE_UPDATES.c.number.in_(latest))
            updates = [_update_of(row) for row in connection.execute(question)]
            of_source = select(PRICE_ROWS.c.source, func.count().label("total")).group_by(PRICE_ROWS.c.source)
            all_rows = {row.source: row.total for row in connection.execute(of_source)}
            ended = select(PRICE_ROW_ENDS.c.row_id)
            still = of_source.where(PRICE_ROWS.c.valid_to.is_(None), PRICE_ROWS.c.id.not_in(ended))
            open_rows = {row.source: row.total for row in connection.execute(still)}
        return [
            SourceState(one, all_rows.get(one.source, 0), open_rows.get(one.source, 0))
            for one in sorted(updates, key=lambda one: one.source)
        ]

    def history(self, provider: str, model: str) -> Sequence[EndedRow]:
        """See `PriceStore.history`."""
        is_of_model = PRICE_ROWS.c.provider == provider, PRICE_ROWS.c.model == model
        with reading_once(self._engine) as connection:
            rows = connection.execute(select(PRICE_ROWS).where(*is_of_model).order_by(PRICE_ROWS.c.id)).all()
            ids = select(PRICE_ROWS.c.id).where(*is_of_model)
            ends = connection.execute(
                select(PRICE_ROW_ENDS)
                .where(PRICE_ROW_ENDS.c.row_id.in_(ids))
                .order_by(PRICE_ROW_ENDS.c.update_number)
            ).all()
            updates = _named_updates(connection, {row.update_number for row in (*rows, *ends)})
        found: dict[int, list[tuple[PriceUpdate, datetime]]] = {}
        for end in ends:
            found.setdefault(end.row_id, []).append((updates[end.update_number], end.ends_at))
        return [
            EndedRow(row_of(row), updates[row.update_number], tuple(found.get(row.id, ()))) for row in rows
        ]


class _KeptRows(Mapping[Place, "Sequence[KeptRow]"]):
    """Rows by provider and entry, made when they are asked for: a start needs few of the ten thousand."""

    def __init__(self, rows: Iterator[Sequence[Any]], ends: dict[int, datetime]) -> None:
        self._values: dict[Place, list[Sequence[Any]]] = {}
        self._ends = ends
        for values in rows:
            self._values.setdefault((values[2], values[3]), []).append(values)
        self._made: dict[Place, list[KeptRow]] = {}

    def __getitem__(self, place: Place) -> Sequence[KeptRow]:
        made = self._made.get(place)
        if made is None:
            made = [one for values in self._values[place] if not (one := self._make(values)).is_empty]
            self._made[place] = made
        return made

    def __iter__(self) -> Iterator[Place]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _make(self, values: Sequence[Any]) -> KeptRow:
        row, end = row_of(values), self._ends.get(values[0])
        ends_at = row.valid_to if end is None or (row.valid_to and row.valid_to < end) else end
        return KeptRow(values[0], values[1], row, ends_at)


def _latest(connection: Connection, known_at: datetime | None = None) -> int:
    question = select(func.coalesce(func.max(PRICE_UPDATES.c.number), 0))
    if known_at is not None:
        question = question.where(PRICE_UPDATES.c.recorded_at <= known_at)
    return connection.execute(question).scalar_one()


def _row_values(connection: Connection, number: int) -> Iterator[Sequence[Any]]:
    # Plain, without SQLAlchemy's own handling of each value; see `price_rows.py`.
    question = select(PRICE_ROWS).where(PRICE_ROWS.c.update_number <= number).order_by(PRICE_ROWS.c.id)
    statement = question.compile(connection.engine, compile_kwargs={"literal_binds": True})
    return iter(connection.exec_driver_sql(str(statement)).all())


def _ends(connection: Connection, number: int) -> dict[int, datetime]:
    ends = PRICE_ROW_ENDS.c
    question = (
        select(ends.row_id, func.min(ends.ends_at)).where(ends.update_number <= number).group_by(ends.row_id)
    )
    found = ((row_id, moment_of(at)) for row_id, at in connection.execute(question))
    return {row_id: at for row_id, at in found if at is not None}


def _entries(connection: Connection, number: int) -> dict[Place, KeptEntry]:
    table = PRICE_ENTRIES.c
    question = (
        select(table.provider, table.model, table.source, table.document)
        .where(table.update_number <= number)
        .order_by(table.update_number)
    )
    decode = msgspec.json.Decoder(ModelEntry).decode
    return {
        (provider, model): KeptEntry(decode(document), source)
        for provider, model, source, document in connection.execute(question)
    }


def _providers(connection: Connection, number: int) -> dict[str, KeptProvider]:
    table = PRICE_PROVIDERS.c
    question = (
        select(table.provider, table.document)
        .where(table.update_number <= number)
        .order_by(table.update_number)
    )
    decode = msgspec.json.Decoder(KeptProvider).decode
    return {provider: decode(document) for provider, document in connection.execute(question)}


def _versions(connection: Connection, number: int) -> dict[str, str]:
    table = PRICE_UPDATES.c
    question = select(table.source, table.version).where(table.number <= number).order_by(table.number)
    return {row.source: row.version for row in connection.execute(question)}


def _add_rows(connection: Connection, update: PriceUpdate, plan: Plan) -> None:
    first = connection.execute(select(func.coalesce(func.max(PRICE_ROWS.c.id), 0))).scalar_one() + 1
    rows = [values_of(row_id, update.number, row) for row_id, row in enumerate(plan.rows, first)]
    insert_plainly(connection, PRICE_ROWS, rows)
    ends = [(end.row_id, update.number, end.ends_at) for end in plan.ends]
    insert_plainly(connection, PRICE_ROW_ENDS, ends)


def _add_entries(connection: Connection, update: PriceUpdate, plan: Plan) -> None:
    entries = [(one.provider, one.id, update.number, update.source, one.to_json()) for one in plan.entries]
    insert_plainly(connection, PRICE_ENTRIES, entries)
    providers = [(one.entry.id, update.number, msgspec.json.encode(one).decode()) for one in plan.providers]
    insert_plainly(connection, PRICE_PROVIDERS, providers)


def _named_updates(connection: Connection, numbers: set[int]) -> dict[int, PriceUpdate]:
    question = select(PRICE_UPDATES).where(PRICE_UPDATES.c.number.in_(numbers))
    return {row.number: _update_of(row) for row in connection.execute(question)}


def _update_values(update: PriceUpdate) -> dict[str, Any]:
    values = msgspec.structs.asdict(update)
    for name in ("counts", "remarks"):
        values[name] = msgspec.json.encode(values[name]).decode()
    return values


def _update_of(row: Row[Any]) -> PriceUpdate:
    values = {column.name: getattr(row, column.name) for column in PRICE_UPDATES.columns}
    values["counts"] = msgspec.json.decode(values["counts"], type=dict[str, int])
    values["remarks"] = msgspec.json.decode(values["remarks"], type=tuple[Remark, ...])
    return PriceUpdate(**values)
