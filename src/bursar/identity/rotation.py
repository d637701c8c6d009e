"""The rules of replacing a key by another with the same terms, while both count for a while.

Pure, as `keys.py`, whose words these are; the store does both halves in one transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from bursar.errors import Conflict, Reason
from bursar.identity.keys import ApiKey, KeyState, key_state, refuse_grant

if TYPE_CHECKING:
    from bursar.identity.caller import Caller
    from bursar.identity.keys import KeyTerms

OVERLAP = timedelta(days=1)
"""For so long the old key still counts, unless somebody says otherwise."""
OVERLAP_LIMIT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What becomes of a key: until when it counts at most, and the terms of the one after it."""

    key_id: str
    ends_at: datetime
    terms: KeyTerms


@dataclass(frozen=True, slots=True)
class RotationAsk:
    """What is asked for."""

    overlap: timedelta = OVERLAP
    expires_at: datetime | None = None
    """Of the new key; None: it lives as long as the old one was to."""


def successor_id(key_id: str, retry_key: str) -> str:
    """The id of the key that a rotation under this `Idempotency-Key` makes: the same for each retry."""
    digest = hashlib.blake2b(f"{key_id}\n{retry_key}".encode(), digest_size=12)
    return f"key_{digest.hexdigest()}"


def refuse_repeated(made: ApiKey) -> NoReturn:
    """A retry of a rotation that was done; nobody has the new secret but who got the first answer.

    Raises:
        Conflict: always (reason `already_rotated`); it names the key.
    """
    message = (
        f"This rotation was done already: it made {made.id}, whose secret was shown then. If that answer was"
        " lost, revoke that key and rotate again with another Idempotency-Key."
    )
    raise Conflict(message, reasons=(Reason("Idempotency-Key", "already_rotated", message),))


def rotation_of(key: ApiKey, ask: RotationAsk, creator: Caller, now: datetime) -> Rotation:
    """What a rotation of this key is to do.

    Raises:
        Conflict: the key doesn't count any more, or a setting names it.
        Forbidden, MissingScope: the creator may not make such a key.
        Invalid: an expiry that is no use.
    """
    state = key_state(key, now)
    if state is not KeyState.USABLE:
        message = f"The key is {state}; make another one instead."
        raise Conflict(message, reasons=(Reason("key_id", f"key_{state}", message),))
    setting = key.terms.from_setting
    if setting is not None:
        message = f"The key is the value of {setting}; set that to another key instead."
        raise Conflict(message, reasons=(Reason("key_id", "key_of_setting", message),))
    old_expiry = key.terms.expires_at
    lifetime = None if old_expiry is None else old_expiry - key.created_at
    expires_at = ask.expires_at or (None if lifetime is None else now + lifetime)
    terms = replace(key.terms, expires_at=expires_at)
    refuse_grant(creator, terms, now)
    ends_at = now + ask.overlap
    return Rotation(key.id, ends_at if old_expiry is None else min(ends_at, old_expiry), terms)
