"""A total in one currency beside the amounts as they are: converted day by day, with every rate named.

Each UTC day's cost in each currency is multiplied by that day's rate (`pricing/exchange/`). Where a rate
is missing the total is null and says which; it is never a sum of what happened to be convertible.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from bursar.money import CURRENCY_PATTERN, format_decimal, format_picos, parse_picos
from bursar.pricing.exchange.conversion import Conversion, DayAmount, convert_amounts
from bursar.usage.periods import Grain
from bursar.usage.query import ROWS_LIMIT, Order, UsageQuery
from bursar.usage.query_dimensions import PERIOD
from bursar.usage.reporting import ConvertedCost, MissingRateShown, QuotedRate, UsedRateShown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bursar.usage.asked import Asked
    from bursar.usage.query import Filter
    from bursar.usage.query_answer import Value
    from bursar.usage.query_reader import Asker
    from bursar.usage.reporting import ReportsCosts
    from bursar.usage.store import UsageQuestions
    from bursar.window import Window

PARAMETER = "reporting_currency"
COST = "cost"


@dataclass(frozen=True, slots=True)
class ConversionAsk:
    """That costs are wanted in a currency too."""

    tenant_id: str
    currency: str
    reporting: ReportsCosts

    def convert(
        self,
        store: UsageQuestions,
        window: Window,
        filters: tuple[Filter, ...],
        amounts: Mapping[str, Value],
    ) -> ConvertedCost:
        """The cost of what filters and a window select; `amounts` is its known total by currency."""
        known = {currency for currency, amount in amounts.items() if amount is not None}
        if known <= {self.currency}:
            amount = amounts.get(self.currency)
            shown = format_decimal(amount) if isinstance(amount, Decimal) else None
            return ConvertedCost(self.currency, shown if amounts else "0", [], [])
        lines = list(self._lines(store, window, filters))
        days = [line.day for line in lines] or [window.start.date()]
        rates = self.reporting.rates_for(self.tenant_id, {*known, self.currency}, min(days), max(days))
        return _show(convert_amounts(lines, self.currency, rates))

    def _lines(
        self, store: UsageQuestions, window: Window, filters: tuple[Filter, ...]
    ) -> Iterator[DayAmount]:
        """The cost of every UTC day in every currency."""
        offset, has_more = 0, True
        while has_more:
            query = UsageQuery(
                window,
                (COST,),
                ("currency",),
                filters,
                grain=Grain.DAY,
                zone=UTC,
                order=(Order(PERIOD), Order("currency")),
                limit=ROWS_LIMIT,
                offset=offset,
            )
            found = store.rows(self.tenant_id, query)
            for row in found.rows:
                day, cost = row[PERIOD], row[COST]
                if isinstance(day, datetime) and isinstance(cost, Decimal):
                    yield DayAmount(day.astimezone(UTC).date(), str(row["currency"]), parse_picos(cost))
            offset, has_more = offset + ROWS_LIMIT, found.has_more


def read_conversion(asked: Asked, asker: Asker) -> ConversionAsk | None:
    """The currency that a request names, or else that the tenant chose; None where there is none.

    What is wrong is noted in `asked`.
    """
    named = asked.text(PARAMETER)
    if asker.reporting is None:
        return None
    if named is not None and CURRENCY_PATTERN.fullmatch(named) is None:
        asked.refuse(PARAMETER, "bad_currency", f"{PARAMETER} is a currency code such as EUR.")
        return None
    currency = named or asker.reporting.currency_of(asker.tenant_id)
    return None if currency is None else ConversionAsk(asker.tenant_id, currency, asker.reporting)


def _show(conversion: Conversion) -> ConvertedCost:
    return ConvertedCost(
        conversion.currency,
        None if conversion.picos is None else format_picos(conversion.picos),
        [
            UsedRateShown(
                use.currency,
                format_picos(use.picos),
                format_picos(use.converted_picos),
                use.rate.day.isoformat(),
                use.first_day.isoformat(),
                use.last_day.isoformat(),
                [
                    QuotedRate(one.day.isoformat(), one.base, one.quote, f"{one.rate:f}", one.source)
                    for one in use.rate.entries
                ],
                "tenant" if use.rate.is_own else "operator",
            )
            for use in conversion.uses
        ],
        [
            MissingRateShown(one.currency, len(one.days), one.days[0].isoformat(), one.days[-1].isoformat())
            for one in conversion.missing
        ],
    )
