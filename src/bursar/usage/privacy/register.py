"""Which rules each tenant has, in memory, as the doors need them: nobody there asks the store.

A change in this process counts at once, one in another at its next `refresh`. What rules did is counted here
once the events are durable, and written down by `flush` (`tally.py`). The key of a tenant's hashes is in the
vault and taken out once per process.
"""

from __future__ import annotations

import threading
from collections import Counter
from operator import add
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from bursar.errors import BursarError, Conflict, NoEncryptionKey
from bursar.identity.credentials.vault import NewCredential
from bursar.identity.page import walk_pages
from bursar.identity.tally import Tally
from bursar.usage.privacy.cleaner import DEFAULT_CLEANER, Cleaner
from bursar.usage.privacy.hashing import Hasher, make_key
from bursar.usage.privacy.rules import BUILT_IN, FIELDS, OWN
from bursar.usage.privacy.store import ChosenRules

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bursar.identity.credentials.credential import Author
    from bursar.identity.credentials.vault import Vault
    from bursar.usage.privacy.rules import PrivacyRules
    from bursar.usage.privacy.store import PrivacyStore

PROVIDER, NAME = "bursar", "privacy"
"""What the key of hashes is called among a tenant's credentials."""
PURPOSE = "hashes of redacted values"

log = structlog.get_logger()


class PrivacyRegister:
    """Knows every tenant's rules; safe to call from any thread."""

    def __init__(self, store: PrivacyStore, vault: Vault) -> None:
        """Read what `store` keeps; keys of hashes are in `vault`."""
        self._store, self._vault = store, vault
        self._lock = threading.Lock()
        self._stamp: object = None
        self._chosen: dict[str, ChosenRules] = {}
        self._cleaners: dict[str, Cleaner] = {}
        self._hashers: dict[str, Hasher] = {}
        self._waiting = Tally[int](add)
        self._counting = threading.Lock()
        self.totals = Counter[str]()
        """How often each rule did something since the start, of all tenants; own patterns are `own`."""
        self.refresh()

    def of(self, tenant_id: str) -> Cleaner:
        """What carries a tenant's rules out; cheap."""
        return self._cleaners.get(tenant_id, DEFAULT_CLEANER)

    def chosen_by(self, tenant_id: str) -> ChosenRules | None:
        """What a tenant chose; None where it left everything to the defaults."""
        return self._chosen.get(tenant_id)

    def refresh(self) -> None:
        """Learn what was changed, here or elsewhere.

        Raises:
            Unavailable: the store doesn't answer; what is known stays.
        """
        with self._lock:
            stamp = self._store.stamp()
            if stamp == self._stamp:
                return
            chosen = {one.tenant_id: one for one in self._store.all_rules()}
            self._cleaners = {
                tenant_id: self._cleaners[tenant_id]
                if one == self._chosen.get(tenant_id)
                else Cleaner(one.rules, self._hasher_of(one))
                for tenant_id, one in chosen.items()
            }
            self._chosen, self._stamp = chosen, stamp

    def choose(self, tenant_id: str, rules: PrivacyRules, author: Author) -> None:
        """Put a tenant's rules in place of those before; they count at once.

        Raises:
            NoEncryptionKey: they make hashes, and there is no key to seal the key of those with.
            NotFound: there is no such tenant.
            Unavailable: the store doesn't answer.
        """
        before = self._chosen.get(tenant_id)
        secret_id = before.secret_id if before else None
        if secret_id is None or self._is_lost(tenant_id, secret_id):
            try:
                secret_id = self._make_secret(tenant_id, author)
            except NoEncryptionKey:
                if rules.hashes:
                    raise
        self._store.choose(ChosenRules(tenant_id, rules, secret_id, author.at, author.by))
        self.refresh()

    def pseudonyms(self, tenant_id: str, identifiers: Collection[str]) -> list[str]:
        """What stands for these identifiers in a tenant's events where they were hashed."""
        hasher = self.of(tenant_id).hasher
        return [] if hasher is None else hasher.pseudonyms(identifiers)

    def note(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Count what rules did to events that are durable, by tenant and rule."""
        self._waiting.note(counts)
        with self._counting:
            for (tenant_id, rule), count in counts.items():
                own = {one.name for one in self.of(tenant_id).rules.patterns}
                self.totals[OWN if rule in own else rule] += count

    def told(self) -> dict[str, int]:
        """How often each rule did something since the start, of all tenants, those that never did too."""
        return {rule: self.totals[rule] for rule in (*sorted(BUILT_IN), OWN, *FIELDS)}

    def flush(self) -> None:
        """Write down what was counted since the last time; after a failure the next call does it.

        Raises:
            Unavailable: the store doesn't answer.
        """
        self._waiting.write_down(self._store.add_redactions)

    def redactions(self, tenant_id: str) -> dict[str, int]:
        """How often each rule did something for a tenant, up to now.

        Raises:
            Unavailable: the store doesn't answer.
        """
        self.flush()
        return dict(self._store.redactions(tenant_id))

    def _hasher_of(self, chosen: ChosenRules) -> Hasher | None:
        if chosen.secret_id is None:
            return None
        known = self._hashers.get(chosen.secret_id)
        if known is None:
            try:
                secret = self._vault.reveal(chosen.tenant_id, chosen.secret_id, PURPOSE)
            except BursarError as error:
                log.warning(
                    "hashes can't be made, marks take their place", tenant=chosen.tenant_id, why=error.detail
                )
                return None
            known = self._hashers[chosen.secret_id] = Hasher(secret.get_secret_value())
        return known

    def _is_lost(self, tenant_id: str, secret_id: str) -> bool:
        """Whether somebody revoked the key: another one must be made."""
        return self._vault.store.credential(tenant_id, secret_id).revoked is not None

    def _make_secret(self, tenant_id: str, author: Author) -> str:
        new = NewCredential(PROVIDER, NAME, SecretStr(make_key()))
        try:
            return self._vault.add(tenant_id, new, author).id
        except Conflict as error:
            # Another process made it a moment ago, or an earlier attempt got no further.
            found = self._find_secret(tenant_id)
            if isinstance(error, NoEncryptionKey) or found is None:
                raise
            return found

    def _find_secret(self, tenant_id: str) -> str | None:
        mine = (PROVIDER, NAME, None)
        pages = walk_pages(lambda ask: self._vault.store.credentials(tenant_id, ask))
        return next((one.id for one in pages if (one.provider, one.name, one.revoked) == mine), None)
