"""A person as usage knows one: the identifiers they go by, and where those stand in what was recorded.

An identifier counts where it stands as a whole word: `ada` is found in `ask ada` and in `{"to": "ada"}`,
not in `adagio`; a mail address not within a longer one. What is then taken out is in `erasing.py`.
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
"""What joins words to a mail address: `jo@x.com` is neither in `mary-jo@x.com` nor in `jo@x.com.au`."""
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
    joints = f"[{_JOINTS}]*" if "@" in identifier else ""
    outside = f"[^{_WORD}{_JOINTS}]" if joints else f"[^{_WORD}]"
    forms = (identifier, json.dumps(identifier)[1:-1], _in_json(identifier))
    return [f"(?:^|{outside}|{_ESCAPE}){joints}{re.escape(form)}{joints}(?:$|{outside})" for form in forms]


def _in_json(text: str) -> str:
    """The text inside a JSON string that keeps letters of every language as they are."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
