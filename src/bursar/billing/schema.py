"""JSON Schemas of registered services: compiled once, and what they find wrong with an event's fields.

Drafts 4 to 2020-12. Nothing is fetched: a reference to another document is refused. So is one that leads
back to itself, and an address for a part, from where its references would lead elsewhere: a tenant's schema
must not keep the door from the others. Patterns are few, small and matched in linear time; numbers are
compared as exact decimals.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import jsonschema_rs

from bursar.errors import Invalid, Reason
from bursar.exact import decode_json
from bursar.usage.json_shape import is_list, is_object
from bursar.usage.known_services import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bursar.usage.known_services import Fields

SCHEMA_BYTES_LIMIT = 65_536
STEPS_LIMIT = 10_000
"""Parts of a schema: checking an event against so many takes about a millisecond."""
PATTERNS_LIMIT = 50
PATTERN_BYTES_LIMIT = 250_000
"""A pattern's size once it is compiled; so many of them take a few dozen megabytes at most."""
FAULTS_SHOWN = 20
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
MESSAGE_CHARACTERS = 300


@lru_cache(maxsize=512)
def compile_schema(text: str) -> Callable[[Fields], Iterable[Fault]]:
    """What finds the faults of fields by this schema, given as JSON.

    Raises:
        Invalid: it is no schema.
    """
    if len(text.encode()) > SCHEMA_BYTES_LIMIT:
        raise _refusal("too_large", f"takes more than {SCHEMA_BYTES_LIMIT} bytes")
    schema = decode_json(text.encode())
    _refuse_costly(schema)
    try:
        validator: Any = jsonschema_rs.validator_for(
            schema,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_LIMIT),
        )
    except (ValueError, RecursionError) as error:
        raise _refusal("not_a_schema", f"is no JSON Schema: {_first_line(error)}") from error

    def find_faults(fields: Fields) -> Iterable[Fault]:
        try:
            return [_fault(error) for error in islice(validator.iter_errors(dict(fields)), FAULTS_SHOWN)]
        except (ValueError, RecursionError) as error:
            return [Fault("$", "depth", _first_line(error))]

    return find_faults


def _refuse_costly(schema: Any) -> None:  # noqa: ANN401 - any JSON value
    """Let only a schema pass whose work for one event is bounded, whatever it refers to."""
    try:
        size = _Expansion(schema).size_of(schema)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise _refusal("bad_reference", "refers to something that isn't in it") from error
    except RecursionError as error:
        raise _refusal("recursive", "refers to itself, or is nested too deeply") from error
    if size > STEPS_LIMIT:
        raise _refusal("too_large", f"has more than {STEPS_LIMIT} parts once its references are followed")
    objects = list(_objects_in(schema))
    # References within a part that has an address start there; draft 4 says `id`.
    word = "id" if "draft-04" in str(is_object(schema) and schema.get("$schema")) else "$id"
    if any(isinstance(part.get(word), str) for part in objects if part is not schema):
        raise _refusal("address_within", f"gives a part of itself an address ({word})")
    if sum(map(_patterns_of, objects)) > PATTERNS_LIMIT:
        raise _refusal("too_many_patterns", f"has more than {PATTERNS_LIMIT} patterns")


def _objects_in(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON value
    if is_object(part):
        yield part
    inner = part.values() if is_object(part) else part if is_list(part) else ()
    for one in inner:
        yield from _objects_in(one)


def _patterns_of(part: dict[str, Any]) -> int:
    by_pattern = part.get("patternProperties")
    return isinstance(part.get("pattern"), str) + (len(by_pattern) if is_object(by_pattern) else 0)


class _Expansion:
    """How many parts a schema has when every reference stands for what it refers to."""

    def __init__(self, root: Any) -> None:  # noqa: ANN401 - any JSON value
        self._root = root
        self._sizes: dict[str, int] = {}
        self._open: set[str] = set()

    def size_of(self, part: Any) -> int:  # noqa: ANN401 - any JSON value
        """The number of parts, itself included."""
        if is_list(part):
            return 1 + sum(self.size_of(one) for one in part)
        if not is_object(part):
            return 1
        referred = [part[word] for word in _REFERENCES if isinstance(part.get(word), str)]
        return (
            1
            + sum(self.size_of(one) for one in part.values())
            + sum(self._size_behind(one) for one in referred)
        )

    def _size_behind(self, reference: str) -> int:
        if reference in self._open:
            raise RecursionError(reference)
        if reference not in self._sizes:
            self._open.add(reference)
            self._sizes[reference] = self.size_of(self._target(reference))
            self._open.remove(reference)
        return self._sizes[reference]

    def _target(self, reference: str) -> Any:  # noqa: ANN401 - any JSON value
        head, *steps = unquote(reference).split("/")
        if head != "#":
            raise KeyError(reference)
        found = self._root
        for step in steps:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found[int(name)] if is_list(found) else found[name]
        return found


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
