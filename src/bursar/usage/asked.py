"""A request's parameters, read one by one, so that everything wrong with them is said at once.

The same reader serves query strings (every value a text, or several) and JSON bodies. Each
parameter is taken under its name or one of its aliases; what nobody took is refused by name at the
end. Knows no HTTP and no dimension; `query_reader.py` makes queries of what is read here.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bursar.errors import BadRequest, Invalid, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from enum import StrEnum

    Choice = TypeVar("Choice", bound=StrEnum)

Read = TypeVar("Read")

ALIASES: dict[str, tuple[str, ...]] = {
    "filters": ("filter",),
    "group_by": ("dimensions", "by", "dimension"),
    "grain": ("period", "granularity", "interval"),
    "measures": ("metrics",),
    "metric": ("measure",),
    "order": ("order_by", "sort"),
    "zone": ("timezone", "tz"),
}
"""Other names that a parameter goes by."""
NAME_LIMIT = 64
"""Of a longer name only the beginning is compared with known ones."""
_TRUE = {"true", "1", "yes"}
_FALSE = {"false", "0", "no"}


class Asked:
    """Parameters on their way into values; `finish` refuses the request if anything was wrong."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Read from these; a name given several times has a list."""
        self._given = dict(given)
        self._asked_for: set[str] = set()
        self._reasons: list[Reason] = []

    def take(self, name: str) -> Any:  # noqa: ANN401 - a parameter may be anything until it is read
        """The value under a name or one of its aliases, None if absent; it counts as read."""
        self._asked_for |= {name, *ALIASES.get(name, ())}
        present = [known for known in (name, *ALIASES.get(name, ())) if known in self._given]
        if len(present) > 1:
            self.refuse(
                present[1], "conflicting_parameters", f"{' and '.join(present)} mean the same; send one."
            )
        values = [self._given.pop(known) for known in present]
        return values[0] if values else None

    def has(self, name: str) -> bool:
        """Whether a parameter of exactly this name is still unread."""
        self._asked_for.add(name)
        return name in self._given

    def text(self, name: str) -> str | None:
        """A single text."""
        value = self.take(name)
        if value is None or isinstance(value, str):
            return value
        self.refuse(name, "wrong_type", f"{name} is one text.")
        return None

    def number(self, name: str, default: int) -> int:
        """A whole number, `default` if absent or wrong."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.refuse(name, "bad_number", f"{name} is a whole number.")
        return default

    def flag(self, name: str) -> bool:
        """True or false; false if absent."""
        value = self.take(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
            return value.lower() in _TRUE
        self.refuse(name, "wrong_type", f"{name} is true or false.")
        return False

    def choice(self, name: str, choices: type[Choice]) -> Choice | None:
        """One of an enumeration's words, None if absent or wrong."""
        value = self.text(name)
        words = [choice.value for choice in choices]
        if value is None or value in words:
            return None if value is None else choices(value)
        self.refuse(name, "unknown_word", f"{name} is one of {', '.join(words)}; {value!r:.80} is not.")
        return None

    def names(self, name: str) -> tuple[str, ...]:
        """Several names: a list, a repeated parameter, or one text with commas."""
        value = self.take(name)
        if value is None:
            return ()
        listed = cast("list[object]", value) if isinstance(value, list) else [value]
        if all(isinstance(item, str) for item in listed):
            pieces = (piece.strip() for item in listed for piece in str(item).split(","))
            return tuple(piece for piece in pieces if piece)
        self.refuse(name, "wrong_type", f"{name} is a list of names.")
        return ()

    def texts(self, names: Iterable[str]) -> dict[str, str]:
        """Those of several parameters that are present, as texts; whole numbers are read as written."""
        found: dict[str, str] = {}
        for name in names:
            self._asked_for.add(name)
            value = self._given.pop(name, None)
            if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
                found[name] = str(value)
            elif value is not None:
                self.refuse(name, "wrong_type", f"{name} is one text.")
        return found

    def rest(self) -> dict[str, Any]:
        """Whatever nobody has read yet; it counts as read."""
        rest, self._given = self._given, {}
        return rest

    def refuse(self, field: str, code: str, message: str) -> None:
        """Note one reason why the request can't be carried out."""
        self._reasons.append(Reason(field, code, message))

    def refuse_unknown(self, name: str, more: Iterable[str] = ()) -> None:
        """Note that a parameter is unknown; what was asked for, or is one of `more`, may have been meant."""
        self._reasons.append(unknown_parameter(name, [*self._asked_for, *more]))

    def collect(self, read: Callable[[], Read]) -> Read | None:
        """What `read` returns, or None after noting every reason it refused with."""
        try:
            return read()
        except Invalid as invalid:
            self._reasons += invalid.reasons
            return None

    def finish(self) -> None:
        """Refuse the request if anything was wrong or is left over.

        Raises:
            Invalid: with every reason noted.
        """
        for name in self._given:
            self.refuse_unknown(name)
        if self._reasons:
            reasons = tuple(dict.fromkeys(self._reasons))
            raise Invalid(" ".join(reason.message for reason in reasons), reasons=reasons)


def unknown_parameter(name: str, known: Iterable[str]) -> Reason:
    """The reason why a parameter is refused that nobody knows, with the known name that is most like it."""
    near = get_close_matches(name[:NAME_LIMIT], sorted(set(known)), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return Reason(name, "unknown_parameter", f"{name!r:.80} is no parameter here.{hint}")


def must(value: Read | None) -> Read:
    """A value that is there because `finish` has raised otherwise."""
    if value is None:
        raise BadRequest
    return value
