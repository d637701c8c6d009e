"""Logging in, going on, logging out: what the endpoints of `/auth` do.

Every way in which a login can fail looks alike from outside: an unknown address, a wrong password, an account
that is suspended or has had too many attempts get one answer, after the same work.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bursar import ids
from bursar.errors import BadToken, EndedSession, WrongLogin
from bursar.identity.logins.access_token import AccessClaims, SigningKeys, sign
from bursar.identity.logins.attempts import attempt_key
from bursar.identity.logins.session import (
    Origin,
    Session,
    SessionEnd,
    SessionTerms,
    hash_token,
    make_refresh_token,
)
from bursar.identity.logins.store import Exchange
from bursar.identity.users.user import UserState, normal_email

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.logins.people import People
    from bursar.identity.logins.store import LoginStore
    from bursar.identity.users.passwords import Passwords
    from bursar.identity.users.store import KeptLogin, UserStore
    from bursar.identity.users.user import User


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody types to log in."""

    tenant_id: str
    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """What a login, or going on with one, brings."""

    user: User
    session: Session
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_seconds: int


@dataclass(frozen=True, slots=True)
class Logins:
    """Begins, continues and ends sessions; safe to use from any thread."""

    users: UserStore
    store: LoginStore
    passwords: Passwords
    keys: SigningKeys
    terms: SessionTerms
    people: People
    """Knows the callers whom these sessions make."""

    def log_in(self, credentials: Credentials, origin: Origin, now: datetime) -> Issued:
        """Begin a session for whoever has this address and this password.

        Raises:
            WrongLogin: nobody has, or they may not log in (at this moment).
            Overloaded: too many are logging in.
        """
        user = self._who(credentials, now)
        token = make_refresh_token()
        session = Session(
            ids.make_id("ses"), user.tenant_id, user.id, now, now + self.terms.session_for, origin, now
        )
        self.store.begin_session(session, hash_token(token))
        return self._issued(replace(user, last_login_at=now), session, token, now)

    def go_on(self, refresh_token: str, now: datetime) -> Issued:
        """Go on with a session by its refresh token, which counts only once.

        Raises:
            BadToken: it is none of ours.
            EndedSession: its session has ended, or ends now because the token was used before.
        """
        token = make_refresh_token()
        exchanged = self.store.exchange(hash_token(refresh_token), hash_token(token), now)
        match exchanged.outcome:
            case Exchange.UNKNOWN:
                message = "This refresh token is not one of ours."
                raise BadToken(message)
            case Exchange.REUSED:
                self.people.forget()
                message = (
                    "This refresh token was used before, so that somebody else may have it: the session has"
                    " ended. Log in again."
                )
                raise EndedSession(message)
            case Exchange.ENDED | Exchange.RENEWED:
                standing = exchanged.standing
        if exchanged.outcome is Exchange.ENDED or standing is None:
            raise EndedSession
        return self._issued(standing.user, standing.session, token, now)

    def log_out(self, tenant_id: str, session_id: str, now: datetime) -> None:
        """End one session; its tokens count no longer."""
        self.store.end_session(tenant_id, session_id, now, SessionEnd.LOGGED_OUT)
        self.people.forget()

    def log_out_everywhere(self, tenant_id: str, user_id: str, now: datetime) -> int:
        """End every session of a user; answers how many."""
        ended = self.store.end_sessions(tenant_id, user_id, now, SessionEnd.LOGGED_OUT_EVERYWHERE)
        self.people.forget()
        return ended

    def _who(self, credentials: Credentials, now: datetime) -> User:
        email = normal_email(credentials.email)
        key = attempt_key(credentials.tenant_id, email)
        with self.passwords.turn():
            counts = self.store.begin_attempt(key, now)
            found = self.users.kept_login(credentials.tenant_id, email)
            is_right = self.passwords.is_right(credentials.password, found.password_hash if found else None)
            if found is None or not (counts and is_right) or found.user.state is not UserState.ACTIVE:
                raise WrongLogin
            self.store.end_attempt(key)
            self._renew_hash(found, credentials.password)
        return found.user

    def _renew_hash(self, found: KeptLogin, password: str) -> None:
        """Keep the password at today's cost, now that it is known."""
        kept = found.password_hash
        if kept is not None and self.passwords.is_outdated(kept):
            renewed = self.passwords.hash(password)
            self.users.renew_hash(found.user.tenant_id, found.user.id, kept, renewed)

    def _issued(self, user: User, session: Session, token: str, now: datetime) -> Issued:
        expires_at = min(now + self.terms.access_for, session.expires_at)
        claims = AccessClaims(user.id, session.id, expires_at)
        seconds = int((expires_at - now).total_seconds())
        return Issued(user, session, sign(self.keys, claims, now), token, seconds)
