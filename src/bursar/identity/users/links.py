"""Links by which somebody sets a password, once: an invitation, a reset, the very first admin's.

A link holds a secret of 256 random bits, of which a hash alone is kept. It counts until it is followed or too
old, or its user is suspended, has another address or another password. One that was shown to whoever made it
covers no more than they may do: if its user may do more by the time it is followed, it counts no longer.
`enrolment.py` gives links out, `identity/logins/following.py` follows them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bursar import ids

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.permissions import Permission
    from bursar.identity.roles import RoleBinding
    from bursar.identity.users.user import User

LINK_WORD = "bur_link"
"""The public part of every link's secret, so that leak scanners can find one and logs mask it."""
PAGE = "/welcome"
"""Where a link leads. The secret stands behind a `#`: browsers send that to no server and in no `Referer`."""


class LinkKind(StrEnum):
    """What a link is for."""

    INVITATION = "invitation"
    RESET = "reset"
    """A new password, asked for by somebody who manages users."""
    FORGOTTEN = "forgotten"
    """A new password, asked for by whoever typed the address."""
    FIRST_ADMIN = "first_admin"
    """Makes the first user of a new ledger, an owner of its first tenant."""


LASTS: dict[LinkKind, timedelta] = {
    LinkKind.INVITATION: timedelta(days=7),
    LinkKind.RESET: timedelta(hours=24),
    LinkKind.FORGOTTEN: timedelta(hours=1),
    LinkKind.FIRST_ADMIN: timedelta(hours=24),
}
"""Mail may lie over a week's end; what anybody can ask for lasts as OWASP advises."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link, without its secret."""

    tenant_id: str
    user_id: str | None
    """None: of the first admin, who is nobody yet."""
    kind: LinkKind
    created_at: datetime
    created_by: str
    covers: frozenset[Permission] | None = None
    """What its user may be allowed at most; None where nobody but the user has seen it."""

    @property
    def expires_at(self) -> datetime:
        """When it counts no longer."""
        return self.created_at + LASTS[self.kind]


class LinkStore(Protocol):
    """Keeps links by the hashes of their secrets; `storage/relational` implements it."""

    def add_link(self, link: Link, secret_hash: str) -> None:
        """Keep a link. One made by somebody who manages users replaces the user's others; old ones go.

        Raises:
            NotFound: there is no such user any more.
        """
        ...

    def link(self, secret_hash: str, now: datetime) -> Link | None:
        """The link, if it counts still."""
        ...

    def follow_link(self, secret_hash: str, password_hash: str, now: datetime) -> User | None:
        """Use a link up and set its user's password; their sessions end, and no other link counts.

        None, and no password is set, where it doesn't count: of several who follow it at once one does.
        """
        ...

    def follow_first_link(
        self, secret_hash: str, user: User, role: RoleBinding, password_hash: str
    ) -> User | None:
        """Use up the first admin's link and make them; None where it doesn't count, or there are users."""
        ...

    def has_users(self) -> bool:
        """Whether there is any user in any tenant."""
        ...


def make_link_secret() -> str:
    """A secret of 256 random bits."""
    return ids.make_secret(LINK_WORD)


def hash_link(secret: str) -> str:
    """The only form in which a secret is kept: SHA-256 is enough for what can't be guessed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def write_link(base: str, secret: str) -> str:
    """The link as somebody follows it, at a server that is reached at `base`."""
    return f"{base.rstrip('/')}{PAGE}#{secret}"
