"""All settings together: one frozen object, and how each field is named, allowed and shown.

A field is set by `BURSAR_<NAME>`, some also by the plain name that other tools use. Each group of them has
a module of its own. What can be wrong about one value is its field's type and bounds; what can be wrong
about several together is collected here. Where the values come from is the business of `reading.py`.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import ByteSize, model_validator

from bursar.described import field_words
from bursar.settings.access import Access, unsafe_access
from bursar.settings.bounds import Bounds, impossible_bounds
from bursar.settings.ledger import Ledger
from bursar.settings.listening import Listening, incomplete_tls
from bursar.settings.mail import Mail, incomplete_mail
from bursar.settings.rates import Rates, bursts_without_rates
from bursar.settings.sign_on import SignOn, incomplete_sign_on
from bursar.settings.spelling import Contradiction, name_of, show_as, show_size, spelling_of
from bursar.settings.upkeep import Upkeep


# Pydantic puts the fields of the last one first.
class Settings(Upkeep, Rates, Bounds, Ledger, SignOn, Mail, Access, Listening):
    """Everything that can be chosen about one Bursar process."""

    def shown(self) -> dict[str, str]:
        """Every field's value as text that may be printed: keys and passwords are masked."""
        return {field: show_value(field, getattr(self, field)) for field in type(self).model_fields}

    @model_validator(mode="after")
    def _hangs_together(self) -> Settings:
        reasons = (
            *unsafe_access(self, self.host),
            *incomplete_tls(self),
            *incomplete_mail(self),
            *incomplete_sign_on(self),
            *impossible_bounds(self),
            *bursts_without_rates(self),
        )
        if reasons:
            raise Contradiction(reasons)
        return self


def names_of(field: str) -> tuple[str, ...]:
    """The environment variables that set the field, the first one before the others."""
    return (name_of(field), *spelling_of(Settings.model_fields[field]).aliases)


def meaning_of(field: str) -> str:
    """What the field is for, in one line: the words below it in its group."""
    groups = (group for group in Settings.__mro__ if field in getattr(group, "__annotations__", {}))
    return " ".join(field_words(next(groups)).get(field, "").split())


def form_of(field: str) -> str:
    """The allowed form of the field in words, taken from its type and bounds."""
    info = Settings.model_fields[field]
    if form := spelling_of(info).form:
        return form
    if info.annotation is bool:
        return "true or false"
    low, high = (_bound(info.metadata, name) for name in ("ge", "le"))
    if info.annotation is ByteSize:
        return f"a size such as 64MiB, 1GiB or 1048576 (bytes), at least {show_size(int(low))}"
    if info.annotation is float:
        return f"a number of seconds above 0, at most {high}"
    if info.annotation is int:
        return f"a whole number from {low} to {high}"
    *others, last = get_args(info.annotation)
    return f"{', '.join(others)} or {last}"


def show_value(field: str, value: object) -> str:
    """The value of a field as text that may be printed: keys and passwords are masked."""
    return show_as(spelling_of(Settings.model_fields[field]), value)


def _bound(metadata: list[Any], name: str) -> Any:  # noqa: ANN401 -- a bound is of its field's type
    return next((getattr(item, name) for item in metadata if hasattr(item, name)), 0)
