"""What one entry of the audit log tells: who did what to which thing, from where, and what came of it.

A deed knows nothing of its place in a chain; that is `entry.py`. Values that come from requests are made
fit to be kept by `showing.py` first.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from bursar.identity.caller import Caller

USER_PREFIX = "usr_"
"""How the ids of people begin; their callers carry them where others carry a key's."""
SYSTEM = "system"
"""Kind of actor: Bursar itself."""
COMMAND = "command"
"""Kind of actor: a command on a ledger that no server is in between of; its id is the machine's account."""


class Outcome(StrEnum):
    """How far an act is."""

    BEGUN = "begun"
    """Announced, before anything was done. Without a conclusion: it isn't known whether it was done."""
    DONE = "done"
    REFUSED = "refused"
    """Asked for by somebody who may, and refused for what was asked; nothing was done."""
    FAILED = "failed"
    """It went wrong on the way; parts of it may have been done."""


class Actor(msgspec.Struct, frozen=True):
    """Who did it."""

    kind: str
    """`key`, `user`, `socket` (the operator on this machine), `command`, `anonymous` or `system`."""
    id: str
    is_operator: bool = False


BURSAR = Actor(SYSTEM, "bursar")
"""Who does what nobody asked for."""


class Origin(msgspec.Struct, frozen=True):
    """Where a request came from."""

    address: str | None = None
    """Of the client as the server sees it; None through the socket in the data folder."""
    request_id: str | None = None


class Deed(msgspec.Struct, frozen=True):
    """One thing that was done, or asked for."""

    act: str
    """Stable words, such as `key.create`."""
    outcome: Outcome
    actor: Actor
    origin: Origin = Origin()
    target: str | None = None
    """The id of what it was done to, where there is one."""
    asked: Any = None
    """What the request said; JSON without secrets, texts cut."""
    before: Any = None
    after: Any = None
    """What changed: as `asked`."""
    reason: str | None = None
    """Why it was refused or failed: an error's stable code."""
    begun: int | None = None
    """The number of the entry that announced it, in the same chain."""


def actor_of(caller: Caller) -> Actor:
    """The caller of a request as an actor."""
    kind = caller.key_id if caller.key_id in {"socket", "anonymous"} else "key"
    if caller.key_id.startswith(USER_PREFIX):
        kind = "user"
    return Actor(kind, caller.key_id, caller.is_operator)
