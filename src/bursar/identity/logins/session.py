"""A login session: what began with a password and lasts until it is ended or too old. Values only.

A session has one refresh token that counts. Each use of it brings the next; one that was used before shows
that two hold the same token, of whom one has stolen it, and ends the session for both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bursar import ids

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.users.user import User

REFRESH_WORD = "bur_refresh"
"""The public part of every refresh token, so that leak scanners can find one."""
SESSIONS_LIMIT = 100
"""Sessions of one user that are kept; a program that logs in for each call pushes its oldest out."""


class SessionEnd(StrEnum):
    """Why a session ended."""

    LOGGED_OUT = "logged_out"
    LOGGED_OUT_EVERYWHERE = "logged_out_everywhere"
    TOKEN_REUSED = "token_reused"  # noqa: S105 - a word, no token
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - as above
    SUSPENDED = "suspended"
    LINKED = "linked"
    """Somebody whom a provider vouches for took the account over."""


@dataclass(frozen=True, slots=True)
class Origin:
    """From where somebody logged in, for them to recognise."""

    address: str | None = None
    client: str | None = None
    """What the program calls itself (`User-Agent`)."""


@dataclass(frozen=True, slots=True)
class Session:
    """One login of one user."""

    id: str
    tenant_id: str
    user_id: str
    started_at: datetime
    expires_at: datetime
    origin: Origin = field(default_factory=Origin)
    last_used_at: datetime | None = None
    """When its refresh token was used last."""
    ended_at: datetime | None = None
    end: SessionEnd | None = None

    def counts_at(self, now: datetime) -> bool:
        """Whether it has neither ended nor grown too old."""
        return self.ended_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session stands for at this moment."""

    session: Session
    user: User
    zone: str
    """The tenant's."""
    is_tenant_suspended: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """What a login, or going on with one, brings."""

    user: User
    session: Session
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_seconds: int
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """For how long tokens and sessions last."""

    access_for: timedelta = timedelta(minutes=15)
    session_for: timedelta = timedelta(days=30)


def make_refresh_token() -> str:
    """A refresh token of 256 random bits."""
    return ids.make_secret(REFRESH_WORD)


def hash_token(token: str) -> str:
    """The only form in which a token is kept: SHA-256 is enough for what can't be guessed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
