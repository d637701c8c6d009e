"""The store of credentials as questions and changes; `storage/relational` implements it.

What gets here is sealed. Each method is one transaction. What names a tenant sees that tenant's only; what
names none is for the operator, who rotates keys and never sees a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bursar.identity.credentials.credential import Author, ProviderCredential, SealedCredential
    from bursar.identity.credentials.envelope import Envelope
    from bursar.identity.page import Page, PageAsk


class CredentialStore(Protocol):
    """Keeps sealed credentials."""

    def add_credential(self, credential: ProviderCredential, envelope: Envelope) -> None:
        """Keep a new credential.

        Raises:
            Conflict: the tenant has a usable one of this provider and name (reason `credential_exists`).
            NotFound: there is no such tenant.
        """
        ...

    def credential(self, tenant_id: str, credential_id: str) -> ProviderCredential:
        """The tenant's credential of this id.

        Raises:
            NotFound: it has none.
        """
        ...

    def credentials(self, tenant_id: str, ask: PageAsk) -> Page[ProviderCredential]:
        """The tenant's credentials in order of creation, revoked ones included."""
        ...

    def replace_secret(
        self, tenant_id: str, credential_id: str, envelope: Envelope, hint: str, author: Author
    ) -> ProviderCredential:
        """Keep another secret; the one before is gone.

        Raises:
            NotFound: the tenant has no such credential.
            Conflict: it is revoked (reason `credential_revoked`).
        """
        ...

    def revoke_credential(self, tenant_id: str, credential_id: str, author: Author) -> ProviderCredential:
        """Destroy the secret and answer the credential as it is then; twice is harmless.

        Raises:
            NotFound: the tenant has no such credential.
        """
        ...

    def use_credential(
        self, tenant_id: str, credential_id: str, at: datetime, purpose: str
    ) -> SealedCredential:
        """Note a use, and answer what is used.

        Raises:
            NotFound: the tenant has no such credential.
            Conflict: it is revoked (reason `credential_revoked`).
        """
        ...

    def sealed_by(self) -> Mapping[str, int]:
        """How many secrets each master key seals, of all tenants, by the key's id."""
        ...

    def sealed_page(self, after: str, limit: int, not_by: str | None = None) -> Sequence[SealedCredential]:
        """Sealed secrets of all tenants in order of their ids, beyond `after`; none that `not_by` seals."""
        ...

    def reseal(self, renewed: Sequence[tuple[SealedCredential, Envelope]]) -> int:
        """Put secrets into other envelopes, all or nothing; answers how many.

        One that was replaced or revoked meanwhile is left as it is.
        """
        ...
