"""Proves that a tenant is gone: looks through journal, archive, usage store and state store for it.

What is found and has to stay is told with its reason: the records that removed it, the run that did, and the
platform's audit log. What can't be looked at from here is told as well. `bursar verify --gone` shows it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.storage.duckdb.tenant_sql import rows_of_tenant
from bursar.storage.journal.holding import hold_archive
from bursar.storage.journal.replay import replay_up_to
from bursar.storage.relational.tenant_rows import platform_entries_naming, state_rows_of
from bursar.usage.changes import RESET, TOMBSTONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.app.job_ground import JobGround

RUNS = "runs"
_STAY = {
    f"journal/{RESET}": "what removed it: its id, who asked, and the reason",
    f"journal/{TOMBSTONE}": "where removed records stood: nothing of their content",
    f"state/{RUNS}": "the runs that deleted it, until runs of their age are forgotten",
    "state/audit_entries/platform": "who made, changed and deleted it, as long as the audit log is kept",
}
BEYOND = (
    "backups and dumps made before: delete them, or let them age out",
    "folders of other servers on the same state store: verify there too",
    "rate cards by content hash: they name no tenant, and may be those of several",
    "the server's log, logs of proxies, and deleted blocks of the file system",
)


class _Line(msgspec.Struct):
    kind: str = ""
    tenant_id: str = ""


_decode = msgspec.json.Decoder(_Line).decode


@dataclass(frozen=True, slots=True)
class Stays:
    """What has to stay of a tenant that is gone."""

    place: str
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class TenantProof:
    """Where something of a tenant was looked for, and what was found."""

    tenant_id: str
    is_gone: bool
    """Nothing is left but what has to stay."""
    looked_in: dict[str, int]
    """Every place, and how many records or rows of the tenant it has."""
    left: dict[str, int]
    """Those that should be gone."""
    stays: list[Stays]
    beyond: tuple[str, ...] = BEYOND
    """What can't be looked at from here."""


def look_for_tenant(ground: JobGround, tenant_id: str, tell: Callable[[str, int], None]) -> TenantProof:
    """Look for a tenant everywhere; safe beside everything else that goes on.

    Raises:
        Unavailable: the state store doesn't answer.
    """
    found = _in_journal(ground, tenant_id, tell)
    tell("looking through the stores", 0)
    cursor = ground.stores.cursor()
    try:
        in_store = rows_of_tenant(cursor, tenant_id)
    finally:
        cursor.close()
    found |= {f"store/{table}": count for table, count in in_store.items()}
    found |= {f"state/{table}": count for table, count in state_rows_of(ground.engine, tenant_id).items()}
    found["state/audit_entries/platform"] = platform_entries_naming(ground.engine, tenant_id)
    is_there = bool(found["state/tenants"])
    left = {place: count for place, count in found.items() if count and (is_there or place not in _STAY)}
    stays = [Stays(place, found[place], why) for place, why in _STAY.items() if found.get(place)]
    return TenantProof(tenant_id, not left, found, left, [] if is_there else stays)


def _in_journal(ground: JobGround, tenant_id: str, tell: Callable[[str, int], None]) -> dict[str, int]:
    """Records of the tenant by kind, from the first one that is kept of dropped segments on."""
    mark = b'"tenant_id":' + msgspec.json.encode(tenant_id)
    counts = Counter({"journal": 0})
    records = 0
    with hold_archive(ground.folder.journal, "a proof that a tenant is gone"):
        for batch in replay_up_to(ground.folder.journal, ground.changes.durable_seq):
            lines = batch.payload.splitlines()
            records += len(lines)
            tell("looking through the journal", records)
            heads = (_read(line) for line in lines if mark in line)
            counts.update(head.kind for head in heads if head.tenant_id == tenant_id)
    return {kind if kind == "journal" else f"journal/{kind}": count for kind, count in counts.items()}


def _read(line: bytes) -> _Line:
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return _Line()
