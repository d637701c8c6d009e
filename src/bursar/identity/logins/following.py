"""Following a link: its secret and a new password bring a session. Links are in `identity/users/links.py`.

Whatever is wrong with a link, the answer is the same: it is unknown, was used, is too old, or its user may do
more by now than whoever was shown it. A password that the rules refuse doesn't use a link up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar import ids
from bursar.errors import BadLink, Reason
from bursar.identity.logins.attempts import attempt_key
from bursar.identity.roles import RoleBinding
from bursar.identity.users.links import Link, LinkKind, hash_link
from bursar.identity.users.passwords import refuse_weak
from bursar.identity.users.user import User, faults_of, normal_email

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.logins.logins import Logins
    from bursar.identity.logins.session import Issued, Origin
    from bursar.identity.users.links import LinkStore


@dataclass(frozen=True, slots=True)
class FollowAsk:
    """What somebody brings who follows a link."""

    secret: str = field(repr=False)
    password: str = field(repr=False)
    email: str | None = None
    """Of the first admin: who they are. Everybody else is known by their link."""
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Following:
    """Follows links; safe to use from any thread."""

    logins: Logins
    links: LinkStore

    def follow(self, ask: FollowAsk, origin: Origin, now: datetime) -> Issued:
        """Set the password of a link's user, use the link up, and begin a session.

        Raises:
            BadLink: it doesn't count.
            Invalid: the password is too weak, or the first admin's address or name is missing or unfit.
            Overloaded: too many are logging in.
        """
        digest = hash_link(ask.secret)
        link = self.links.link(digest, now)
        if link is None:
            raise BadLink
        user = self._first_admin(ask, link, now) if link.user_id is None else self._user_of(link)
        faults = _faults_of_first(ask, user) if link.user_id is None else ()
        refuse_weak(ask.password, user.email, user.name, beside=faults)
        with self.logins.passwords.turn():
            kept = self.logins.passwords.hash(ask.password)
        if link.user_id is None:
            owner = RoleBinding(user.tenant_id, user.id, "owner", None, link.created_by, now)
            followed = self.links.follow_first_link(digest, user, owner, kept)
        else:
            followed = self.links.follow_link(digest, kept, now)
        if followed is None:
            raise BadLink
        # Whoever had logged in as them counts no longer, nor do wrong guesses at the password before.
        self.logins.people.forget()
        self.logins.store.end_attempt(attempt_key(followed.tenant_id, followed.email))
        return self.logins.begin(followed, origin, now)

    def _user_of(self, link: Link) -> User:
        return self.logins.users.user(link.tenant_id, link.user_id or "")

    def _first_admin(self, ask: FollowAsk, link: Link, now: datetime) -> User:
        if link.kind is not LinkKind.FIRST_ADMIN:
            raise BadLink
        email = normal_email(ask.email or "")
        return User(ids.make_id("usr"), link.tenant_id, email, ask.name or "", now, has_password=True)


def _faults_of_first(ask: FollowAsk, user: User) -> tuple[Reason, ...]:
    named = {"email": ask.email, "name": ask.name}
    missing = {name for name, value in named.items() if value is None}
    message = "is needed: the link is the first admin's, who isn't known yet"
    unfit = (fault for fault in faults_of(user) if fault.field not in missing)
    return (*(Reason(name, "missing", message) for name in named if name in missing), *unfit)
