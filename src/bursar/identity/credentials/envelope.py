"""Envelopes: a secret under a data key of its own, which is itself under a master key (AES-256-GCM twice).

Both layers are bound to what the secret is about and to the master key's id: an envelope that is moved to
another tenant, name or key opens no more than one that was damaged. A data key seals one text, so nothing
is ever sealed twice under one key and nonce.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bursar.errors import SecretUnreadable
from bursar.identity.credentials.master_keys import KEY_BYTES, KeyRing

NONCE_BYTES = 12
"""What NIST SP 800-38D recommends for GCM."""
BLOCK_BYTES = 256
"""Sealed texts are multiples of this long, so that their length tells little."""
_FORM = "bursar-secret-1"
_KEY_LAYER, _TEXT_LAYER = "key", "text"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed secret, as it is kept; alone it tells nothing but the id of its master key."""

    key_id: str
    wrapped_key: str = field(repr=False)
    """The data key under the master key, in base64."""
    sealed: str = field(repr=False)
    """The secret under the data key, in base64."""


def seal(secret: str, about: tuple[str, ...], ring: KeyRing) -> Envelope:
    """The secret under a fresh data key; `about` says what it belongs to, and must be said again to open it.

    Raises:
        NoEncryptionKey: there is no key to seal with.
    """
    master = ring.sealing()
    data_key = os.urandom(KEY_BYTES)
    plain = msgspec.json.encode(secret)
    plain = plain.ljust(-(-len(plain) // BLOCK_BYTES) * BLOCK_BYTES)
    return Envelope(
        key_id=master.id,
        wrapped_key=_encrypt(master.content, data_key, _bound(_KEY_LAYER, master.id, about)),
        sealed=_encrypt(data_key, plain, _bound(_TEXT_LAYER, master.id, about)),
    )


def unseal(envelope: Envelope, about: tuple[str, ...], ring: KeyRing) -> str:
    """The secret in an envelope.

    Raises:
        SecretUnreadable: its master key isn't at hand, or it was damaged, or belongs to something else.
    """
    master = ring.key(envelope.key_id)
    try:
        key = _decrypt(master.content, envelope.wrapped_key, _bound(_KEY_LAYER, master.id, about))
        plain = _decrypt(key, envelope.sealed, _bound(_TEXT_LAYER, master.id, about))
    except (InvalidTag, ValueError):
        message = (
            f"A secret that the encryption key {master.id} has sealed doesn't open: it was damaged, or moved"
            " here from somewhere else. Replace the credential, or restore it from a backup."
        )
        # Not chained: no traceback is to show what was at hand.
        raise SecretUnreadable(message) from None
    return msgspec.json.decode(plain, type=str)


def _encrypt(key: bytes, plain: bytes, bound: bytes) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, bound)).decode()


def _decrypt(key: bytes, sealed: str, bound: bytes) -> bytes:
    content = base64.b64decode(sealed, validate=True)
    return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], bound)


def _bound(layer: str, key_id: str, about: tuple[str, ...]) -> bytes:
    """The associated data: as JSON, so that no two lists of names come to the same bytes."""
    return msgspec.json.encode([_FORM, layer, key_id, *about])
