"""A price source as it was read: rows and entries in our normal form, and what could not be taken.

Readers make these values (`../genai_source.py`, `genai_file.py`, `litellm.py`); `update.py` compares them
with what is kept. A reader either understands a price or leaves it out and says so; it never guesses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import Invalid, Malformed, Reason
from bursar.pricing.entries import name_test
from bursar.pricing.rows import overlapping_rows, row_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bursar.pricing.entries import ModelEntry, ProviderEntry
    from bursar.pricing.rows import PriceRow

GENAI = "genai-prices"
LITELLM = "litellm"
NAME_LIMIT = 256
"""Longer names come from no provider; events can't name them."""
REASONS_SHOWN = 50
"""A file with more faults than this is of another kind; the first ones say so."""


class Remark(msgspec.Struct, frozen=True):
    """Something in a source that no price was made of."""

    what: str
    """The field, or the kind of thing."""
    why: str
    count: int
    example: str
    """The first entry where it stood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSource:
    """Everything that one version of a source says."""

    name: str
    """`genai-prices` or `litellm`."""
    version: str
    content_hash: str
    """128 bits of BLAKE2b over the bytes that were read, as hex digits."""
    providers: tuple[ProviderEntry, ...]
    entries: tuple[ModelEntry, ...]
    """Those of one provider in the order in which they are tried."""
    rows: Mapping[tuple[str, str], Sequence[PriceRow]]
    """(provider, entry) to its rows."""
    remarks: tuple[Remark, ...] = ()


class Remarks:
    """Collects remarks while a source is read, counted by what and why."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, str]] = {}

    def add(self, what: str, why: str, example: str) -> None:
        """Note one more case of it."""
        count, first = self._found.get((what, why), (0, example))
        self._found[what, why] = (count + 1, first)

    def all(self) -> tuple[Remark, ...]:
        """Every remark, the most frequent first."""
        made = [Remark(what, why, count, first) for (what, why), (count, first) in self._found.items()]
        return tuple(sorted(made, key=lambda one: (-one.count, one.what, one.why)))


def decode_file(content: bytes) -> object:
    """What a file of JSON holds, with every number exactly as it is written: no float among them.

    Raises:
        Malformed: it is no JSON.
    """
    try:
        return msgspec.json.Decoder(float_hook=Decimal).decode(content)
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError) as error:
        message = f"The file is no JSON that can be read: {error or type(error).__name__}."
        raise Malformed(message) from None


def refuse_bad_content(what: str, source: PriceSource) -> PriceSource:
    """Let only a source pass whose rows are of the normal form and whose rules for names work; answers it.

    Raises:
        Invalid: a price, name or rule is none, or two prices would hold at once; each is named by its place.
    """
    faults = [fault for entry in source.entries for fault in _entry_faults(entry)]
    for (provider, model), rows in source.rows.items():
        place = f"{provider}.{model}"
        for row in rows:
            faults += [
                Reason(f"{place}.{row.unit}.{field}", "bad_price", why) for field, why in row_faults(row)
            ]
        if not faults:
            faults += [
                Reason(
                    f"{place}.{one.unit}", "overlapping_prices", "two prices would hold for the same calls"
                )
                for one, _ in overlapping_rows(rows)
            ]
    refuse_faults(what, faults)
    return source


def _entry_faults(entry: ModelEntry) -> Iterator[Reason]:
    for field, name in (("provider", entry.provider), ("id", entry.id)):
        if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
            message = f"{name!r:.80} must be 1 to {NAME_LIMIT} characters that can be printed"
            yield Reason(f"{entry.provider}.{entry.id}.{field}"[:NAME_LIMIT], "bad_name", message)
    for rule in entry.match:
        try:
            name_test(rule)
        except re.error as error:
            field = f"{entry.provider}.{entry.id}.match"
            yield Reason(field, "bad_rule", f"{rule.described()} is no regular expression: {error}")


def refuse_faults(what: str, faults: Sequence[Reason]) -> None:
    """Let only a file without faults pass.

    Raises:
        Invalid: it has some; the first fifty are named with entry and field.
    """
    if faults:
        more = f" (the first {REASONS_SHOWN} are shown)" if len(faults) > REASONS_SHOWN else ""
        message = f"The file is no {what}: {len(faults)} faults{more}. Nothing was changed."
        raise Invalid(message, reasons=tuple(faults[:REASONS_SHOWN]))
