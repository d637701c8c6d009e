"""What the doors need of privacy: each tenant's cleaner, and fingerprints that outlive a change of rules.

A fingerprint is made of the event as the caller sent it, so that a retry is a duplicate whatever the rules
have become. Where something guessable was taken out, a hash of the whole would let anybody try numbers until
one fits: there it is made with the tenant's key, and a delivery from before the rule and one from after it
differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bursar.usage.privacy.cleaner import DEFAULT_CLEANER
from bursar.usage.record import encode_event, fingerprint
from bursar.usage.respelling import respelled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.event import UsageEvent
    from bursar.usage.privacy.cleaner import Cleaner


class Privacy(Protocol):
    """Where the doors learn what each tenant wants taken out."""

    def of(self, tenant_id: str) -> Cleaner:
        """What carries a tenant's rules out; cheap."""
        ...

    def note(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Count what rules did to events that are durable, by tenant and rule."""
        ...


class DefaultPrivacy:
    """Where no tenant has rules of its own."""

    def of(self, tenant_id: str) -> Cleaner:
        """The default for all."""
        del tenant_id
        return DEFAULT_CLEANER

    def note(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Nobody asks."""


# Made for many events: frozen would set each field at ten times the cost.
@dataclass(slots=True)
class Kept:
    """What is kept of an event, and what tells a retry of it."""

    content: bytes
    """The caller's part, as `encode_event` writes it."""
    fingerprint: int
    spelled_fingerprint: int | None = None
    """Of the caller's own spelling of numbers, where that is another."""
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """How often each rule took something out."""


def take_out(cleaner: Cleaner, event: UsageEvent, content: bytes, said: int | None) -> Kept:
    """Take out of an event what its tenant's rules say.

    Args:
        cleaner: the tenant's.
        event: checked, measured and priced; changed in place.
        content: the event as `encode_event` wrote it.
        said: when it happened, microseconds since 1970, where the caller said so.
    """
    plain = respelled(event, content)
    kept = Kept(content, fingerprint(plain, said))
    if plain != content:
        kept.spelled_fingerprint = fingerprint(content, said)
    cleaned = cleaner.clean(event)
    if cleaned is None:
        return kept
    kept.content, kept.counts = encode_event(event), cleaned.counts
    if cleaned.is_guessable:
        kept.spelled_fingerprint = None
        if cleaner.hasher is not None:
            kept.fingerprint = cleaner.hasher.fingerprint(plain, said)
        else:
            kept.fingerprint = fingerprint(respelled(event, kept.content), said)
    return kept
