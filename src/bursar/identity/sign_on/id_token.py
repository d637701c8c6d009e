"""The ID token: what the provider signed about somebody, checked as OpenID Connect Core 3.1.3.7 asks.

The algorithm is one of a list that has public keys only, whatever the token's header says: `none`, and
HS256 with a public key as its secret, are not in it. Which keys the provider has is found in `provider.py`;
what the claims mean for us is in `person.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from bursar import clock
from bursar.errors import SignOnFailed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
LEEWAY_SECONDS = 60
"""By how much the provider's clock may differ from ours."""
SHORTEST_RSA_BITS = 2048
"""RFC 7518, 3.3."""
_TYPES = {None, "JWT", "jwt"}
"""What else a provider signs (access tokens, logout tokens) says so."""
_KEYS: dict[str, type[RSAKey | ECKey]] = {"RSA": RSAKey, "EC": ECKey}

Claims = dict[str, Any]


class UnknownSigner(Exception):
    """The token names a key that isn't among those at hand; the provider may have a new one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say."""

    issuer: str
    client_id: str
    nonce: str
    not_before: int
    """Seconds since 1970 at which the login began: no token for it is older."""
    access_token: str | None = None
    """What came with it."""


def read_keys(entries: Iterable[object]) -> KeySet:
    """The keys of a provider that may have signed; what else it publishes is left out."""
    found: list[Key] = [key for entry in entries if (key := _read_key(entry)) is not None]
    return KeySet(found)


def read_id_token(token: str, keys: KeySet, expected: Expected, now: datetime) -> Claims:
    """The claims of a token that counts.

    Raises:
        UnknownSigner: none of the keys is the one that it names.
        SignOnFailed: it doesn't count; which rule it breaks is said.
    """
    registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    seconds = clock.to_micros(now) // 1_000_000
    try:
        read = jwt.decode(token, keys, registry=registry)
        claims: Any = CodeIDToken(read.claims, read.header, _rules_of(expected), _beside(expected))
        claims.validate(now=seconds, leeway=LEEWAY_SECONDS)
    except InvalidKeyIdError as error:
        raise UnknownSigner from error
    except (JoseError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise _refused(str(error) or type(error).__name__) from error
    if read.header.get("typ") not in _TYPES:
        raise _refused("it is a token of another kind")
    if read.claims["iat"] < expected.not_before - LEEWAY_SECONDS:
        raise _refused("it is older than this login")
    return dict(cast("Claims", claims))


def _rules_of(expected: Expected) -> dict[str, Any]:
    return {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
        "nonce": {"essential": True, "value": expected.nonce},
    }


def _beside(expected: Expected) -> dict[str, Any]:
    """What authlib compares by itself: `nonce`, `azp`, `at_hash`."""
    return {
        "client_id": expected.client_id,
        "nonce": expected.nonce,
        "access_token": expected.access_token,
    }


def _read_key(entry: object) -> RSAKey | ECKey | None:
    fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    kind = _KEYS.get(str(fields.get("kty")))
    if kind is None or fields.get("use", "sig") != "sig" or "d" in fields:
        return None
    try:
        if kind is RSAKey and len(str(fields.get("n"))) * 6 < SHORTEST_RSA_BITS:
            return None
        return kind.import_key(fields)
    except (JoseError, ValueError, TypeError, KeyError):
        # One key that can't be read doesn't make the others unusable.
        return None


def _refused(why: str) -> SignOnFailed:
    return SignOnFailed(f"The provider's ID token doesn't count: {why}.")
