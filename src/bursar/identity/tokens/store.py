"""The store of tracking tokens as questions and changes: what `tokens` needs kept, not how.

`storage/relational` implements it. Each method is one transaction, bound to the tenant that it names;
what the doors need of all tenants' tokens is read at once, when the stamp says that something changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bursar.identity.page import Page, PageAsk
    from bursar.identity.tokens.token import TokenChange, TrackingToken


@dataclass(frozen=True, slots=True)
class KnownToken:
    """What a door needs to know of a token."""

    tenant_id: str
    token: str
    id: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class TokenUse:
    """How often events named a token since the last time, and when one last did."""

    tenant_id: str
    token_id: str
    count: int
    at: datetime


class TokenStore(Protocol):
    """Keeps tracking tokens; every method may raise `Unavailable`."""

    def stamp(self) -> object:
        """Something that is another after every change but a use."""
        ...

    def known_tokens(self) -> Sequence[KnownToken]:
        """Every token of every tenant."""
        ...

    def add_token(self, token: TrackingToken, limit: int) -> None:
        """Keep a new token.

        Raises:
            Conflict: the tenant has one of this label (`label_exists`) or with these characters
                (`token_exists`), or `limit` tokens already (`too_many_tokens`).
            NotFound: there is no such tenant.
        """
        ...

    def token(self, tenant_id: str, token_id: str) -> TrackingToken:
        """The tenant's token of this id.

        Raises:
            NotFound: it has none.
        """
        ...

    def tokens(self, tenant_id: str, ask: PageAsk) -> Page[TrackingToken]:
        """The tenant's tokens in order of creation."""
        ...

    def change_token(self, tenant_id: str, token_id: str, change: TokenChange) -> TrackingToken:
        """Change what the change names and answer the token as it is then.

        Raises:
            NotFound: the tenant has no such token.
            Conflict: another one has the label (`label_exists`).
        """
        ...

    def remove_token(self, tenant_id: str, token_id: str) -> None:
        """Forget a token; events keep its id.

        Raises:
            NotFound: the tenant has no such token.
        """
        ...

    def record_uses(self, uses: Iterable[TokenUse]) -> None:
        """Add to how often tokens were used; an earlier moment never replaces a later one."""
        ...
