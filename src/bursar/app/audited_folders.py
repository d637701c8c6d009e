"""What the audit log keeps of work on a whole ledger that no request does: commands, upgrades, backups.

The same two entries as of a request, in the platform's chain: one before, one after. A ledger whose state
store is older than the audit log has nowhere to announce an upgrade; of that one the entry after it is
there alone. Whoever calls holds the data folder. Acts of requests are in `audited.py`.
"""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from bursar.errors import BursarError
from bursar.identity.audit.deed import COMMAND, Actor, Deed, Outcome
from bursar.identity.audit.log import AuditLog
from bursar.identity.audit.showing import showable
from bursar.storage.audit_places import AuditPlaces
from bursar.storage.relational.audit import RelationalAudit, keeps_audit

if TYPE_CHECKING:
    from collections.abc import Generator

    from bursar.storage.folder import DataFolder
    from bursar.storage.relational.engine import StateEngine


def audit_of(folder: DataFolder, engine: StateEngine) -> AuditLog:
    """The audit log of a ledger."""
    return AuditLog(RelationalAudit(engine), AuditPlaces(folder.audit_places))


def whoever_commands() -> Actor:
    """The account of this machine that runs the command: whoever may write the folder is its operator."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return Actor(COMMAND, name, is_operator=True)


@contextmanager
def recorded(
    folder: DataFolder, engine: StateEngine, actor: Actor, act: str, asked: dict[str, Any]
) -> Generator[dict[str, Any]]:
    """Announce in the platform's chain what is done to a ledger, and conclude it.

    What the caller puts into the dictionary it is given is what the conclusion says.

    Raises:
        Unavailable: the state store doesn't answer; where nothing was announced, nothing was done.
    """
    audit = audit_of(folder, engine)
    if keeps_audit(engine):
        with recorded_in(audit, actor, act, asked) as after:
            yield after
        return
    after = dict[str, Any]()
    yield after
    if keeps_audit(engine):
        audit.record_own(Deed(act, Outcome.DONE, actor, asked=showable(asked), after=showable(after) or None))


@contextmanager
def recorded_in(audit: AuditLog, actor: Actor, act: str, asked: dict[str, Any]) -> Generator[dict[str, Any]]:
    """As `recorded`, of a ledger that is open.

    Raises:
        Unavailable: the state store doesn't answer; where nothing was announced, nothing was done.
    """
    after = dict[str, Any]()
    begun = audit.record_own(Deed(act, Outcome.BEGUN, actor, asked=showable(asked)))
    try:
        yield after
    except BaseException as error:
        code = error.code if isinstance(error, BursarError) else None
        with suppress(BursarError):
            audit.record_own(Deed(act, Outcome.FAILED, actor, reason=code, begun=begun))
        raise
    audit.record_own(Deed(act, Outcome.DONE, actor, after=showable(after) or None, begun=begun))
