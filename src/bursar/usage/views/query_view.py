"""`POST /api/v1/query`: any question, answered as it was asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bursar.usage.csv_table import answer_as_csv
from bursar.usage.query_answer import render_answer
from bursar.usage.query_reader import Asker, read_query
from bursar.usage.views.converted import COST, ConversionAsk, read_conversion
from bursar.usage.views.shown import Shown

if TYPE_CHECKING:
    from bursar.usage.asked import Asked
    from bursar.usage.query import UsageQuery
    from bursar.usage.store import UsageQuestions


@dataclass(frozen=True, slots=True)
class QueryView:
    """A `UsageQuery`, shown as it is."""

    tenant_id: str
    query: UsageQuery
    is_explained: bool
    conversion: ConversionAsk | None = None

    def answer(self, store: UsageQuestions) -> Shown:
        """Columns, rows, totals, window, and what had no price."""
        found = store.answer(self.tenant_id, self.query)
        answer = render_answer(found, is_explained=self.is_explained)
        if self.conversion is not None and COST in found.totals.amounts:
            amounts, query = found.totals.amounts[COST], self.query
            converted = self.conversion.convert(store, query.window, query.filters, amounts)
            answer = replace(answer, converted=converted)
        return Shown(answer, lambda: answer_as_csv(answer))


def read_query_view(asked: Asked, asker: Asker) -> QueryView:
    """The query of a body.

    Raises:
        Invalid: with every reason.
    """
    is_explained = asked.flag("explain")
    conversion = read_conversion(asked, asker)
    return QueryView(asker.tenant_id, read_query(asked, asker), is_explained, conversion)
