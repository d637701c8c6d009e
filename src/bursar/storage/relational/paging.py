"""Pages of a table in order of creation, by keyset: no offset, so page 1,000 costs what page 1 does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import and_, or_

from bursar.identity.page import Page, Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, FromClause, Row, Select

    from bursar.identity.page import PageAsk

Item = TypeVar("Item")


def read_page(
    connection: Connection,
    question: Select[Any],
    table: FromClause,
    ask: PageAsk,
    make: Callable[[Row[Any]], Item],
) -> Page[Item]:
    """One page of the question's rows, each made into an item; `table` has `created_at` and `id`."""
    created_at, item_id = table.c.created_at, table.c.id
    if ask.after is not None:
        later = created_at > ask.after.created_at
        same = and_(created_at == ask.after.created_at, item_id > ask.after.id)
        question = question.where(or_(later, same))
    # One more than asked for tells whether there is a next page.
    rows = connection.execute(question.order_by(created_at, item_id).limit(ask.limit + 1)).all()
    shown = rows[: ask.limit]
    more = len(rows) > ask.limit
    return Page(
        tuple(make(row) for row in shown),
        Position(shown[-1].created_at, shown[-1].id) if more else None,
    )
