"""What is wrong with a parameter or a body's field, in the words of its caller instead of pydantic's.

Only the words; `problems.py` says where it is. Kinds that aren't listed keep pydantic's own sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.identity.bodies import PLAIN_TEXT
from bursar.identity.roles import ROLE_NAME
from bursar.identity.tenant import ID_PATTERN, NAME_PATTERN, WHOSE_PATTERN
from bursar.identity.tokens.token import TOKEN_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS = {
    "missing": "it is needed and absent",
    "extra_forbidden": "there is no such field",
    "enum": "it must be {expected}",
    "literal_error": "it must be {expected}",
    "string_type": "it must be a text",
    "string_pattern_mismatch": "it must match the pattern {pattern}",
    "string_too_long": "it may have {max_length} characters at most",
    "string_too_short": "it must have {min_length} or more characters",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "list_type": "it must be a list",
    "dict_type": "it must be an object",
    "model_type": "it must be an object",
    "model_attributes_type": "it must be an object",
    "too_short": "it must have {min_length} or more items",
    "too_long": "it may have {max_length} items at most",
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be {ge} or more",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be {le} or less",
    "timezone_aware": "the time needs an offset, such as 2026-10-01T00:00:00Z",
    "datetime_type": "it must be an RFC 3339 time, such as 2026-10-01T00:00:00Z",
    "datetime_parsing": "it must be an RFC 3339 time, such as 2026-10-01T00:00:00Z",
    "datetime_from_date_parsing": "it must be an RFC 3339 time, such as 2026-10-01T00:00:00Z",
    "date_parsing": "it must be a date, such as 2026-10-01",
    "date_from_datetime_parsing": "it must be a date, such as 2026-10-01",
    "date_from_datetime_inexact": "it must be a date, such as 2026-10-01",
}

_PATTERNS = {
    PLAIN_TEXT: "it must be one line without control characters",
    NAME_PATTERN: "it must be one line and more than spaces",
    ID_PATTERN: "it must be letters, digits and . _ : @ -, 128 at most, and begin with a letter or digit",
    WHOSE_PATTERN: "it must be a tenant's id, or a tenant's and a project's with a slash between them",
    ROLE_NAME: "it must be lower-case letters, digits, _ and -, 64 at most, and begin with a letter",
    TOKEN_PATTERN: "it must be 16 to 40 letters, digits, _ and -",
    r"^[0-9]{1,18}(\.[0-9]{1,12})?$": "it must be a number such as 2500 or 2500.50",
    r"^[A-Z]{3}$": "it must be a currency's three capital letters, such as EUR",
}
"""What the patterns mean that many fields have; others are told as they are."""


def sentence_of(fault: Mapping[str, Any]) -> str:
    """One fault as pydantic reports it, as the rest of a sentence without its full stop."""
    words = _WORDS.get(str(fault["type"]))
    said = str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
    context = fault.get("ctx", {})
    if words is None:
        return said
    try:
        return _PATTERNS.get(context.get("pattern"), words.format(**context))
    except KeyError:
        return said
