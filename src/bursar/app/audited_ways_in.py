"""What the audit log keeps of ways in and out: who got in, whose account was tried, within bounds.

Anybody may knock as often as they like, so what nobody's account bounds has a budget of entries; how many
went without one stands in the next that has. A wrong password for an account counts towards its lock, and a
refresh token that comes back ends its session: there can't be many of those, and each has its entry, in the
chain of the account's tenant. What is refused is answered before its entry is written: time tells
nobody whose account it was. How these entries come about is in `audited.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bursar import clock
from bursar.identity.audit.deed import Actor, Deed, Origin, Outcome, actor_of
from bursar.identity.audit.entry import PLATFORM
from bursar.identity.audit.showing import showable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.app.audited_acts import OpenAct
    from bursar.identity.audit.noting import Note
    from bursar.identity.caller import Caller

BURST = 100
"""Entries of knocks that the log takes at once: enough to see what is going on."""
SECONDS_PER_ENTRY = 60.0
"""Then one a minute: 1,440 in a day of a flood, less than a megabyte."""
NOBODY = Actor("anonymous", "anonymous")


@dataclass(frozen=True, slots=True)
class Knock:
    """A request to an open door, and what came of it."""

    act: OpenAct
    outcome: Outcome
    origin: Origin
    reason: str | None
    caller: Caller | None
    """Who leaves: they were known before."""
    user: dict[str, Any]
    """Who got in, as the answer shows them."""
    note: Note


@dataclass(slots=True)
class WaysIn:
    """Decides which knocks have an entry; used from the event loop alone."""

    monotonic: Callable[[], float] = clock.monotonic
    _left: float = BURST
    _at: float = -math.inf
    _untold: int = 0

    def entry(self, knock: Knock) -> tuple[str, Deed | None]:
        """Into whose chain goes what; None where nothing does."""
        if knock.outcome is Outcome.DONE and not knock.act.records_success:
            return PLATFORM, None
        if knock.caller is not None:
            return knock.caller.tenant_id, _deed(knock, actor_of(knock.caller))
        if knock.outcome is Outcome.DONE and knock.user:
            return str(knock.user["tenant_id"]), _deed(knock, Actor("user", str(knock.user["id"])))
        account = knock.note.account
        if account is not None and account.is_bounded:
            return account.tenant_id, _deed(knock, NOBODY)
        return PLATFORM, self._within_budget(knock)

    def _within_budget(self, knock: Knock) -> Deed | None:
        now = self.monotonic()
        self._left = min(BURST, self._left + (now - self._at) / SECONDS_PER_ENTRY)
        self._at = now
        if self._left < 1:
            self._untold += 1
            return None
        self._left -= 1
        untold, self._untold = self._untold, 0
        return _deed(knock, NOBODY, {"without_entry_before": untold} if untold else {})


def _deed(knock: Knock, actor: Actor, more: dict[str, Any] | None = None) -> Deed:
    note, account = knock.note, knock.note.account
    asked: dict[str, Any] = {**(note.asked or {}), **(more or {})}
    if account is not None:
        asked["why"] = account.why
    return Deed(
        knock.act.word if account is None else account.word or knock.act.word,
        knock.outcome,
        actor,
        knock.origin,
        target=note.target if account is None else account.user_id,
        asked=showable(asked) or None,
        reason=knock.reason,
    )
