"""How settings are written: their names outside, the forms of single values, the refusal of contradictions.

The groups of settings (`listening.py`, `access.py` and the others) are made of these pieces. What reads the
environment is `reading.py`; the whole is `fields.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, SecretStr

from bursar.errors import Reason
from bursar.settings.secret_values import SECRET_FORMS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PREFIX = "BURSAR_"
KIB, MIB = 2**10, 2**20

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
"""A path in which `~` is the home folder of whom the process runs as."""
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a setting is written outside, where its type alone doesn't tell."""

    form: str = ""
    """The allowed form; empty where it follows from the field's type and bounds."""
    aliases: tuple[str, ...] = ()
    """Names that set it beside `BURSAR_<NAME>`."""


class Contradiction(ValueError):
    """Settings that are fine alone but not together."""

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        super().__init__("; ".join(reason.message for reason in reasons))
        self.reasons = reasons


class Group(BaseModel):
    """Settings of one idea; what contradicts each other is a thing of the group where it is found."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def lower(value: object) -> object:
    """Texts in lower case, so that a word may be written in either."""
    return value.lower() if isinstance(value, str) else value


def name_of(field: str) -> str:
    """The first of the environment variables that set the field."""
    return PREFIX + field.upper()


def clash(field: str, rule: str) -> Reason:
    """The reason for refusing a setting because of another one."""
    name = name_of(field)
    return Reason(name, "contradiction", f"{name} {rule}")


def spelling_of(info: FieldInfo) -> Spelling:
    """How the field is written outside."""
    return next((item for item in info.metadata if isinstance(item, Spelling)), Spelling())


def show_size(size: int) -> str:
    """A number of bytes in the largest binary unit that keeps it whole."""
    for unit, factor in (("GiB", 2**30), ("MiB", MIB), ("KiB", KIB)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def show_as(spelling: Spelling, value: object) -> str:
    """The value as text that may be printed: keys and passwords are masked."""
    is_secret = isinstance(value, SecretStr) or spelling.form in SECRET_FORMS
    if value is None or is_secret:
        return "" if value is None else "***"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ByteSize):
        return show_size(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ", ".join(str(item) for item in cast("tuple[object, ...]", value))
    return _mask_password(str(value))


def _mask_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
