"""What clients send to and get from `/api/v1/billing/exchange-rates`: JSON rates with every fault named."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import msgspec
from pydantic import BaseModel, ConfigDict

from bursar.described import describe_fields
from bursar.errors import Invalid, Malformed, Reason
from bursar.identity.page import decode_cursor, encode_cursor
from bursar.pricing.exchange.rate_files import make_entry, refuse_entries

if TYPE_CHECKING:
    from bursar.pricing.exchange.rates import ExchangeRate, RateEntry, Withdrawal

FIELDS = ("date", "base", "quote", "rate", "source")
_JSON = msgspec.json.Decoder(float_hook=Decimal)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)


class WithdrawalOut(_Answer):
    """That it doesn't count any more."""

    at: datetime
    by: str | None
    """Id of the key; null where it isn't the tenant's."""
    reason: str

    @classmethod
    def of(cls, withdrawal: Withdrawal | None, *, is_shown: bool = True) -> WithdrawalOut | None:
        """The withdrawal as it is shown, None where there is none."""
        if withdrawal is None:
            return None
        return cls(at=withdrawal.at, by=withdrawal.by if is_shown else None, reason=withdrawal.reason)


class RateOut(_Answer):
    """One exchange rate: on `date` one unit of `base` costs `rate` of `quote`."""

    id: str
    shared: bool
    """Whether the operator entered it for all tenants; a tenant's own come first."""
    date: date
    base: str
    quote: str
    rate: str
    """Decimal string, as entered."""
    source: str
    recorded_at: datetime
    created_by: str | None
    """Id of the key; null where it isn't the tenant's."""
    withdrawn: WithdrawalOut | None

    @classmethod
    def of(cls, kept: ExchangeRate, *, for_operator: bool) -> RateOut:
        """The rate as it is shown."""
        is_shown = kept.tenant_id is not None or for_operator
        return cls(
            id=kept.id,
            shared=kept.tenant_id is None,
            date=kept.entry.day,
            base=kept.entry.base,
            quote=kept.entry.quote,
            rate=f"{kept.entry.rate:f}",
            source=kept.entry.source,
            recorded_at=kept.recorded_at,
            created_by=kept.created_by if is_shown else None,
            withdrawn=WithdrawalOut.of(kept.withdrawn, is_shown=is_shown),
        )


class RatesOut(_Answer):
    """One page of exchange rates, the latest day first."""

    items: list[RateOut]
    next_cursor: str | None


class AddedOut(_Answer):
    """What became of the rates that were sent; all of them are kept."""

    added: int
    unchanged: int
    """Entered just so already."""
    shared: bool


def read_json_rates(body: bytes) -> list[RateEntry]:
    """The rates of a JSON body: one, a list, or `{"rates": […]}`.

    Raises:
        Malformed: no JSON.
        Invalid: with every reason.
    """
    try:
        said: Any = _JSON.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        message = f"The body is no JSON: {error}."
        raise Malformed(message) from None
    if isinstance(said, dict) and "rates" in said:
        said = cast("dict[str, Any]", said)["rates"]
    items = cast("list[Any]", said if isinstance(said, list) else [said])
    entries: list[RateEntry] = []
    reasons: list[Reason] = []
    for index, item in enumerate(items):
        try:
            entries.append(_entry_of(item))
        except ValueError as error:
            reasons.append(Reason(f"{index}", "invalid_value", f"Rate {index}: {error}."))
    refuse_entries(entries, reasons)
    return entries


def write_cursor(kept: ExchangeRate) -> str:
    """The place of a rate in the list, safe in a URL."""
    return encode_cursor(msgspec.json.encode((kept.entry.day, kept.id)))


def read_cursor(cursor: str) -> tuple[date, str]:
    """The place that `write_cursor` wrote.

    Raises:
        Invalid: it isn't one of ours.
    """
    try:
        day, rate_id = msgspec.json.decode(decode_cursor(cursor), type=tuple[date, str])
    except (ValueError, msgspec.MsgspecError):
        day, rate_id = None, ""
    if day is None or "\0" in rate_id:
        message = "must be the 'next_cursor' of an earlier answer to the same list"
        raise Invalid(reasons=(Reason("cursor", "invalid_cursor", message),))
    return day, rate_id


def _entry_of(item: object) -> RateEntry:
    if not isinstance(item, dict):
        message = 'write it as {"date": "2026-11-20", "base": "EUR", "quote": "USD", "rate": "1.085"}'
        raise ValueError(message)  # noqa: TRY004 - one kind of error for whoever collects them
    said = cast("dict[str, object]", item)
    unknown = sorted(said.keys() - set(FIELDS))
    missing = [name for name in FIELDS[:4] if name not in said]
    if unknown or missing:
        words = [f"unknown: {', '.join(unknown)[:80]}"] if unknown else []
        words += [f"missing: {', '.join(missing)}"] if missing else []
        raise ValueError("; ".join(words))
    rate, source = said["rate"], said.get("source", "")
    texts = [said["date"], said["base"], said["quote"], source]
    is_number = isinstance(rate, int | Decimal) and not isinstance(rate, bool)
    if not all(isinstance(text, str) for text in texts) or not (isinstance(rate, str) or is_number):
        message = "everything but the rate is a text; a rate is a decimal string"
        raise ValueError(message)
    return make_entry(str(said["date"]), str(said["base"]), str(said["quote"]), str(rate), str(source))


_RATE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": list(FIELDS[:4]),
    "properties": {
        "date": {"type": "string", "format": "date"},
        "base": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "quote": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "rate": {"type": "string", "description": "One unit of `base` costs so much of `quote`."},
        "source": {"type": "string", "description": "Who says so."},
    },
}
_RATE_LIST: dict[str, Any] = {"type": "array", "items": _RATE_SCHEMA}
RATES_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        _RATE_SCHEMA,
                        _RATE_LIST,
                        {"type": "object", "properties": {"rates": _RATE_LIST}},
                    ]
                },
                "example": {"date": "2026-11-20", "base": "EUR", "quote": "USD", "rate": "1.0850"},
            },
            "text/csv": {
                "schema": {"type": "string"},
                "example": "Date,USD,GBP\n2026-11-20,1.0850,0.8412\n",
            },
        },
    }
}
"""The body of a POST, for the OpenAPI document."""
