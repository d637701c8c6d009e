"""What an event is bound to: the tracking token that it names, and the project of the caller's key.

A token becomes the id that the event keeps, an absent project the only one that the key is for, or there is
a reason against it, as there is where the project is suspended. Which tokens there are is `identity/tokens/`'
business, which projects are suspended that of `identity/suspended_projects.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from bursar.errors import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.caller import Caller
    from bursar.identity.tokens.store import KnownToken
    from bursar.usage.checks import Receipt
    from bursar.usage.event import UsageEvent


class NamedToken(NamedTuple):
    """A token that an event named."""

    tenant_id: str
    id: str
    token: str
    """Its characters."""


class TrackingTokens(Protocol):
    """Where the doors learn which tokens there are."""

    def find(self, tenant_id: str, token: str) -> KnownToken | None:
        """The tenant's token with these characters; None where it has none. Cheap."""
        ...

    def note_use(self, tenant_id: str, token_id: str, count: int, at: datetime) -> None:
        """Count events that named a token and are durable."""
        ...


class NoTokens:
    """Where there are none."""

    def find(self, tenant_id: str, token: str) -> KnownToken | None:
        """None."""

    def note_use(self, tenant_id: str, token_id: str, count: int, at: datetime) -> None:
        """Nothing was named, so nothing is counted."""


def tenant_of_token(event: UsageEvent, caller: Caller) -> str:
    """The tenant whose tokens an event may name: the caller's own, whatever else it says of itself."""
    # Only an operator's event is anybody else's.
    return event.tenant_id if event.tenant_id is not None and caller.is_operator else caller.tenant_id


def name_token(event: UsageEvent, caller: Caller, tokens: TrackingTokens) -> Reason | None:
    """Put the id of the token that the event names into the event, in the token's place.

    Answers why that can't be, and leaves the event as it was.
    """
    found = tokens.find(tenant_of_token(event, caller), event.tracking_token or "")
    if found is None:
        text = "There is no tracking token with these characters; `bursar tokens create` makes one."
        return Reason("tracking_token", "unknown_tracking_token", text)
    if not found.is_active:
        text = f"The tracking token {found.id} is not active; `bursar tokens activate` lets it count again."
        return Reason("tracking_token", "inactive_tracking_token", text)
    if event.tracking_token_id not in {None, found.id}:
        text = f"tracking_token is the token {found.id}, but tracking_token_id says another one."
        return Reason("tracking_token_id", "contradiction", text)
    event.tracking_token, event.tracking_token_id = None, found.id
    return None


def check_project(event: UsageEvent, receipt: Receipt) -> Reason | None:
    """Why usage of the event's project isn't taken; None where it is."""
    named = event.project_id
    if named is None or named not in receipt.suspended_in(tenant_of_token(event, receipt.caller)):
        return None
    text = f"The project '{named}' is suspended and takes no usage."
    return Reason("project_id", "project_suspended", text)


def name_project(event: UsageEvent, projects: frozenset[str]) -> Reason | None:
    """Put the only project that the caller may ingest in into an event that names none.

    Answers why the event can't be, and leaves it as it was: its project is none of the caller's, or it names
    none and the caller has several.
    """
    named = event.project_id
    if named in projects:
        return None
    shown = ", ".join(sorted(projects))
    if named is not None:
        text = f"The credential may send usage of these projects only: {shown}."
        return Reason("project_id", "project_mismatch", text)
    if len(projects) > 1:
        return Reason("project_id", "required_field", f"project_id must be one of: {shown}.")
    (event.project_id,) = projects
    return None
