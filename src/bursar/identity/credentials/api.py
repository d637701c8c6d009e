"""Credentials over HTTP, `/api/v1/credentials`, and the keys that seal them, `/api/v1/secrets`.

Secrets go in and never come out; the keys are the operator's. The rules are the vault's (`vault.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Path

from bursar import clock
from bursar.identity.api import Asked, shown
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import ListOut
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.credentials.bodies import (
    CredentialIn,
    CredentialOut,
    EncryptionKeyOut,
    EncryptionKeysOut,
    RotationOut,
    SecretIn,
    SecretsCheckOut,
)
from bursar.identity.credentials.credential import Author
from bursar.identity.credentials.vault import Vault
from bursar.identity.permissions import Permission
from bursar.identity.tenant import ID_PATTERN

log = structlog.get_logger()

IdInPath = Annotated[str, Path(pattern=ID_PATTERN)]
ONE = "/credentials/{credential_id}"


def make_router(
    vault: Vault,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1", tags=["identity"])
    _add_reads(router, vault, Depends(caller(Permission.SECRETS_READ)))
    _add_changes(router, vault, Depends(caller(Permission.SECRETS_WRITE)), now)
    _add_keys(router, vault, caller)
    return router


def _add_reads(router: APIRouter, vault: Vault, reader: CallerDependency) -> None:
    @router.get("/credentials")
    def list_credentials(asked: Asked, caller: Caller = reader) -> ListOut[CredentialOut]:
        """The tenant's credentials for providers in order of creation, masked, revoked ones included."""
        return shown(vault.store.credentials(caller.tenant_id, asked), CredentialOut.of)

    @router.get(ONE)
    def get_credential(credential_id: IdInPath, caller: Caller = reader) -> CredentialOut:
        """One credential of the tenant, masked."""
        return CredentialOut.of(vault.store.credential(caller.tenant_id, credential_id))


def _add_changes(
    router: APIRouter, vault: Vault, admin: CallerDependency, now: Callable[[], datetime]
) -> None:
    def tell(what: str, made: CredentialOut, caller: Caller) -> CredentialOut:
        log.info(what, tenant=made.tenant_id, by=caller.key_id, id=made.id, provider=made.provider)
        return made

    @router.post("/credentials", status_code=HTTPStatus.CREATED)
    def create_credential(body: CredentialIn, caller: Caller = admin) -> CredentialOut:
        """Entrust a secret for a provider. It is sealed, and no answer ever shows it."""
        author = Author(caller.key_id, now())
        made = vault.add(caller.tenant_for(body.tenant_id), body.asked(), author)
        return tell("a credential was made", CredentialOut.of(made), caller)

    @router.put(f"{ONE}/secret")
    def replace_credential_secret(
        credential_id: IdInPath, body: SecretIn, caller: Caller = admin
    ) -> CredentialOut:
        """Replace a credential's secret; the one before is overwritten."""
        author = Author(caller.key_id, now())
        note_masked(vault, caller.tenant_id, credential_id)
        made = vault.replace(caller.tenant_id, credential_id, body.secret, author)
        return tell("a credential was replaced", CredentialOut.of(made), caller)

    @router.delete(ONE)
    def revoke_credential(credential_id: IdInPath, caller: Caller = admin) -> CredentialOut:
        """Revoke a credential: its secret is destroyed, what is known of it stays. Twice is harmless."""
        note_masked(vault, caller.tenant_id, credential_id)
        made = vault.revoke(caller.tenant_id, credential_id, Author(caller.key_id, now()))
        return tell("a credential was revoked", CredentialOut.of(made), caller)


def note_masked(vault: Vault, tenant_id: str, credential_id: str) -> None:
    """Tell the audit log what is about to change, masked.

    Raises:
        NotFound: the tenant has no such credential.
    """
    note_before(CredentialOut.of(vault.store.credential(tenant_id, credential_id)).model_dump(mode="json"))


def _add_keys(router: APIRouter, vault: Vault, caller: Callable[[Permission], Callable[..., Any]]) -> None:
    reader = Depends(caller(Permission.SYSTEM_READ))
    operator = Depends(caller(Permission.SYSTEM_WRITE))

    @router.get("/secrets/keys", dependencies=[reader])
    def list_encryption_keys() -> EncryptionKeysOut:
        """The encryption keys by their ids, and how many secrets each of them seals. Operator only."""
        return EncryptionKeysOut(items=[EncryptionKeyOut.of(key) for key in vault.keys_in_use()])

    @router.post("/secrets/check", dependencies=[operator])
    def check_secrets() -> SecretsCheckOut:
        """Open every secret of all tenants, hand out none, and list those that don't open. Operator only."""
        return SecretsCheckOut.of(vault.check())

    @router.post("/secrets/rotate", dependencies=[operator])
    def rotate_secrets() -> RotationOut:
        """Seal every secret anew by the first encryption key, where another one has. Operator only."""
        return RotationOut.of(vault.rotate())
