"""Logging in, going on, logging out: what the endpoints of `/auth` do.

Every way in which a login can fail looks alike from outside: an unknown address, a wrong password, an account
that is suspended or has had too many attempts get one answer, after the same work.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bursar import ids
from bursar.errors import BadToken, EndedSession, Reason, WrongLogin
from bursar.identity.audit.noting import Account, note_account
from bursar.identity.logins.access_token import AccessClaims, SigningKeys, sign
from bursar.identity.logins.attempts import attempt_key
from bursar.identity.logins.session import (
    Issued,
    Origin,
    Session,
    SessionEnd,
    SessionTerms,
    hash_token,
    make_refresh_token,
)
from bursar.identity.logins.store import Exchange
from bursar.identity.users.passwords import refuse_weak
from bursar.identity.users.user import UserState, normal_email

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.logins.attempts import Attempts
    from bursar.identity.logins.people import People
    from bursar.identity.logins.session import Standing
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
class PasswordChange:
    """What somebody types to log in with another password from now on."""

    current: str = field(repr=False)
    new: str = field(repr=False)


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
        return self.begin(self._who(credentials, now), origin, now)

    def begin(self, user: User, origin: Origin, now: datetime) -> Issued:
        """Begin a session for somebody who has proven by other means than a password who they are.

        Raises:
            WrongLogin: they may not log in.
            NotFound: there is no such user any more.
        """
        if user.state is not UserState.ACTIVE:
            raise WrongLogin
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
                _note_reused(exchanged.standing)
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

    def change_password(self, user: User, change: PasswordChange, origin: Origin, now: datetime) -> Issued:
        """Let somebody log in with another password from now on; every session ends, and one begins.

        Raises:
            Invalid: the current password isn't theirs (a wrong one counts as a failed login), they have none,
                or the new one is too weak.
            Overloaded: too many are logging in.
        """
        beside = () if user.has_password else (_NO_PASSWORD,)
        if user.has_password:
            try:
                self._who(Credentials(user.tenant_id, user.email, change.current), now)
            except WrongLogin:
                beside = (_NOT_THEIRS,)
        refuse_weak(change.new, user.email, user.name, beside=beside)
        with self.passwords.turn():
            kept = self.passwords.hash(change.new)
        self.users.set_password(user.tenant_id, user.id, kept, now)
        self.people.forget()
        return self.begin(user, origin, now)

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
            attempts = self.store.begin_attempt(key, now)
            found = self.users.kept_login(credentials.tenant_id, email)
            is_right = self.passwords.is_right(credentials.password, found.password_hash if found else None)
            is_active = found is not None and found.user.state is UserState.ACTIVE
            if found is None or attempts is None or not (is_right and is_active):
                _note_refused(found, attempts, is_right=is_right)
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
        return Issued(user, session, sign(self.keys, claims, now), token, seconds, now)


_NOT_THEIRS = Reason(
    "current_password",
    "wrong_password",
    "is not your password, or too many wrong ones were tried lately: then it counts again in a while",
)
_NO_PASSWORD = Reason(
    "current_password",
    "no_password",
    "you have none: a link from `POST /api/v1/auth/forgot` or from an administrator sets one",
)


def _note_refused(found: KeptLogin | None, attempts: Attempts | None, *, is_right: bool) -> None:
    """Tell the audit log whose account was tried; of one that nobody has it keeps no address."""
    if found is None:
        return
    why = "too_early" if attempts is None else "suspended" if is_right else "wrong_password"
    locks = why == "wrong_password" and attempts is not None and attempts.locked_until is not None
    word = "login.lockout" if locks else None
    note_account(
        Account(found.user.tenant_id, found.user.id, why, is_bounded=attempts is not None, word=word)
    )


def _note_reused(standing: Standing | None) -> None:
    if standing is not None:
        user = standing.user
        note_account(
            Account(user.tenant_id, user.id, "refresh_token_reused", is_bounded=True, word="login.reuse")
        )
