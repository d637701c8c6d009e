"""A credential for a provider: what is shown of it, and the rules for its names and its secret.

The secret itself is in none of these values: it goes in by `vault.py`, and out by `reveal` there alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason
from bursar.identity.tenant import NAME_LIMIT, is_name

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.credentials.envelope import Envelope

PROVIDER_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
SECRET_LIMIT = 16_384
"""Characters; a service account's key file has 2,500."""
HINT_LENGTH = 4
SHORTEST_HINTED = 16
"""Of a shorter secret four characters would be too much."""
MASK = "********"
_PROVIDER = re.compile(PROVIDER_PATTERN)


class CredentialState(StrEnum):
    """Whether a credential may be used."""

    USABLE = "usable"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Author:
    """Who did something, and when."""

    by: str
    """Of a key, or of a person who has logged in."""
    at: datetime


@dataclass(frozen=True, slots=True)
class ProviderCredential:
    """A credential as it is shown: whose and what for, who did what to it and when."""

    id: str
    tenant_id: str
    provider: str
    name: str
    hint: str
    """The secret's last four characters, empty where it is too short to tell any."""
    key_id: str | None
    """Of the master key that seals it; None once it is revoked."""
    created: Author
    replaced: Author | None = None
    revoked: Author | None = None
    last_used_at: datetime | None = None
    last_used_for: str | None = None

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return self.created.at

    @property
    def state(self) -> CredentialState:
        """Whether it may be used."""
        return CredentialState.USABLE if self.revoked is None else CredentialState.REVOKED

    @property
    def masked(self) -> str:
        """The secret as it is shown."""
        return MASK + self.hint

    @property
    def about(self) -> tuple[str, ...]:
        """What its envelope is bound to."""
        return ("credential", self.tenant_id, self.id, self.provider, self.name)


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A credential that isn't revoked, with its envelope."""

    credential: ProviderCredential
    envelope: Envelope


def hint_of(secret: str) -> str:
    """What may be shown of a secret, to recognise it by."""
    return secret[-HINT_LENGTH:] if len(secret) >= SHORTEST_HINTED else ""


def refuse_unfit(provider: str, name: str, secret: str) -> None:
    """Refuse names or a secret that can't be kept.

    Raises:
        Invalid: with every reason.
    """
    reasons: list[Reason] = []
    if not _PROVIDER.fullmatch(provider):
        message = "must be lower-case letters, digits or ._- , at most 64, such as 'openai'"
        reasons.append(Reason("provider", "invalid_provider", message))
    if not is_name(name):
        reasons.append(Reason("name", "invalid_name", f"must be one line of 1 to {NAME_LIMIT} characters"))
    reasons.extend(_about_secret(secret))
    if reasons:
        raise Invalid(reasons=tuple(reasons))


def refuse_unfit_secret(secret: str) -> None:
    """Refuse a secret that can't be kept.

    Raises:
        Invalid: with the reason, which doesn't repeat it.
    """
    if reasons := _about_secret(secret):
        raise Invalid(reasons=reasons)


def _about_secret(secret: str) -> tuple[Reason, ...]:
    if secret.strip() and len(secret) <= SECRET_LIMIT and not _has_surrogate(secret):
        return ()
    return (Reason("secret", "invalid_secret", f"must be text of 1 to {SECRET_LIMIT} characters"),)


def _has_surrogate(text: str) -> bool:
    """Whether it has half a character, which JSON can spell and no encoding can carry."""
    return re.search(r"[\ud800-\udfff]", text) is not None
