"""From an access token to its caller, as `identity/authenticate.py` does it for API keys.

The signature is checked at every call. What the session stands for (the user, their roles, the tenant) is
believed for five seconds: a change by another process takes effect within them, one in this process at once
(`forget`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.errors import EndedSession
from bursar.identity.authenticate import BELIEVED_FOR
from bursar.identity.caller import Caller
from bursar.identity.logins.access_token import AccessClaims, SigningKeys, read
from bursar.identity.logins.cookies import refuse_forged
from bursar.identity.users.user import UserState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bursar.identity.logins.session import Standing
    from bursar.identity.logins.store import LoginStore
    from bursar.identity.permissions import Permission

    Rights = tuple[frozenset[Permission], Mapping[Permission, frozenset[str]]]
    RightsOf = Callable[[str, str], Rights]

KNOWN_LIMIT = 10_000
"""Sessions remembered at once, at about 2 kB each."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the store said of one session, and when."""

    standing: Standing
    caller: Caller
    read_at: datetime
    era: int


class People:
    """Knows people by their access tokens; safe to call from any thread."""

    def __init__(self, store: LoginStore, keys: SigningKeys, rights_of: RightsOf) -> None:
        """Start knowing nobody.

        Args:
            store: asked about each session when it comes, and again every five seconds.
            keys: what tokens are signed with.
            rights_of: what a user of a tenant may do there: in all of it, and in some projects.
        """
        self._store = store
        self._keys = keys
        self._rights_of = rights_of
        self._lock = threading.Lock()
        self._known: dict[str, _Entry] = {}
        self._era = 0

    def recall(self, token: str, now: datetime) -> Caller | None:
        """The caller, if that is known without asking the store; None means: call `authenticate`.

        Never waits, so it may run on the event loop.

        Raises:
            BadToken, ExpiredToken, EndedSession: as known without asking.
        """
        return self._recall(self.claims_of(token, now), now)

    def authenticate(self, token: str, now: datetime) -> Caller:
        """The caller who presents this token.

        Raises:
            BadToken, ExpiredToken: the token doesn't count.
            EndedSession: its session, or its user, doesn't.
            Unavailable: the store doesn't answer.
        """
        claims = self.claims_of(token, now)
        return self._recall(claims, now) or self._look_up(claims, now)

    def claims_of(self, token: str, now: datetime) -> AccessClaims:
        """What a token says, if it counts.

        Raises:
            BadToken, ExpiredToken: it doesn't.
        """
        return read(self._keys, token, now)

    def refuse_forged(self, session_id: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Let only a change by our own page pass, of somebody who is known by a cookie.

        Raises:
            ForgedRequest: see `cookies.py`.
        """
        refuse_forged(self._keys, session_id, headers)

    def forget(self) -> None:
        """Believe nothing from before: a change in this process counts from here on."""
        with self._lock:
            self._era += 1
            self._known.clear()

    def _recall(self, claims: AccessClaims, now: datetime) -> Caller | None:
        entry = self._known.get(claims.session_id)
        if entry is None or entry.era != self._era or not entry.read_at <= now < entry.read_at + BELIEVED_FOR:
            return None
        return _admitted(entry, claims, now)

    def _look_up(self, claims: AccessClaims, now: datetime) -> Caller:
        with self._lock:
            era = self._era
        standing = self._store.standing(claims.session_id)
        if standing is None:
            raise EndedSession
        user = standing.user
        permissions, within = self._rights_of(user.tenant_id, user.id)
        caller = Caller(
            user.tenant_id,
            user.id,
            permissions,
            standing.zone,
            is_suspended=standing.is_tenant_suspended,
            within=within,
            is_person=True,
        )
        entry = _Entry(standing, caller, now, era)
        with self._lock:
            # If something changed meanwhile the answer serves this call, but isn't remembered.
            if era == self._era:
                while len(self._known) >= KNOWN_LIMIT:
                    del self._known[next(iter(self._known))]
                self._known[claims.session_id] = entry
        return _admitted(entry, claims, now)


def _admitted(entry: _Entry, claims: AccessClaims, now: datetime) -> Caller:
    standing = entry.standing
    is_theirs = standing.user.id == claims.user_id
    if not (is_theirs and standing.session.counts_at(now) and standing.user.state is UserState.ACTIVE):
        raise EndedSession
    return entry.caller
