"""Access tokens: signed notes that name a session, valid for minutes (JWT, HS256, RFC 7519).

The signature says that we have made it, and the time until when it counts; everything else about who presents
it is looked up (`people.py`), so that a token carries nothing that could be out of date. Signed with one
algorithm and read with the same one, whatever a token's header says. A key is recognised by its id, so that
`SECRET_KEY` can be changed with the previous one still being read.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt

from bursar import clock
from bursar.errors import BadToken, ExpiredToken

if TYPE_CHECKING:
    from datetime import datetime

ALGORITHM = "HS256"
ISSUER = "bursar"
_PURPOSE = b"bursar access token v1"
"""Other things may be signed with the same secret; nothing signed for one purpose counts for another."""
# The times are compared with the moment that the caller means, not with PyJWT's clock.
_OPTIONS: Any = {
    "require": ["iss", "sub", "sid", "iat", "exp"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}
# Partly typed for libraries that may be absent.
_jwt: Any = jwt
_MICROS = 1_000_000
_JWT_START = "eyJ"
"""How `{"` begins in base64: every token in compact form starts like this, and no key that we make."""


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a token says: whose session it is of, and until when it counts."""

    user_id: str
    session_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The key that signs, and those that are still read."""

    current: bytes = field(repr=False)
    previous: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, secret: str, *previous: str) -> SigningKeys:
        """The keys of these secrets."""
        return cls(_derived(secret), tuple(map(_derived, previous)))

    def of_id(self, key_id: object) -> bytes | None:
        """The key of this id, if it still counts."""
        return next((key for key in (self.current, *self.previous) if _id_of(key) == key_id), None)


def is_token(presented: str) -> bool:
    """Whether this has the form of an access token, not of an API key."""
    return presented.startswith(_JWT_START) and presented.count(".") == 2  # noqa: PLR2004 - three parts


def sign(keys: SigningKeys, claims: AccessClaims, now: datetime) -> str:
    """The claims as a token."""
    content = {
        "iss": ISSUER,
        "sub": claims.user_id,
        "sid": claims.session_id,
        "iat": clock.to_micros(now) // _MICROS,
        "exp": clock.to_micros(claims.expires_at) // _MICROS,
    }
    return str(_jwt.encode(content, keys.current, ALGORITHM, headers={"kid": _id_of(keys.current)}))


def read(keys: SigningKeys, token: str, now: datetime) -> AccessClaims:
    """What a token says, if we have signed it and it still counts.

    Raises:
        BadToken: it isn't one of ours, or was changed, or signed in another way or with a key of long ago.
        ExpiredToken: its time is over.
    """
    try:
        key = keys.of_id(jwt.get_unverified_header(token).get("kid"))
        # A token of an unknown key is read with ours, so that it fails by its signature.
        content = _jwt.decode(
            token, key or keys.current, algorithms=[ALGORITHM], issuer=ISSUER, options=_OPTIONS
        )
        expires_at = clock.from_micros(int(content["exp"]) * _MICROS)
        claims = AccessClaims(str(content["sub"]), str(content["sid"]), expires_at)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise BadToken from error
    if now >= claims.expires_at:
        raise ExpiredToken
    return claims


def _derived(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE, "sha256")


def _id_of(key: bytes) -> str:
    """A name for the key that gives nothing of it away."""
    return hashlib.sha256(b"id" + key).hexdigest()[:8]
