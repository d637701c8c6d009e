"""What looks like a key, a card, an account, an e-mail address or a telephone number, and where in a text.

Each pattern is bounded, so that a long text takes time in proportion to its length, and each has borders, so
that ids, times and figures stay what they are. What is found is checked further where a check exists: Luhn's
for cards, remainder 97 for IBANs. Sources: the providers' documentation of their key formats, ISO/IEC 7812
(numbers of cards), ISO 13616 (IBAN), ITU-T E.164 and the forms of numbers in E.123.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Span = tuple[int, int]

_KEY = re.compile(
    r"""(?x)
    (?<![A-Za-z0-9])(?=[A-Za-z])(?:
        (?P<worded>(?:sk|pk|rk|bur|xai|gsk|hf|glpat|pplx|nvapi|csk|fw|r8|tgp|whsec|dop|npm|pypi|SG)[-_.]
            [A-Za-z0-9_.\-]{16,512})
      | gh[opsur]_[A-Za-z0-9]{20,255} | github_pat_[A-Za-z0-9_]{20,255}
      | xox[abeoprs]-[A-Za-z0-9\-]{10,255}
      | A[KS]IA[0-9A-Z]{16}(?![0-9A-Za-z])
      | AIza[0-9A-Za-z_\-]{30,64} | ya29\.[0-9A-Za-z_\-]{20,512}
      | eyJ[A-Za-z0-9_\-]{8,300}\.[A-Za-z0-9_\-]{8,8192}(?:\.[A-Za-z0-9_\-]*)?
      | (?=[Bb])(?i:bearer)\s+(?P<bearer>[A-Za-z0-9._~+/\-]{12,4096}=*)
      | (?=[Aa])(?i:authorization)['"]?\s{0,3}[:=]\s{0,3}['"]?(?i:basic|token)
        \s{1,3}(?P<scheme>[^\s'",;\[]{6,4096})
      | (?=[AaSsPpRr])(?i:(?:api|access|secret|account|private|subscription)[_\-\ ]?key
          | (?:access|refresh|auth|session)[_\-]?token|secret|password|passwd|passphrase)
        ['"]?\s{0,3}[:=]\s{0,3}['"]?(?P<said>[^\s'",;&\[]{6,512})
    )
    | -----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY-----[\s\S]*?(?:-----END\ [A-Z ]{0,40}PRIVATE\ KEY-----|\Z)
    | ://[^\s/@:]{0,100}:(?P<login>[^\s/@]{1,200})(?=@)
    """
)
_RUN = re.compile(r"[A-Za-z0-9]{16}")
_EMAIL = re.compile(
    r"(?<![\w.%+\-])[\w.%+\-']{1,64}(?:@|\uff20|%40)(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.){1,8}"
    r"[^\W\d_]{2,24}(?![^\W_])"
)
_CARD = re.compile(
    r"""(?x)
    (?<![\dA-Za-z.])(?<!\d-)(?:
        \d{14,19}
      | \d{4}([ \-.\u00a0\u202f])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?
      | \d{4}([ \-.\u00a0\u202f])\d{6}\2\d{4,5}
    )(?![\dA-Za-z])(?![.\-]\d)
    """
)
_IBAN = re.compile(
    r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,4})?(?![0-9A-Za-z])"
)
_PHONE = re.compile(
    r"""(?x)
    (?:
        (?<![\w+])[+\uff0b](?!0)\d(?:[ .\-/]{0,2}[(]?\d[)]?){6,14}
      | (?<![\w+./\-])(?<!\d:)(?:
        00[1-9]\d{0,2}(?:[ \-/][(]?\d{1,8}[)]?){1,5}
      | [(]?[2-9]\d\d[)]?[ .\-]?(?<=[ .\-)])[2-9]\d\d[ .\-]\d{4}
      | [(]?0\d{1,5}[)]?[ /\-]\d{2,8}(?:[ \-]\d{2,8}){0,4}
      )
    )(?![\w:])(?![.\-/]\d)
    """
)
_GAP = re.compile(r"[ \-.\u00a0\u202f]|\Z")
_DATE = re.compile(r"\d{4}[ \-/.]\d\d[ \-/.]\d\d|\d\d[ \-/.]\d\d[ \-/.]\d{4}(?!\d)")
_TOKEN = re.compile(r"(?<![A-Za-z0-9+/_\-=.])[A-Za-z0-9+/_\-]{32,512}={0,2}(?![A-Za-z0-9+/_\-=])")
_KNOWN_ID = re.compile(r"[a-z]{2,16}[-_]")
_ISSUERS = (
    (16, r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|6011|64[4-9]|65|62|35(?:2[89]|[3-8])"),
    (15, r"3[47]"),
    (14, r"3(?:0[0-5]|[689])"),
    (17, r"62|6011|65"),
    (18, r"62|6011|65"),
    (19, r"4|62|6011|65"),
)
_ISSUED = {length: re.compile(begins) for length, begins in _ISSUERS}
_LAST_OF_LUHN = 9
_BITS_OF_CHANCE = 4.3
"""Per character: 32 random ones of base64 have 4.4 and more on average, words joined together 3.5 to 4."""
_PHONE_DIGITS = range(9, 16)


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of thing that may be found in a text."""

    name: str
    shortest: int
    """Characters; nothing shorter is looked at."""
    spans: Callable[[str], Iterator[Span]]
    """Where it stands, from left to right, without overlaps."""
    normal: Callable[[str], str] = str
    """What stands for all spellings of the same: it is what a keyed hash is made of."""


def digits_of(text: str) -> str:
    """The digits of a number, however it is grouped and in whatever script."""
    return "".join(str(int(letter)) for letter in text if letter.isdecimal())


def _keys(text: str) -> Iterator[Span]:
    for found in _KEY.finditer(text):
        kind = found.lastgroup
        if kind == "worded" and not _is_made_by_chance(found["worded"]):
            continue
        if kind == "bearer" and not (_RUN.search(found["bearer"]) or re.search(r"\d", found["bearer"])):
            continue
        yield found.span(kind or 0) if kind in {"said", "login", "bearer", "scheme"} else found.span()


def _is_made_by_chance(text: str) -> bool:
    """Whether what follows a prefix is no name made of words, such as `sk-learn-pipeline-2026`."""
    if _RUN.search(text):
        return True
    letters = [one for one in text if one.isalnum()]
    kinds = (str.isupper, str.islower, str.isdigit)
    return len(letters) >= 24 and all(any(map(kind, letters)) for kind in kinds)  # noqa: PLR2004 - as said


def _emails(text: str) -> Iterator[Span]:
    if "@" in text or "%40" in text or "\uff20" in text:
        for found in _EMAIL.finditer(text):
            yield found.span()


def _cards(text: str) -> Iterator[Span]:
    return _checked(_CARD, text, lambda found: is_card(digits_of(found)))


def _checked(pattern: re.Pattern[str], text: str, is_one: Callable[[str], bool]) -> Iterator[Span]:
    """What a pattern finds and a check confirms: whole, or without groups that follow it, or further on."""
    place = 0
    while found := pattern.search(text, place):
        start, place = found.start(), found.start() + 1
        ends = [start + gap.start() for gap in _GAP.finditer(found[0])]
        for end in reversed(ends):
            if is_one(text[start:end]):
                yield start, end
                place = end
                break


def is_card(digits: str) -> bool:
    """Whether digits can be the number of a card: an issuer's beginning, its length, and Luhn's check."""
    issued = _ISSUED.get(len(digits))
    if issued is None or issued.match(digits) is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > _LAST_OF_LUHN else value
    return total % 10 == 0


def _ibans(text: str) -> Iterator[Span]:
    return _checked(_IBAN, text, _is_iban)


def _is_iban(found: str) -> bool:
    account = found.replace(" ", "")
    if not 15 <= len(account) <= 34:  # noqa: PLR2004 - Norway's and the longest allowed
        return False
    moved = account[4:] + account[:4]
    return int("".join(str(int(one, 36)) for one in moved)) % 97 == 1


def _phones(text: str) -> Iterator[Span]:
    for found in _PHONE.finditer(text):
        number = found[0]
        is_whole = number[0] in "+\uff0b"
        least = 7 if is_whole else _PHONE_DIGITS[0]
        if least <= len(digits_of(number)) <= _PHONE_DIGITS[-1] and (is_whole or not _DATE.search(number)):
            yield found.span()


def _tokens(text: str) -> Iterator[Span]:
    for found in _TOKEN.finditer(text):
        token = found[0]
        kinds = (str.isupper, str.islower, str.isdigit)
        if not _KNOWN_ID.match(token) and all(any(map(kind, token)) for kind in kinds):
            counts = Counter(token)
            bits = -sum(n / len(token) * math.log2(n / len(token)) for n in counts.values())
            if bits >= _BITS_OF_CHANCE:
                yield found.span()


DETECTORS: dict[str, Detector] = {
    one.name: one
    for one in (
        Detector("key", 16, _keys),
        Detector("card", 14, _cards, digits_of),
        Detector("iban", 15, _ibans, lambda text: text.replace(" ", "")),
        Detector("email", 6, _emails, lambda text: text.replace("%40", "@").replace("\uff20", "@").lower()),
        Detector("phone", 7, _phones, digits_of),
        Detector("random", 32, _tokens),
    )
}
"""All of them, in the order in which they are applied."""
