"""Erasures over HTTP: `POST /api/v1/erasures` takes a person out of everything that was recorded.

A dry run counts where the person stands. The answer to the real call names a job; nothing that is kept
of it names the person, once it has succeeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from bursar.app.auth import require
from bursar.app.changing import ACCEPTED, ChangeDesk, RunAsked
from bursar.described import DESCRIBED
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.usage.person import read_identifiers, refuse_naming
from bursar.usage.revising.author import read_reason
from bursar.usage.revising.erasure import ERASE_JOB

if TYPE_CHECKING:
    from fastapi.responses import Response

    from bursar.app.platform import Platform


class ErasureIn(BaseModel):
    """Who is to be forgotten, and why."""

    model_config = ConfigDict(extra="forbid")

    identifiers: list[str] = Field(
        default=[], description="What the person goes by: user ids, a mail address; 1 to 20 in all."
    )
    user_id: str | None = Field(default=None, description="The same for one.")
    reason: str | None = Field(default=None, description="Why; it stays for good, so it may not name them.")
    dry_run: bool = Field(default=False, description="Only count.")


@dataclass(frozen=True, slots=True)
class PersonCounts:
    """Where the person stands."""

    __pydantic_config__: ClassVar = DESCRIBED

    events: int
    """Events, with their history, and quarantined records."""
    kept: int
    """Sums by user of events that have expired."""


@dataclass(frozen=True, slots=True)
class ErasureAnswer:
    """What an erasure is about, and the job that does it."""

    dry_run: bool
    found: PersonCounts
    run: RunAsked | None


_Admin = Annotated[Caller, Depends(require(Permission.USAGE_ERASE))]


def make_router(platform: Platform) -> APIRouter:
    """`POST /api/v1/erasures`."""
    router = APIRouter(prefix="/api/v1", tags=["events"])
    desk = ChangeDesk(platform)

    @router.post("/erasures", responses=ACCEPTED, response_model=ErasureAnswer)
    async def erase_person(body: ErasureIn, caller: _Admin) -> Response:
        """Take a person out of everything that was recorded; totals stay. Can't be undone."""
        tenant_id = caller.tenant_id
        named = [*body.identifiers, *([body.user_id] if body.user_id is not None else [])]
        identifiers = read_identifiers(named)
        # Where rules hash what they find, the person goes by the hash.
        identifiers = (*identifiers, *platform.privacy.pseudonyms(tenant_id, identifiers))
        reason = "" if body.dry_run and not body.reason else read_reason(body.reason)
        refuse_naming(reason, identifiers)
        await desk.wait(platform.changes.durable_seq)
        found = await platform.questions.ask(lambda store: store.find_person(tenant_id, identifiers))
        counts = PersonCounts(len(found.events), len(found.kept))
        if body.dry_run:
            return desk.answer(200, ErasureAnswer(dry_run=True, found=counts, run=None))
        sealed = await run_in_threadpool(platform.seals.seal, identifiers)
        parameters = {"identifiers": sealed, "reason": reason}
        run = await desk.enqueue(ERASE_JOB, caller, parameters)
        return desk.accepted(ErasureAnswer(dry_run=False, found=counts, run=run), run)

    return router
