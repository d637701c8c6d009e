"""What is kept of logins: attempts, sessions, refresh tokens; `storage/relational` implements it.

Each method is one transaction. Tokens get here as hashes only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.logins.attempts import AttemptKey, Attempts
    from bursar.identity.logins.session import Session, SessionEnd, Standing


class Exchange(StrEnum):
    """What became of a refresh token that was presented."""

    RENEWED = "renewed"
    UNKNOWN = "unknown"
    ENDED = "ended"
    """Its session counts no longer."""
    REUSED = "reused"
    """It was used before; its session has ended by that."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What became of it, and what its session stands for where there is one."""

    outcome: Exchange
    standing: Standing | None = None


class LoginStore(Protocol):
    """Keeps logins."""

    def begin_attempt(self, key: AttemptKey, now: datetime) -> Attempts | None:
        """Count an attempt as failed until `end_attempt`; None: it comes too early and isn't counted."""
        ...

    def end_attempt(self, key: AttemptKey) -> None:
        """Forget the attempts with this address: the password was right."""
        ...

    def begin_session(self, session: Session, token_hash: str) -> None:
        """Keep a new session with its first refresh token, and when its user was last here.

        The user's sessions that are past their time are forgotten, and the oldest beyond `SESSIONS_LIMIT`.

        Raises:
            NotFound: there is no such user any more.
        """
        ...

    def exchange(self, token_hash: str, next_hash: str, now: datetime) -> Exchanged:
        """Replace a refresh token by the next, or end the session of one that was used before.

        Of several who present the same token at the same moment one gets the next.
        """
        ...

    def standing(self, session_id: str) -> Standing | None:
        """What this session stands for, ended ones included; None for an unknown one.

        Asked without a tenant: the signature on the token that names it is what tells which it is.
        """
        ...

    def end_session(self, tenant_id: str, session_id: str, at: datetime, why: SessionEnd) -> None:
        """End a session of the tenant; one that has ended stays as it is."""
        ...

    def end_sessions(self, tenant_id: str, user_id: str, at: datetime, why: SessionEnd) -> int:
        """End every session of a user; answers how many."""
        ...

    def sessions(self, tenant_id: str, user_id: str, now: datetime) -> tuple[Session, ...]:
        """A user's sessions that count, the latest first."""
        ...
