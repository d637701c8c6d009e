"""What tenants agreed on, from the store into the books: read at the start, after a change, and now and then.

A change counts at once in this process. Another process asks for all stamps every other second and reads
again whose stamp is another one, so a change counts there within five.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bursar.pricing.agreements.override import terms_of

if TYPE_CHECKING:
    from bursar.pricing.agreements.store import AgreementStore
    from bursar.pricing.books import PriceBooks


class AgreementsInForce:
    """Keeps the books up to date with the store; safe to call from any thread."""

    def __init__(self, store: AgreementStore, books: PriceBooks) -> None:
        """Let the books know everything that the store has.

        Raises:
            Unavailable: the store doesn't answer.
        """
        self._store = store
        self._books = books
        self._lock = threading.Lock()
        self._stamps: dict[str, str] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read again what has changed since; what is the same is not read.

        Raises:
            Unavailable: the store doesn't answer.
        """
        with self._lock:
            stamps = self._store.stamps()
            for tenant_id in self._stamps.keys() - stamps.keys():
                self._forget(tenant_id)
            for tenant_id, stamp in stamps.items():
                if self._stamps.get(tenant_id) != stamp:
                    self._read(tenant_id)

    def changed(self, tenant_id: str) -> None:
        """Read again what a tenant agreed on: it has just been changed by this process.

        Raises:
            Unavailable: the store doesn't answer; the next refresh will tell.
        """
        with self._lock:
            self._read(tenant_id)

    def _read(self, tenant_id: str) -> None:
        agreed = self._store.agreed(tenant_id)
        if agreed is None:
            self._forget(tenant_id)
            return
        self._books.agree(tenant_id, agreed.choices, terms_of(agreed.records))
        self._stamps[tenant_id] = agreed.stamp

    def forget(self, tenant_id: str) -> None:
        """Let nothing count that was agreed on with a tenant that is no more."""
        with self._lock:
            self._forget(tenant_id)

    def _forget(self, tenant_id: str) -> None:
        self._books.forget(tenant_id)
        self._stamps.pop(tenant_id, None)
