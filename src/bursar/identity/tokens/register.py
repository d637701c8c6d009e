"""Which tracking tokens there are, in memory, as the doors need it: finding one asks no store.

A change in this process counts at once, one in another at its next `refresh`. How often tokens are used is
counted here and written down by `flush` (`tally.py`). The exact count of events is a question about their
`tracking_token_id`.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from bursar.identity.tally import Tally
from bursar.identity.tokens.store import TokenUse

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.tokens.store import KnownToken, TokenStore

TOKENS_LIMIT = 1_000
"""Of one tenant: all of them are in memory."""


class TokenRegister:
    """Knows every tenant's tokens; safe to call from any thread."""

    def __init__(self, store: TokenStore) -> None:
        """Read what `store` keeps."""
        self.store = store
        self._lock = threading.Lock()
        self._stamp: object = None
        self._known: dict[tuple[str, str], KnownToken] = {}
        self._uses = Tally(_both_uses)
        self.refresh()

    def find(self, tenant_id: str, token: str) -> KnownToken | None:
        """The tenant's token with these characters; None where it has none."""
        return self._known.get((tenant_id, token))

    def refresh(self) -> None:
        """Learn what was changed, here or elsewhere.

        Raises:
            Unavailable: the store doesn't answer; what is known stays.
        """
        with self._lock:
            stamp = self.store.stamp()
            if stamp != self._stamp:
                self._known = {(one.tenant_id, one.token): one for one in self.store.known_tokens()}
                self._stamp = stamp

    def note_use(self, tenant_id: str, token_id: str, count: int, at: datetime) -> None:
        """Count events that named a token and are durable."""
        self._uses.note({(tenant_id, token_id): TokenUse(tenant_id, token_id, count, at)})

    def flush(self) -> None:
        """Write down how often tokens were used since the last time; after a failure the next call does it.

        Raises:
            Unavailable: the store doesn't answer.
        """
        self._uses.write_down(lambda uses: self.store.record_uses(uses.values()))


def _both_uses(one: TokenUse, other: TokenUse) -> TokenUse:
    return replace(one, count=one.count + other.count, at=max(one.at, other.at))
