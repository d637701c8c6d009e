"""One spelling for each number of an event, so that a retry with 1.5 for 1.50 is told for what it is.

Only fingerprints are made of it: what is kept and billed stays as the caller wrote it. Numbers that
msgspec decoded as floats have one spelling already; decimals are left, in units, in a reported cost,
and in the free JSON of bodies that had to be translated. Events without a decimal, nearly all, are
fingerprinted as they are encoded.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.exact import FLOAT_EXPONENT_LIMIT
from bursar.usage.json_shape import is_list, is_object
from bursar.usage.record import encode_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.usage.event import UsageEvent


def respelled(event: UsageEvent, content: bytes) -> bytes:
    """The event as encoded, each decimal in one spelling; `content` itself where that is how it stands.

    Args:
        event: checked; its free JSON isn't nested deeply.
        content: the event as `encode_event` wrote it.
    """
    changed: dict[str, Any] = {}
    if event.units is not None and any(isinstance(one, Decimal) for one in event.units.values()):
        changed["units"] = {name: _plain(quantity) for name, quantity in event.units.items()}
    if event.cost is not None:
        # In the struct's own order of fields.
        changed["cost"] = {"amount": _plain(event.cost.amount), "currency": event.cost.currency}
    for name in ("usage", "metadata"):
        part = getattr(event, name)
        if part is not None and holds_decimals(part):
            changed[name] = _as_floats(part)
    return encode_event(msgspec.structs.replace(event, **changed)) if changed else content


def holds_decimals(part: dict[str, Any]) -> bool:
    """Whether a number in free JSON is a decimal."""
    waiting: list[Iterable[Any]] = [part.values()]
    while waiting:
        for value in waiting.pop():
            if isinstance(value, Decimal):
                return True
            if is_object(value):
                waiting.append(value.values())
            elif is_list(value):
                waiting.append(value)
    return False


def _plain(number: int | Decimal) -> int | msgspec.Raw:
    """Its digits without exponent and trailing zeros: a whole number is one however it was written."""
    if not isinstance(number, Decimal):
        return number
    if abs(number.adjusted()) > FLOAT_EXPONENT_LIMIT:
        # Refused for its size; its digits would fill megabytes.
        return msgspec.Raw(str(number).encode())
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return msgspec.Raw(b"0" if text in {"-0", ""} else text.encode())


def _as_floats(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """What msgspec makes of the same JSON when nothing had to be translated."""
    if isinstance(value, Decimal):
        return float(value)
    if is_object(value):
        return {name: _as_floats(one) for name, one in value.items()}
    if is_list(value):
        return [_as_floats(one) for one in value]
    return value
