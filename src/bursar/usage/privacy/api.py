"""`/api/v1/privacy`: what a tenant wants taken out of its events, what that did, and a way to try it.

The tenant is the caller's; an operator may name another. New rules count for what comes in from then on,
never for what is kept already. No answer holds what was taken out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Depends

from bursar import clock
from bursar.errors import Invalid
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller
from bursar.identity.credentials.credential import Author
from bursar.identity.permissions import Permission
from bursar.usage.bodies import Refused, translate_item
from bursar.usage.event import UsageEvent
from bursar.usage.privacy.bodies import PrivacyIn, PrivacyOut, PrivacyTestIn, PrivacyTestOut
from bursar.usage.privacy.cleaner import Cleaner
from bursar.usage.privacy.register import PrivacyRegister
from bursar.usage.privacy.rules import DEFAULT_RULES
from bursar.usage.record import encode_event
from bursar.usage.redact import redact_text


def make_router(
    register: PrivacyRegister,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/privacy", tags=["privacy"])
    reader, writer = Depends(caller(Permission.TENANT_READ)), Depends(caller(Permission.TENANT_WRITE))

    @router.get("")
    def get_privacy(caller: Caller = reader) -> PrivacyOut:
        """What is taken out of the tenant's events before they are kept, and how often that was done."""
        return _shown(register, caller.tenant_id)

    @router.put("")
    def put_privacy(body: PrivacyIn, caller: Caller = writer) -> PrivacyOut:
        """Choose what is taken out; it counts at once here, within 5 seconds in other processes.

        The body replaces all rules before: `{}` is the default. What is kept already stays as it is.
        """
        rules = body.rules()
        before = register.chosen_by(caller.tenant_id)
        note_before(msgspec.to_builtins(before.rules if before else DEFAULT_RULES, order="sorted"))
        register.choose(caller.tenant_id, rules, Author(caller.key_id, now()))
        return _shown(register, caller.tenant_id)

    @router.post("/test")
    def test_privacy(body: PrivacyTestIn, caller: Caller = reader) -> PrivacyTestOut:
        """Show what would be kept of a text or an event. Nothing is stored or counted."""
        cleaner = register.of(caller.tenant_id)
        if body.rules is not None:
            cleaner = Cleaner(body.rules.rules(), cleaner.hasher)
        counts = Counter[str]()
        text = None if body.text is None else cleaner.clean_text(body.text, counts)
        event = None if body.event is None else _cleaned(body.event, cleaner, counts)
        return PrivacyTestOut(text=text, event=event, redactions=dict(counts))

    return router


def _shown(register: PrivacyRegister, tenant_id: str) -> PrivacyOut:
    has_key = register.of(tenant_id).hasher is not None
    chosen = register.chosen_by(tenant_id)
    return PrivacyOut.of(tenant_id, chosen, register.redactions(tenant_id), makes_hashes=has_key)


def _cleaned(body: dict[str, Any], cleaner: Cleaner, counts: Counter[str]) -> dict[str, Any]:
    """What would be kept of an event.

    Raises:
        Invalid: it is no event.
    """
    item = translate_item(body, None)
    if isinstance(item, Refused):
        raise Invalid("The event was refused.", reasons=item.reasons)
    event: UsageEvent = item
    if event.message is not None:
        event.message = redact_text(event.message)
    cleaned = cleaner.clean(event)
    counts.update(cleaned.counts if cleaned else {})
    return msgspec.json.decode(encode_event(event), type=dict[str, Any])
