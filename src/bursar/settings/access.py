"""Who gets in, and which secrets that rests on: configured keys, people's logins, encryption at rest.

How often somebody may ask is `rates.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from bursar.settings.networks import is_loopback
from bursar.settings.secret_values import KEY_FORM, SEALING_FORM, SECRET_FORM, Key, SealingKeys, Secret
from bursar.settings.spelling import Group, Spelling, UserPath, clash, lower

if TYPE_CHECKING:
    from bursar.errors import Reason

SHORTEST_PRODUCTION_KEY = 16
"""A configured key shorter than this can be guessed; generated keys carry 256 random bits."""


class Access(Group):
    """Keys, logins and secrets."""

    environment: Annotated[Literal["development", "production"], BeforeValidator(lower)] = "development"
    """`production` refuses what is only convenient on a developer's machine."""
    admin_key: Annotated[Key | None, Spelling(KEY_FORM)] = None
    """The operator's key, valid while it is set. While there is none, one is made and printed once."""
    api_key: Annotated[Key | None, Spelling(KEY_FORM, ("API_KEY",))] = None
    """An admin key of the tenant `default`, valid for as long as it is set."""
    ingest_key: Annotated[Key | None, Spelling(KEY_FORM, ("INGEST_KEY",))] = None
    """An ingest-only key of the tenant `default`, valid for as long as it is set."""
    encryption_key: Annotated[SealingKeys | None, Spelling(SEALING_FORM, ("ENCRYPTION_KEY",))] = None
    """Seals the secrets that tenants entrust. Of several keys the first one seals, all of them open."""
    encryption_key_file: Annotated[UserPath | None, Spelling("a file", ("ENCRYPTION_KEY_FILE",))] = None
    """File with encryption keys, one a line, behind those of `BURSAR_ENCRYPTION_KEY`. Without any key the
    first secret makes one, `encryption.key` in the data folder; not in production nor with PostgreSQL."""
    secret_key: Annotated[Secret | None, Spelling(SECRET_FORM, ("SECRET_KEY",))] = None
    """Signs people's logins. Without it the data folder keeps one; servers on one database need the same."""
    secret_key_previous: Annotated[Secret | None, Spelling(SECRET_FORM, ("SECRET_KEY_PREVIOUS",))] = None
    """The one before, whose signatures still count while it is set: change both, and unset this one later."""
    jwt_expire_minutes: Annotated[int, Spelling(aliases=("JWT_EXPIRE_MINUTES",))] = Field(
        default=15, ge=1, le=1440
    )
    """Minutes for which an access token counts before its refresh token must bring the next."""
    session_days: int = Field(default=30, ge=1, le=365)
    """Days after a login when somebody must log in again."""
    anonymous_loopback: bool = False
    """Lets callers on this very machine in without a key, as the tenant `default`. Refused in production."""


def unsafe_access(settings: Access, host: str) -> list[Reason]:
    """What would let somebody in who shouldn't get in.

    Args:
        settings: what was chosen.
        host: the address that the server listens on.
    """
    reasons: list[Reason] = []
    in_production = settings.environment == "production"
    if settings.anonymous_loopback and in_production:
        reasons.append(clash("anonymous_loopback", "is refused with BURSAR_ENVIRONMENT=production"))
    if settings.anonymous_loopback and not is_loopback(host):
        reasons.append(clash("anonymous_loopback", f"true needs a loopback BURSAR_HOST, not {host}"))
    for field in ("admin_key", "api_key", "ingest_key"):
        key = getattr(settings, field)
        if key and in_production and len(key.get_secret_value()) < SHORTEST_PRODUCTION_KEY:
            reasons.append(clash(field, f"needs {SHORTEST_PRODUCTION_KEY} characters or more in production"))
    if settings.ingest_key and settings.ingest_key in {settings.admin_key, settings.api_key}:
        reasons.append(clash("ingest_key", "must differ from the admin keys, or it would be one"))
    if settings.secret_key and settings.secret_key == settings.secret_key_previous:
        reasons.append(clash("secret_key_previous", "must be the one before BURSAR_SECRET_KEY, not the same"))
    return reasons
