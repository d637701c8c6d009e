"""A person as usage knows one: the identifiers they go by, and where those stand in what was recorded.

An identifier counts where it stands as a whole word: `ada` is found in `ask ada`, in `{"to": "ada"}` and
in `user:ada`. Letters, digits and what joins them to a name or an address (`_JOINTS`) belong to the word:
neither `adagio` nor `ada-2`, `ada_b`, `j.ada` or `ada@x.org` is `ada`, `jo@x.org` isn't in
`mary-jo@x.org`, nor `zo` in `zoë`. Scripts that put no spaces between words, such as Chinese, or join small
words to names, such as Arabic, have no such bounds: there a name is found wherever it stands. The same
pattern is used for rows, tags, quarantine, journal and archive. What is then taken out is in `erasing.py`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

IDENTIFIERS_LIMIT = 20
IDENTIFIER_SIZE = range(2, 257)
"""Characters; a single one would be found in nearly every text."""
_WORD = (
    "0-9A-Za-z_\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02b8\u1e00-\u1eff"  # Latin
    "\u0300-\u036f"  # accents that stand behind their letter
    "\u0370-\u0373\u0376-\u037d\u037f\u0386\u0388-\u03ff\u1f00-\u1ffc"  # Greek
    "\u0400-\u0481\u0483-\u052f\u0531-\u0556\u0561-\u0587\u10a0-\u10fa\u10fc-\u10ff"
    # Cyrillic, Armenian, Georgian
)
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


class Person:
    """Finds somebody by any of their identifiers, each as a whole word, in text and in JSON."""

    def __init__(self, identifiers: Collection[str]) -> None:
        """Name at least one identifier."""
        forms = sorted({form for one in identifiers for form in _forms(one)})
        self.pattern: str = "|".join(_alone(form) for form in forms)
        """A regular expression, for Python's texts and for DuckDB."""
        self._search = re.compile(self.pattern).search
        self._marks = [form.encode() for form in forms]

    def is_in(self, content: bytes) -> bool:
        """Whether UTF-8 names them; quick where it doesn't."""
        has_mark = any(mark in content for mark in self._marks)
        return has_mark and self.is_in_text(content.decode("utf-8", "replace"))

    def is_in_text(self, text: str) -> bool:
        """Whether a text names them."""
        return self._search(text) is not None


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
    if Person(identifiers).is_in_text(text):
        message = "The reason names the person; it stays for good, so say it without the identifiers."
        raise Invalid(message, reasons=(Reason("reason", "names_person", message),))


def _forms(identifier: str) -> set[str]:
    """The identifier as it may be spelled: accents in either of their two ways, as a text or in JSON."""
    spelled = {identifier, *(unicodedata.normalize(form, identifier) for form in ("NFC", "NFD"))}
    as_json = (json.dumps(one, ensure_ascii=is_ascii)[1:-1] for one in spelled for is_ascii in (True, False))
    return {*spelled, *as_json}


def _alone(form: str) -> str:
    """A pattern of a form where it stands alone."""
    joints, outside = f"[{_JOINTS}]*", f"[^{_WORD}{_JOINTS}]"
    return f"(?:^|{outside}|{_ESCAPE}){joints}{re.escape(form)}{joints}(?:$|{outside})"
