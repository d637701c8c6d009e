"""A user: a person of one tenant, known there by an e-mail address. Values and their rules.

An address is unique within its tenant and means nothing beyond: whoever works for two tenants is a user of
each, and neither can find out about the other. `store.py` keeps users, `passwords.py` has what they prove
themselves with.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason
from bursar.identity.tenant import NAME_LIMIT, is_name

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.roles import RoleBinding

EMAIL_LIMIT = 254
"""The longest address that mail can be sent to (RFC 5321, 4.5.3.1.3, without its angle brackets)."""
EMAIL_PATTERN = r"^[^@\s\x00-\x1f\x7f\"<>(),:;\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,187}[A-Za-z0-9])?$"
"""One `@`, nothing that a mail header or a log line would read as its own, a domain in ASCII."""
_EMAIL = re.compile(EMAIL_PATTERN)


class UserState(StrEnum):
    """Whether somebody may log in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Every session has ended, and none can be begun."""


@dataclass(frozen=True, slots=True)
class User:
    """A person as their tenant knows them."""

    id: str
    tenant_id: str
    email: str
    """As `normal_email` writes it."""
    name: str
    created_at: datetime
    state: UserState = UserState.ACTIVE
    has_password: bool = False
    """False until they have followed their invitation."""
    last_login_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user; None leaves a field as it is."""

    name: str | None = None
    state: UserState | None = None
    email: str | None = None
    """As `normal_email` writes it."""
    gives: tuple[RoleBinding, ...] = ()
    """Roles that they get; one that they have stays as it was given."""
    takes: tuple[RoleBinding, ...] = ()
    """Roles that they have no longer."""


def normal_email(text: str) -> str:
    """The address in the one form in which addresses are kept and compared.

    Trimmed, in lower case, and composed the same way whatever keyboard it was typed on (NFC).
    """
    return unicodedata.normalize("NFC", text.strip().lower())


def is_email(text: str) -> bool:
    """Whether this is an address in the form in which it is kept."""
    is_one = len(text) <= EMAIL_LIMIT and _EMAIL.fullmatch(text) is not None
    return is_one and text == normal_email(text) and text.isprintable()


def faults_of(user: User) -> tuple[Reason, ...]:
    """What of an address or a name can't be kept."""
    return (*_about_email(user.email), *_about_name(user.name))


def refuse_unfit_change(change: UserChange) -> None:
    """Refuse an address or a name that can't be kept.

    Raises:
        Invalid: with every reason.
    """
    about_email = () if change.email is None else _about_email(change.email)
    reasons = (*about_email, *(() if change.name is None else _about_name(change.name)))
    if reasons:
        raise Invalid(reasons=reasons)


def _about_email(email: str) -> tuple[Reason, ...]:
    if is_email(email):
        return ()
    return (Reason("email", "invalid_email", "must be an e-mail address such as ada@example.com"),)


def _about_name(name: str) -> tuple[Reason, ...]:
    if is_name(name):
        return ()
    return (Reason("name", "invalid_name", f"must be one line of 1 to {NAME_LIMIT} characters"),)
