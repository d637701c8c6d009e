"""What is agreed between Bursar and one OpenID provider, and what the operator makes of it. Values only.

Where the values come from is the business of the settings; what groups mean is in `mapping.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bursar.identity.sign_on.mapping import RoleMapping


@dataclass(frozen=True, slots=True)
class Entry:
    """Who may come in, and as what."""

    tenant_id: str
    """Everybody who logs in there is a user of this tenant."""
    mapping: RoleMapping
    groups_claim: str = "groups"
    """The claim that lists somebody's groups; `a.b` also finds `b` inside of `a`."""
    email_domains: tuple[str, ...] = ()
    """Addresses of other domains are refused; empty: any domain."""
    links_by_email: bool = False
    """Whether somebody who proves the address of a user that was made here comes in as that user."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Bursar as the provider knows it."""

    issuer: str
    """The provider, exactly as it writes itself in its tokens."""
    client_id: str
    redirect_url: str
    """Where the provider sends browsers back to: our callback, as it is registered there."""
    entry: Entry
    client_secret: str | None = field(default=None, repr=False)
    """None: a public client, which PKCE alone protects."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach us by TLS."""
        return self.redirect_url.startswith("https://")
