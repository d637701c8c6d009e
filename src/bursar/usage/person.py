"""A person as usage knows one: the identifiers they go by, and where those stand in what was recorded.

An identifier counts where it stands as a whole word: `ada` is found in `ask ada`, in `{"to": "ada"}` and
in `user:ada`. Letters, digits and what joins them to a name or an address (`_JOINTS`) belong to the word:
neither `adagio` nor `ada-2`, `ada_b`, `j.ada` or `ada@x.org` is `ada`, and `jo@x.org` isn't in
`mary-jo@x.org`. The same pattern is used for rows, tags, quarantine, journal and archive. What is then
taken out is in `erasing.py`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

IDENTIFIERS_LIMIT = 20
IDENTIFIER_SIZE = range(2, 257)
"""Characters; a single one would be found in nearly every text."""
_WORD = "0-9A-Za-z_"
_JOINTS = ".@+%-"
"""What joins words to a longer identifier, unless nothing follows: `ada.` ends a sentence and is `ada`."""
_ESCAPE = r"\\[bfnrt]|\\u[0-9A-Fa-f]{4}"
"""What JSON has for a line break and the like, which are no letters of the word behind them."""


@dataclass(frozen=True, slots=True)
class PersonFound:
    """Where a person stands in a tenant's usage."""

    events: tuple[tuple[int, tuple[str, ...]], ...]
    """Places of events, their history and quarantined records, with the tags whose values name the person."""
    kept: tuple[tuple[int, int], ...]
    """Sums by user of events that are expired: the expiry that made each, and its number there."""


def person_pattern(identifiers: Collection[str]) -> str:
    """A regular expression that finds any of the identifiers as a whole word, in text and in JSON."""
    choices = sorted({choice for one in identifiers for choice in _choices(one)})
    return "|".join(choices)


def read_identifiers(given: Sequence[str]) -> tuple[str, ...]:
    """The identifiers of a request, without repeats.

    Raises:
        Invalid: none, too many, or one that is too short or too long to look for.
    """
    identifiers = tuple(dict.fromkeys(one.strip() for one in given))
    if not 1 <= len(identifiers) <= IDENTIFIERS_LIMIT:
        message = f"Name 1 to {IDENTIFIERS_LIMIT} identifiers."
        raise Invalid(message, reasons=(Reason("identifiers", "out_of_range", message),))
    if any(len(one) not in IDENTIFIER_SIZE for one in identifiers):
        message = "An identifier has 2 to 256 characters."
        raise Invalid(message, reasons=(Reason("identifiers", "wrong_length", message),))
    return identifiers


def refuse_naming(text: str, identifiers: Collection[str]) -> None:
    """Let no reason name the person who is to be forgotten: it stays for good.

    Raises:
        Invalid: it does.
    """
    if re.search(person_pattern(identifiers), text):
        message = "The reason names the person; it stays for good, so say it without the identifiers."
        raise Invalid(message, reasons=(Reason("reason", "names_person", message),))


def _choices(identifier: str) -> list[str]:
    """Patterns of one identifier where it stands alone, in text and in JSON."""
    joints, outside = f"[{_JOINTS}]*", f"[^{_WORD}{_JOINTS}]"
    forms = (identifier, json.dumps(identifier)[1:-1], _in_json(identifier))
    return [f"(?:^|{outside}|{_ESCAPE}){joints}{re.escape(form)}{joints}(?:$|{outside})" for form in forms]


def _in_json(text: str) -> str:
    """The text inside a JSON string that keeps letters of every language as they are."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
