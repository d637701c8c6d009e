"""The vault: takes secrets of tenants, hands one out for a named purpose, and renews their envelopes.

`reveal` is the only way out, and every use is noted before the secret is handed over. A secret travels as
`SecretStr`, which prints as stars wherever it ends up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from bursar import clock, ids
from bursar.errors import Invalid, Reason, SecretUnreadable
from bursar.identity.credentials.credential import (
    ProviderCredential,
    hint_of,
    refuse_unfit,
    refuse_unfit_secret,
)
from bursar.identity.credentials.envelope import seal, unseal
from bursar.identity.credentials.master_keys import missing_key
from bursar.identity.tenant import is_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from bursar.identity.credentials.credential import Author, SealedCredential
    from bursar.identity.credentials.master_keys import KeyRing
    from bursar.identity.credentials.store import CredentialStore

BATCH = 100
"""Secrets per transaction of a rotation: a few milliseconds, so that nobody waits for it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a caller entrusts."""

    provider: str
    name: str
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class Use:
    """A secret that is about to be handed out."""

    tenant_id: str
    credential_id: str
    purpose: str


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A master key, and what it seals."""

    key_id: str
    seals_new: bool
    is_at_hand: bool
    secrets: int
    """How many it seals; one that seals none, and nothing new, can be dropped."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A secret that doesn't open."""

    tenant_id: str
    credential_id: str
    key_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What opening every secret has shown."""

    checked: int
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What a rotation did."""

    key_id: str
    """Of the key that seals everything now."""
    rotated: int
    left: int
    """Sealed by other keys still: somebody changed them meanwhile on a server that has other keys."""


class Vault:
    """Keeps the secrets of all tenants. Use from any thread."""

    def __init__(
        self,
        store: CredentialStore,
        ring: KeyRing,
        record: Callable[[Use], None],
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        """Keep them in `store`, sealed by the keys of `ring`; `record` hears of each use before it is one."""
        self._store = store
        self._ring = ring
        self._record = record
        self._now = now

    @property
    def store(self) -> CredentialStore:
        """Where credentials are listed, without their secrets."""
        return self._store

    def add(self, tenant_id: str, asked: NewCredential, author: Author) -> ProviderCredential:
        """Keep a secret.

        Raises:
            Invalid: a name or the secret can't be kept.
            NoEncryptionKey: there is no key to seal it with.
            Conflict: the tenant has a usable credential of this provider and name.
        """
        secret = asked.secret.get_secret_value()
        refuse_unfit(asked.provider, asked.name, secret)
        made = ProviderCredential(
            id=ids.make_id("crd"),
            tenant_id=tenant_id,
            provider=asked.provider,
            name=asked.name,
            hint=hint_of(secret),
            key_id=self._ring.sealing().id,
            created=author,
        )
        self._store.add_credential(made, seal(secret, made.about, self._ring))
        return made

    def replace(
        self, tenant_id: str, credential_id: str, secret: SecretStr, author: Author
    ) -> ProviderCredential:
        """Keep another secret in place of the one before.

        Raises:
            Invalid: it can't be kept.
            NotFound: the tenant has no such credential.
            Conflict: it is revoked.
            NoEncryptionKey: there is no key to seal it with.
        """
        plain = secret.get_secret_value()
        refuse_unfit_secret(plain)
        about = self._store.credential(tenant_id, credential_id).about
        envelope = seal(plain, about, self._ring)
        return self._store.replace_secret(tenant_id, credential_id, envelope, hint_of(plain), author)

    def revoke(self, tenant_id: str, credential_id: str, author: Author) -> ProviderCredential:
        """Destroy a secret; twice is harmless.

        Raises:
            NotFound: the tenant has no such credential.
        """
        return self._store.revoke_credential(tenant_id, credential_id, author)

    def reveal(self, tenant_id: str, credential_id: str, purpose: str) -> SecretStr:
        """The secret, for a purpose in a few words, which is noted first.

        Raises:
            NotFound: the tenant has no such credential.
            Conflict: it is revoked.
            SecretUnreadable: its key isn't at hand, or it was damaged.
            Invalid: the purpose isn't one line.
            Unavailable: the use can't be recorded; nothing is handed out.
        """
        if not is_name(purpose):
            raise Invalid(reasons=(Reason("purpose", "invalid_name", "must be one line"),))
        found = self._store.use_credential(tenant_id, credential_id, self._now(), purpose)
        self._record(Use(tenant_id, credential_id, purpose))
        log.info("a credential was used", tenant=tenant_id, id=credential_id, purpose=purpose)
        return SecretStr(self._open(found))

    def keys_in_use(self) -> list[KeyInUse]:
        """Every master key that is at hand or needed, the one that seals first."""
        sealed, at_hand = self._store.sealed_by(), self._ring.ids
        return [
            KeyInUse(key_id, key_id in at_hand[:1], key_id in at_hand, sealed.get(key_id, 0))
            for key_id in (*at_hand, *sorted(sealed.keys() - set(at_hand)))
        ]

    def check(self) -> CheckReport:
        """Open every secret, hand out none."""
        checked, unreadable = 0, list[Unreadable]()
        for batch in self._batches():
            for one in batch:
                checked += 1
                try:
                    self._open(one)
                except SecretUnreadable as error:
                    item = one.credential
                    unreadable.append(Unreadable(item.tenant_id, item.id, one.envelope.key_id, error.detail))
        return CheckReport(checked, tuple(unreadable))

    def rotate(self) -> RotationReport:
        """Seal every secret anew by the first key, where another one has; a kill in between costs nothing.

        Raises:
            SecretUnreadable: a key that is needed isn't at hand, or a secret is damaged; what was done stays.
            NoEncryptionKey: there is no key to seal with.
        """
        self._refuse_missing()
        key_id = self._ring.sealing().id
        rotated = 0
        for some in self._batches(not_by=key_id):
            renewed = [(one, seal(self._open(one), one.credential.about, self._ring)) for one in some]
            rotated += self._store.reseal(renewed)
        left = sum(count for sealer, count in self._store.sealed_by().items() if sealer != key_id)
        log.info("secrets were sealed anew", by=key_id, rotated=rotated, left=left)
        return RotationReport(key_id, rotated, left)

    def _refuse_missing(self) -> None:
        """Better before the first secret than in the middle."""
        if missing := self._store.sealed_by().keys() - set(self._ring.ids):
            raise SecretUnreadable(missing_key(missing, self._ring.ids))

    def _open(self, one: SealedCredential) -> str:
        return unseal(one.envelope, one.credential.about, self._ring)

    def _batches(self, not_by: str | None = None) -> Iterator[list[SealedCredential]]:
        after = ""
        while some := list(self._store.sealed_page(after, BATCH, not_by)):
            yield some
            after = some[-1].credential.id
