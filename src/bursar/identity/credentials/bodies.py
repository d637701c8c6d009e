"""What clients send to and get from `identity/credentials/api.py`. No answer has a field for a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from bursar.identity.bodies import ChosenId, Name, Strict
from bursar.identity.credentials.credential import (
    PROVIDER_PATTERN,
    SECRET_LIMIT,
    CredentialState,
    ProviderCredential,
)
from bursar.identity.credentials.vault import CheckReport, KeyInUse, NewCredential, RotationReport

_Secret = Annotated[
    SecretStr,
    Field(max_length=SECRET_LIMIT, description="Goes in and never comes out again by this API."),
]


class CredentialIn(Strict):
    """A credential to keep."""

    provider: Annotated[str, Field(pattern=PROVIDER_PATTERN, examples=["openai"])]
    name: Name
    secret: _Secret
    tenant_id: ChosenId | None = Field(
        default=None, description="The credential's own; an operator may name any."
    )

    def asked(self) -> NewCredential:
        """What is to be kept."""
        return NewCredential(self.provider, self.name, self.secret)


class SecretIn(Strict):
    """The secret that replaces another one."""

    secret: _Secret


class CredentialOut(BaseModel):
    """A credential, without its secret."""

    id: str
    tenant_id: str
    provider: str
    name: str
    masked: str = Field(description="Stars, and the secret's last 4 characters where it has 16 or more.")
    state: CredentialState
    key_id: str | None = Field(description="Of the encryption key that seals it; null once it is revoked.")
    created_at: datetime
    created_by: str = Field(description="The API key or user who entrusted it.")
    replaced_at: datetime | None
    replaced_by: str | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None
    last_used_for: str | None = Field(description="The purpose of the latest use.")

    @classmethod
    def of(cls, one: ProviderCredential) -> CredentialOut:
        """The credential as it is shown."""
        return cls(
            id=one.id,
            tenant_id=one.tenant_id,
            provider=one.provider,
            name=one.name,
            masked=one.masked,
            state=one.state,
            key_id=one.key_id,
            created_at=one.created.at,
            created_by=one.created.by,
            replaced_at=one.replaced and one.replaced.at,
            replaced_by=one.replaced and one.replaced.by,
            revoked_at=one.revoked and one.revoked.at,
            revoked_by=one.revoked and one.revoked.by,
            last_used_at=one.last_used_at,
            last_used_for=one.last_used_for,
        )


class EncryptionKeyOut(BaseModel):
    """An encryption key by its id, and how much it seals."""

    key_id: str
    seals_new: bool = Field(description="It seals what is new; a rotation makes it seal everything.")
    is_at_hand: bool = Field(description="Without it, what it seals can't be opened.")
    secrets: int = Field(description="Secrets that it seals; a key that seals none can be dropped.")

    @classmethod
    def of(cls, key: KeyInUse) -> EncryptionKeyOut:
        """The key as it is shown."""
        return cls(key_id=key.key_id, seals_new=key.seals_new, is_at_hand=key.is_at_hand, secrets=key.secrets)


class EncryptionKeysOut(BaseModel):
    """Every encryption key that is at hand or needed."""

    items: list[EncryptionKeyOut]
    next_cursor: None = Field(default=None, description="Always null: there is one page.")


class UnreadableOut(BaseModel):
    """A secret that doesn't open, and why."""

    tenant_id: str
    credential_id: str
    key_id: str
    detail: str


class SecretsCheckOut(BaseModel):
    """What opening every secret has shown."""

    checked: int
    unreadable: list[UnreadableOut]

    @classmethod
    def of(cls, report: CheckReport) -> SecretsCheckOut:
        """The report as it is shown."""
        unreadable = [
            UnreadableOut(
                tenant_id=one.tenant_id,
                credential_id=one.credential_id,
                key_id=one.key_id,
                detail=one.detail,
            )
            for one in report.unreadable
        ]
        return cls(checked=report.checked, unreadable=unreadable)


class RotationOut(BaseModel):
    """What a rotation did."""

    key_id: str = Field(description="Of the encryption key that seals everything now.")
    rotated: int
    left: int = Field(description="Sealed by other keys still, because they were changed meanwhile.")

    @classmethod
    def of(cls, report: RotationReport) -> RotationOut:
        """The report as it is shown."""
        return cls(key_id=report.key_id, rotated=report.rotated, left=report.left)
