"""From what clients send to one `UsageEvent`: aliases, nested and mixed bodies, every reason.

Clients of several generations send the same facts under other names and in other places. This file
resolves those names into canonical ones and then checks every field, collecting *all* reasons
instead of the first. Bodies with canonical names only never come here: msgspec decodes them
directly (see `bodies.py`), with the same limits.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.errors import Invalid, Reason
from bursar.usage.event import UNITS_LIMIT, UsageEvent
from bursar.usage.field_names import ALIASES, SERVICE_FIELDS, UNIT_ALIASES
from bursar.usage.field_words import say_wrong
from bursar.usage.json_shape import is_list, is_object, is_whole
from bursar.usage.known_services import check_service, is_counted
from bursar.usage.measure import measure_usage

if TYPE_CHECKING:
    from bursar.usage.known_services import DeclaredService, FindService

Body = dict[str, Any]

STATUS_WORDS: dict[str, str] = {
    "success": "ok",
    "succeeded": "ok",
    "completed": "ok",
    "failed": "error",
    "failure": "error",
}
HTTP_ERROR = 400
LIFTED_FROM_METADATA = frozenset(
    {
        "model",
        "model_name",
        "response_model",
        "temperature",
        "max_tokens",
        "session_id",
        "request_id",
        "correlation_id",
        "project_id",
        "trace_id",
        "endpoint",
        "environment",
        "region",
        "prompt_version",
        "input_tokens",
        "output_tokens",
        "prompt_tokens",
        "completion_tokens",
        "latency_ms",
    }
)
"""What a nested body may say inside `metadata` about the call itself."""
_WORDS = frozenset({"total_tokens", "status_code", "success", "cost_usd"})
"""Names that are resolved into canonical fields after flattening."""
_BUILT_IN_SERVICES = frozenset({"llm_service", "document_processor", "api_service"})
_FLOAT_FIELDS = ("latency_ms", "time_to_first_token_ms", "temperature")
_FIELDS = {field.name: field for field in msgspec.structs.fields(UsageEvent)}
_CODES = (("of length", "wrong_length"), ("Expected", "wrong_type"), ("unknown field", "unknown_field"))


def translate_body(body: Body, find_service: FindService | None = None) -> UsageEvent:
    """The event that a decoded JSON object describes, whatever generation of names it uses.

    Args:
        body: the object.
        find_service: finds the registered service whose own fields the body may have.

    Raises:
        Invalid: with a reason, field and code for everything that is wrong.
    """
    reasons: list[Reason] = []
    fields = dict(body)
    if _is_nested(fields):
        _flatten(fields, reasons)
    declared = None if find_service is None else _service_of(fields, find_service)
    if declared is not None:
        _take_declared(fields, declared, reasons)
    _resolve_aliases(fields, reasons)
    _resolve_units(fields, reasons)
    _resolve_words(fields, reasons)
    event = _convert(fields, reasons)
    if reasons:
        reasons += _quantity_reasons(event)
        if declared is not None:
            reasons += check_service(event, declared)
        raise Invalid("The event was refused.", reasons=tuple(reasons))
    return event


def _is_nested(body: Body) -> bool:
    return "metrics" in body or "service_provider" in body or "event_type" in body


def _flatten(fields: Body, reasons: list[Reason]) -> None:
    """Bring what `metrics` and `metadata` say about the call to the top level."""
    metrics = fields.pop("metrics", None)
    if metrics is not None and not is_object(metrics):
        reasons.append(Reason("metrics", "wrong_type", "metrics must be an object of numbers."))
        metrics = None
    # A custom service's own measures are what it may be billed by; those of an AI call are remarks.
    service = fields.get("service_type")
    is_custom = isinstance(service, str) and service not in _BUILT_IN_SERVICES
    for name, value in (metrics or {}).items():
        if name in _FIELDS or name in ALIASES or name in UNIT_ALIASES or name in _WORDS:
            _set(fields, name, value, reasons)
        elif (is_whole(value) or isinstance(value, Decimal)) and is_custom:
            _set_unit(fields, name, value, reasons)
        else:
            _add_metadata(fields, name, value, reasons)
    metadata = fields.get("metadata")
    if is_object(metadata):
        # Canonical names first, in an order that doesn't change from start to start.
        for name in sorted(LIFTED_FROM_METADATA & metadata.keys(), key=lambda name: (name in ALIASES, name)):
            if name not in fields and ALIASES.get(name, name) not in fields:
                fields[name] = metadata[name]


def _service_of(fields: Body, find_service: FindService) -> DeclaredService | None:
    tenant_id, service_type = fields.get("tenant_id"), fields.get("service_type")
    if not isinstance(service_type, str):
        return None
    return find_service(tenant_id if isinstance(tenant_id, str) else None, service_type)


def _take_declared(fields: Body, service: DeclaredService, reasons: list[Reason]) -> None:
    """Put a service's own fields where they belong: what it counts into units, the rest into metadata."""
    for name in sorted(service.declared & fields.keys()):
        if name in UNIT_ALIASES:
            # It counts as the unit that it stands for, and can be read as it was sent.
            _add_metadata(fields, name, fields[name], reasons)
        elif name not in _FIELDS and name not in ALIASES and name not in _WORDS:
            value = fields.pop(name)
            if is_counted(value, name, service):
                _set_unit(fields, name, value, reasons)
            else:
                _add_metadata(fields, name, value, reasons)


def _set(fields: Body, name: str, value: Any, reasons: list[Reason]) -> None:  # noqa: ANN401 - any JSON value
    if fields.setdefault(name, value) != value:
        reasons.append(Reason(name, "contradiction", f"{name} is given twice with different values."))


def _set_unit(fields: Body, name: str, value: int | Decimal, reasons: list[Reason]) -> None:
    """Count so much of a unit; who says it in two places must say the same, for it counts once."""
    units = fields.get("units")
    if units is None or is_object(units):
        merged = dict(units or {})
        there = merged.setdefault(name, value)
        if isinstance(there, bool) or not isinstance(there, (int, Decimal)):
            reasons.append(Reason(f"units.{name}", "wrong_type", f"units.{name} must be a number."))
        elif there != value:
            text = f"units.{name} is {there}, but the event says {value} elsewhere."
            reasons.append(Reason(f"units.{name}", "contradiction", text))
        fields["units"] = merged


def _add_metadata(fields: Body, name: str, value: Any, reasons: list[Reason]) -> None:  # noqa: ANN401 - any JSON value
    metadata = fields.get("metadata")
    if metadata is None or is_object(metadata):
        merged = dict(metadata or {})
        _set(merged, name, value, reasons)
        fields["metadata"] = merged


def _resolve_aliases(fields: Body, reasons: list[Reason]) -> None:
    for alias in sorted(ALIASES.keys() & fields.keys()):
        _set(fields, ALIASES[alias], fields.pop(alias), reasons)


def _resolve_units(fields: Body, reasons: list[Reason]) -> None:
    counted = Counter[str]()
    for alias in sorted(UNIT_ALIASES.keys() & fields.keys()):
        value = fields.pop(alias)
        if is_whole(value) and value >= 0:
            counted[UNIT_ALIASES[alias]] += value
        elif value is not None:
            reasons.append(Reason(alias, "wrong_type", f"{alias} must be a whole number of at least 0."))
    for unit, quantity in counted.items():
        _set_unit(fields, unit, quantity, reasons)
    for name in sorted(SERVICE_FIELDS & fields.keys()):
        _add_metadata(fields, name, fields.pop(name), reasons)
    _resolve_total(fields, reasons)


def _resolve_total(fields: Body, reasons: list[Reason]) -> None:
    total = fields.pop("total_tokens", None)
    if total is None:
        return
    parts = [fields.get("input_tokens"), fields.get("output_tokens")]
    known = [part for part in parts if is_whole(part)]
    if not is_whole(total):
        reasons.append(Reason("total_tokens", "wrong_type", "total_tokens must be a whole number."))
    elif not known:
        # A bare total can't be split into input and output; it is kept, not guessed at.
        _add_metadata(fields, "total_tokens", total, reasons)
    elif sum(known) != total:
        text = f"total_tokens is {total}, but input_tokens and output_tokens add up to {sum(known)}."
        reasons.append(Reason("total_tokens", "contradiction", text))


def _resolve_outcome(fields: Body, reasons: list[Reason]) -> None:
    """What `success`, other words for a status, and a status code say about how it went."""
    success = fields.pop("success", None)
    if isinstance(success, bool):
        _set(fields, "status", "ok" if success else "error", reasons)
    elif success is not None:
        reasons.append(Reason("success", "wrong_type", "success must be true or false."))
    status = fields.get("status")
    if isinstance(status, str):
        fields["status"] = STATUS_WORDS.get(status, status)
    code = fields.pop("status_code", None)
    if is_whole(code):
        _add_metadata(fields, "status_code", code, reasons)
        if code >= HTTP_ERROR:
            fields.setdefault("status", "error")
            fields.setdefault("error_code", str(code))
    elif code is not None:
        reasons.append(Reason("status_code", "wrong_type", "status_code must be a whole number."))


def _resolve_words(fields: Body, reasons: list[Reason]) -> None:
    _resolve_outcome(fields, reasons)
    cost = fields.pop("cost_usd", None)
    if cost is not None:
        _set(fields, "cost", {"amount": cost, "currency": "USD"}, reasons)
    tags = fields.get("tags")
    if is_list(tags):
        fields["tags"] = {word: "true" for word in tags if isinstance(word, str)}
        if not all(isinstance(word, str) for word in tags):
            reasons.append(Reason("tags", "wrong_type", "A list of tags may hold strings only."))


def _convert(fields: Body, reasons: list[Reason]) -> UsageEvent:
    """Check each field on its own, so that one wrong field doesn't hide another."""
    good: Body = {}
    for name, value in fields.items():
        field = _FIELDS.get(name)
        if field is None:
            reasons.append(_unknown(name))
            continue
        try:
            good[name] = msgspec.convert(_plain(name, value), field.type)
        except msgspec.ValidationError as error:
            reasons.append(_reason(name, str(error)))
        except (RecursionError, OverflowError):
            reasons.append(Reason(name, "too_deep", f"{name} is nested too deeply or out of range."))
    return UsageEvent(**good)


def _quantity_reasons(event: UsageEvent) -> tuple[Reason, ...]:
    """What else is wrong with the quantities of an event that is refused anyway."""
    try:
        measure_usage(event)
    except Invalid as refusal:
        return refusal.reasons
    return ()


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value in the form that msgspec converts: floats where floats are meant, times with a zone."""
    if isinstance(value, Decimal) and name in _FLOAT_FIELDS:
        return float(value)
    if name == "time" and isinstance(value, str):
        return _with_zone(value)
    return value


def _with_zone(text: str) -> str:
    """A time without an offset is UTC: that is what the clients that omit it send."""
    _, _, clock_part = text.replace(" ", "T").partition("T")
    if clock_part and not clock_part.endswith(("Z", "z")) and "+" not in clock_part and "-" not in clock_part:
        return text + "Z"
    return text


def _unknown(name: str) -> Reason:
    shown = name[:64]
    near = get_close_matches(name, [*_FIELDS, *ALIASES], n=1) if len(name) <= UNITS_LIMIT else []
    hint = f"; did you mean '{near[0]}'?" if near else "; put your own fields into 'metadata' or 'tags'."
    return Reason(shown, "unknown_field", f"'{shown}' is not a field of a usage event{hint}")


def _reason(name: str, message: str) -> Reason:
    text, _, path = message.partition(" - at `")
    if path.startswith("key` in `"):
        path = path.removeprefix("key` in `").rstrip("`") + "[...]"
    place = name + path.rstrip("`").removeprefix("$").replace("[...]", ".*")
    code = next((code for mark, code in _CODES if mark in text), "invalid_value")
    if any(sign in text for sign in (">=", "<=")) and "length" not in text:
        code = "out_of_range"
    return Reason(place, code, say_wrong(place, text))
