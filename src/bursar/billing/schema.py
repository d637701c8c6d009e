"""JSON Schemas of registered services: compiled once, and what they find wrong with an event's fields.

Drafts 4 to 2020-12. Nothing is fetched: a reference to another document is refused. Patterns are matched
in linear time, and numbers are compared as exact decimals.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from bursar.errors import Invalid, Reason
from bursar.usage.json_shape import is_object
from bursar.usage.known_services import Fault
from bursar.usage.record import decode_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bursar.usage.known_services import Fields

SCHEMA_BYTES_LIMIT = 65_536
FAULTS_SHOWN = 20
MESSAGE_CHARACTERS = 300


@lru_cache(maxsize=512)
def compile_schema(text: str) -> Callable[[Fields], Iterable[Fault]]:
    """What finds the faults of fields by this schema, given as JSON.

    Raises:
        Invalid: it is no schema.
    """
    if len(text.encode()) > SCHEMA_BYTES_LIMIT:
        raise _refusal("too_large", f"takes more than {SCHEMA_BYTES_LIMIT} bytes")
    try:
        validator: Any = jsonschema_rs.validator_for(
            decode_json(text.encode()), offline=True, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (ValueError, RecursionError) as error:
        raise _refusal("not_a_schema", f"is no JSON Schema: {_first_line(error)}") from error

    def find_faults(fields: Fields) -> Iterable[Fault]:
        try:
            return [_fault(error) for error in islice(validator.iter_errors(dict(fields)), FAULTS_SHOWN)]
        except (ValueError, RecursionError) as error:
            return [Fault("$", "depth", _first_line(error))]

    return find_faults


def declared_fields(text: str) -> frozenset[str]:
    """The fields that a schema speaks of at its top."""
    schema = decode_json(text.encode())
    properties = schema.get("properties") if is_object(schema) else None
    return frozenset(properties) if is_object(properties) else frozenset()


def _fault(error: Any) -> Fault:  # noqa: ANN401 - the library's own error
    place = [str(part) for part in error.instance_path]
    keyword = next((part for part in reversed(error.schema_path) if isinstance(part, str)), "schema")
    missing = getattr(error.kind, "property", None)
    if keyword == "required" and isinstance(missing, str):
        place.append(missing)
    return Fault(".".join(place) or "$", keyword, _first_line(error))


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", error)).partition("\n")[0]
    return text if len(text) <= MESSAGE_CHARACTERS else f"{text[:MESSAGE_CHARACTERS]}…"


def _refusal(code: str, text: str) -> Invalid:
    message = f"validation_schema {text}."
    return Invalid(message, reasons=(Reason("validation_schema", code, message),))
