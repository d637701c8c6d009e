"""What msgspec finds wrong with a field, as a sentence that names the field and says what it must be.

msgspec's own words are about Python and JSON types (``Expected `int | null`, got `str` - at `$.x` ``).
Whoever sent the event reads these instead; which field and which code are `translate.py`'s business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MUST_BE = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "datetime": "an RFC 3339 time such as 2026-10-01T12:00:00Z",
}
_IS = {
    "int": "a number",
    "float": "a number",
    "decimal": "a number with a fraction",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_PATTERNS = {
    "^[A-Z]{3}$": "a currency's code of three capital letters, such as USD",
    "^[a-z][a-z0-9_]{0,63}$": (
        "a name of up to 64 lower-case letters, digits and underscores that begins with a letter"
    ),
}
_BOUNDS = {">=": "at least", "<=": "at most"}


def say_wrong(place: str, finding: str) -> str:
    """One sentence about a field.

    Args:
        place: the field as the answer names it, `tags.*` for any entry of an object.
        finding: msgspec's message without its path.
    """
    for form, words in _FORMS:
        found = form.fullmatch(finding)
        if found is not None:
            return f"{place} {words(found)}."
    return f"{place} can't be taken: {finding}."


def _of_type(found: re.Match[str]) -> str:
    wanted = [_MUST_BE.get(kind, kind) for kind in found[1].split(" | ") if kind != "null"]
    if "a number" in wanted:
        wanted = [kind for kind in wanted if kind != "a whole number"]
    return f"must be {' or '.join(dict.fromkeys(wanted))}, not {_IS.get(found[2], found[2])}"


def _of_length(found: re.Match[str]) -> str:
    count = int(found[3])
    what = "character" if found[1] == "str" else "entr"
    ending = ("" if count == 1 else "s") if found[1] == "str" else ("y" if count == 1 else "ies")
    return f"must have {_BOUNDS[found[2]]} {count} {what}{ending}"


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"Expected `([^`]+)`, got `([^`]+)`"), _of_type),
    (re.compile(r"Expected `(\w+)` of length (>=|<=) (\d+)"), _of_length),
    (
        re.compile(r"Expected `\w+` (>=|<=) (-?[\d.]+?)(?:\.0)?"),
        lambda found: f"must be {_BOUNDS[found[1]]} {found[2]}",
    ),
    (
        re.compile(r"Expected `str` matching regex '(.*)'"),
        lambda found: f"must be {_PATTERNS.get(found[1], f'text that matches {found[1]}')}",
    ),
    (
        re.compile(r"Expected `datetime` with a timezone component"),
        lambda _: "must name its offset from UTC, such as Z or +02:00",
    ),
    (re.compile(r"Invalid RFC3339 encoded datetime"), lambda _: f"must be {_MUST_BE['datetime']}"),
    (re.compile(r"Timestamp is out of range"), lambda _: f"must be {_MUST_BE['datetime']}"),
    (
        re.compile(r"Invalid decimal string"),
        lambda _: 'must be a number, or one as a string such as "0.25"',
    ),
    (re.compile(r"Invalid enum value '(.*)'"), lambda found: f"must be 'ok' or 'error', not '{found[1]}'"),
    (re.compile(r"Object missing required field `(.*)`"), lambda found: f"must say '{found[1]}'"),
    (re.compile(r"Object contains unknown field `(.*)`"), lambda found: f"has no field '{found[1]}'"),
    (re.compile(r".*out of range"), lambda _: "is beyond what a number here may be"),
)
