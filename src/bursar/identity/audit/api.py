"""The audit log over HTTP: `/api/v1/audit` lists it, `…/export` sends all, `…/verify` says if it is whole.

A tenant sees its own chain; the operator who names no tenant sees the platform's, and verifies all. There
is no way to add, change or remove an entry here. Looking at it is a question; taking it out is an act.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field

from bursar.errors import Invalid, Reason
from bursar.identity.audit.deed import Outcome
from bursar.identity.audit.entry import PLATFORM, Entry
from bursar.identity.audit.log import AuditLog
from bursar.identity.audit.noting import note_progress
from bursar.identity.audit.store import AuditAsk
from bursar.identity.audit.verify import ChainReport
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.page import PAGE_DEFAULT, PAGE_LIMIT, decode_cursor, encode_cursor
from bursar.identity.permissions import Permission

NDJSON = "application/x-ndjson"
ENTRIES_AT_ONCE = PAGE_LIMIT
"""Read for an export at once."""
_NUMBER_LIMIT = 2**63


class AuditActorOut(BaseModel):
    """Who did it."""

    kind: str = Field(
        description="`key`, `user`, `socket` (the operator on the server's machine), `command` (the same"
        " without a server; its id is the machine's account), `anonymous`, `system`."
    )
    id: str
    is_operator: bool


class AuditEntryOut(BaseModel):
    """One entry of the audit log."""

    number: int = Field(description="Its place in the chain, from 1.")
    at: datetime
    act: str = Field(description="Stable words, such as `key.create`.")
    outcome: Outcome = Field(
        description="`begun` is written before anything is done; the entry that concludes it names it."
    )
    begun: int | None = Field(description="The number of the entry that announced this act.")
    actor: AuditActorOut
    address: str | None = Field(description="The client's address; an operator's is shown to operators only.")
    request_id: str | None
    target: str | None = Field(description="The id of what it was done to.")
    asked: Any = Field(description="What the request said; secrets masked, long texts cut.")
    before: Any = Field(description="What was replaced or removed.")
    after: Any = Field(description="What there is since.")
    reason: str | None = Field(description="Why it was refused or failed: an error's `code`.")
    hash: str = Field(description="SHA-256 over the hash of the entry before and this entry's exact words.")

    @classmethod
    def of(cls, entry: Entry, *, to_operator: bool) -> AuditEntryOut:
        """The entry as it is shown."""
        words, deed = entry.words, entry.words.deed
        is_hidden = deed.actor.is_operator and not to_operator
        return cls(
            number=words.number,
            at=words.at,
            act=deed.act,
            outcome=deed.outcome,
            begun=deed.begun,
            actor=AuditActorOut(kind=deed.actor.kind, id=deed.actor.id, is_operator=deed.actor.is_operator),
            address=None if is_hidden else deed.origin.address,
            request_id=deed.origin.request_id,
            target=deed.target,
            asked=deed.asked,
            before=deed.before,
            after=deed.after,
            reason=deed.reason,
            hash=entry.hash,
        )


class AuditList(BaseModel):
    """Entries, the latest first."""

    items: list[AuditEntryOut]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class AuditFault(BaseModel):
    """One thing that is wrong with a chain."""

    number: int
    kind: str = Field(
        description="`changed`, `missing`, `moved`, `inserted`, `cut`, `rewritten`, `unsigned_trim` or"
        " `replaced`."
    )
    detail: str


class AuditChainOut(BaseModel):
    """What was found of one chain."""

    tenant_id: str | None = Field(description="Null for the platform's chain.")
    chain: str = Field(description="The chain's own random name.")
    entries: int
    last_number: int
    last_hash: str = Field(description="Keep it elsewhere: a later chain must still have it at this number.")
    trimmed_number: int = Field(description="Entries up to this one were removed for their age.")
    is_clean: bool
    fault_count: int
    faults: list[AuditFault] = Field(description="The first 20.")

    @classmethod
    def of(cls, report: ChainReport) -> AuditChainOut:
        """The report as it is shown."""
        return cls(
            tenant_id=None if report.owner == PLATFORM else report.owner,
            chain=report.chain,
            entries=report.entries,
            last_number=report.last_number,
            last_hash=report.last_hash,
            trimmed_number=report.trimmed_number,
            is_clean=report.is_clean,
            fault_count=report.fault_count,
            faults=[AuditFault(number=one.number, kind=one.kind, detail=one.detail) for one in report.faults],
        )


class AuditVerdict(BaseModel):
    """Whether the audit log is whole."""

    is_clean: bool
    chains: list[AuditChainOut]


def _filters(
    act: Annotated[
        str | None,
        Query(max_length=100, description="Only this act; with a dot at its end all that begin so: `key.`"),
    ] = None,
    outcome: Annotated[Outcome | None, Query(description="Only entries of this outcome.")] = None,
    actor: Annotated[str | None, Query(max_length=200, description="Only what this id did.")] = None,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="From this moment on.")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Before this moment.")] = None,
) -> AuditAsk:
    for name, text in (("act", act), ("actor", actor)):
        if text is not None and "\0" in text:
            raise Invalid(reasons=(Reason(name, "invalid_text", "must not contain a NUL character"),))
    return AuditAsk("", 0, act, outcome, actor, since, until)


def make_router(audit: AuditLog, caller: Callable[[Permission], Callable[..., Any]]) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/audit", tags=["audit"])
    reader: CallerDependency = Depends(caller(Permission.AUDIT_READ))
    _add_list(router, audit, reader)
    _add_export(router, audit, reader)
    _add_verify(router, audit, reader)
    return router


def _add_list(router: APIRouter, audit: AuditLog, reader: CallerDependency) -> None:
    @router.get("")
    def list_audit(
        request: Request,
        filters: Annotated[AuditAsk, Depends(_filters)],
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT,
        cursor: Annotated[
            str | None, Query(max_length=100, description="`next_cursor` of the page before.")
        ] = None,
        caller: Caller = reader,
    ) -> AuditList:
        """Who did what that matters, the latest first. Who asks sees the own tenant's entries.

        The operator who names no tenant sees the platform's: what concerns all, and what operators did
        without naming a tenant.
        """
        before = None if cursor is None else _read_number(cursor)
        owner = _owner(request, caller) or PLATFORM
        ask = replace(filters, owner=owner, limit=limit, before_number=before)
        found = audit.entries(ask)
        shown, has_more = found[:limit], len(found) > limit
        return AuditList(
            items=[AuditEntryOut.of(one, to_operator=caller.is_operator) for one in shown],
            next_cursor=encode_cursor(str(shown[-1].words.number).encode()) if has_more else None,
        )


def _add_export(router: APIRouter, audit: AuditLog, reader: CallerDependency) -> None:
    @router.get(
        "/export",
        response_class=StreamingResponse,
        responses={200: {"description": "A line of JSON for each entry", "content": {NDJSON: {}}}},
    )
    def export_audit(
        request: Request, filters: Annotated[AuditAsk, Depends(_filters)], caller: Caller = reader
    ) -> StreamingResponse:
        """Send all entries that are asked for as lines of JSON, the latest first.

        Unlike a look at the list this is an act: who took out what is in the log, and in the file.
        """
        ask = replace(filters, owner=_owner(request, caller) or PLATFORM, limit=ENTRIES_AT_ONCE)
        export = _Export(audit, ask, to_operator=caller.is_operator)
        note_progress(lambda: {"rows": export.rows})
        named = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
        return StreamingResponse(export.lines(audit.entries(ask)), headers=named, media_type=NDJSON)


class _Export:
    """One export under way: page after page, so that a slow reader holds nothing in between."""

    def __init__(self, audit: AuditLog, ask: AuditAsk, *, to_operator: bool) -> None:
        self._audit = audit
        self._ask = ask
        self._to_operator = to_operator
        self.rows = 0
        """How many entries went out."""

    def lines(self, found: Sequence[Entry]) -> Iterator[str]:
        """The pages as lines; the first one is read already, so that a refusal has words."""
        while True:
            shown = found[: self._ask.limit]
            self.rows += len(shown)
            yield "".join(self._line(one) for one in shown)
            if len(found) == len(shown):
                return
            found = self._audit.entries(replace(self._ask, before_number=shown[-1].words.number))

    def _line(self, entry: Entry) -> str:
        shown = AuditEntryOut.of(entry, to_operator=self._to_operator)
        return json.dumps(shown.model_dump(mode="json"), ensure_ascii=False) + "\n"


def _add_verify(router: APIRouter, audit: AuditLog, reader: CallerDependency) -> None:
    @router.get("/verify")
    def verify_audit(request: Request, caller: Caller = reader) -> AuditVerdict:
        """Whether every entry is as it was written, none missing and none added.

        The operator who names no tenant has every chain looked at.
        """
        reports = audit.verify(_owner(request, caller))
        return AuditVerdict(
            is_clean=all(one.is_clean for one in reports), chains=[AuditChainOut.of(one) for one in reports]
        )


def _owner(request: Request, caller: Caller) -> str | None:
    """Whose chain is asked for; None for the operator who names no tenant."""
    return None if caller.is_operator and "tenant_id" not in request.query_params else caller.tenant_id


def _read_number(cursor: str) -> int:
    try:
        number = int(decode_cursor(cursor))
    except ValueError:
        number = 0
    if not 0 < number < _NUMBER_LIMIT:
        message = "must be the 'next_cursor' of an earlier answer to the same list"
        raise Invalid(reasons=(Reason("cursor", "invalid_cursor", message),))
    return number
