"""Proves that a tenant, or a project of one, is gone: looks through journal, archive and both stores for it.

What is found and has to stay is told with its reason: the records that removed it, the run that did, and the
audit log. What can't be looked at from here is told as well. `bursar verify --gone` shows it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.app.belongings import records_of
from bursar.storage.duckdb.rewriting import seqs_aside
from bursar.storage.duckdb.tenant_sql import former_versions, rows_of_project, rows_of_tenant
from bursar.storage.journal.holding import hold_archive
from bursar.storage.journal.replay import replay_up_to
from bursar.storage.relational.closings import closings_naming
from bursar.storage.relational.tenant_rows import (
    audit_entries_naming,
    runs_naming,
    state_rows_of,
    state_rows_of_project,
)
from bursar.usage.changes import PROJECT_EXPIRE, PROJECT_RESET, RESET, TOMBSTONE
from bursar.usage.whose import Whose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bursar.app.job_ground import JobGround

RUNS = "runs"
_FORMER = "journal/former_versions"
_AUDIT_OF_PLATFORM, _AUDIT_OF_TENANT = "state/audit_entries/platform", "state/audit_entries"
_STAY = {
    f"journal/{RESET}": "what removed it: its id, who asked, and the reason",
    f"journal/{TOMBSTONE}": "where removed records stood: nothing of their content",
    f"state/{RUNS}": "the runs that deleted it, until runs of their age are forgotten",
    _AUDIT_OF_PLATFORM: "who made, changed and deleted it, as long as the audit log is kept",
}
_OF_PROJECT_STAY = {
    f"journal/{PROJECT_RESET}": "what removed it: its id, who asked, and the reason",
    f"journal/{PROJECT_EXPIRE}": "what its days had removed before: its id and when, and none of its sums",
    _FORMER: "former versions of events that were moved to another project; their history shows them",
    f"state/{RUNS}": "runs that name it, as the one that deleted it, until runs of their age are forgotten",
    _AUDIT_OF_TENANT: "who made, changed and deleted it, as long as the audit log is kept",
}
BEYOND = (
    "backups and dumps made before: delete them, or let them age out",
    "folders of other servers on the same state store: verify there too",
    "rate cards by content hash: they name no tenant, and may be those of several",
    "the server's log, logs of proxies, and deleted blocks of the file system",
)


@dataclass(frozen=True, slots=True)
class Stays:
    """What has to stay of who is gone."""

    place: str
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class DeletionProof:
    """Where something of a tenant or a project was looked for, and what was found."""

    tenant_id: str
    project_id: str | None
    is_gone: bool
    """Nothing is left but what has to stay."""
    looked_in: dict[str, int]
    """Every place, and how many records or rows of it are there."""
    left: dict[str, int]
    """Those that should be gone."""
    stays: list[Stays]
    beyond: tuple[str, ...] = BEYOND
    """What can't be looked at from here."""


def read_whose(text: str) -> Whose:
    """Who is meant by `TENANT` or `TENANT/PROJECT`."""
    tenant_id, _, project_id = text.partition("/")
    return Whose(tenant_id, project_id or None)


def look_for(ground: JobGround, whose: Whose, tell: Callable[[str, int], None]) -> DeletionProof:
    """Look for a tenant or a project everywhere; safe beside everything else that goes on.

    Raises:
        Unavailable: the state store doesn't answer.
    """
    if whose.project_id is None:
        found = _of_tenant(ground, whose, tell)
        is_there, stay = bool(found["state/tenants"]), _STAY
    else:
        found = _of_project(ground, whose, whose.project_id, tell)
        is_there, stay = bool(found["state/projects"]), _OF_PROJECT_STAY
    left = {place: count for place, count in found.items() if count and (is_there or place not in stay)}
    stays = [Stays(place, found[place], why) for place, why in stay.items() if found.get(place)]
    return DeletionProof(whose.tenant_id, whose.project_id, not left, found, left, [] if is_there else stays)


def _of_tenant(ground: JobGround, whose: Whose, tell: Callable[[str, int], None]) -> dict[str, int]:
    tenant_id = whose.tenant_id
    found = {"journal": 0, **Counter(f"journal/{kind}" for _, kind in _in_journal(ground, whose, tell))}
    tell("looking through the stores", 0)
    cursor = ground.stores.cursor()
    try:
        in_store = rows_of_tenant(cursor, tenant_id)
    finally:
        cursor.close()
    found |= {f"store/{table}": count for table, count in in_store.items()}
    found |= {f"state/{table}": count for table, count in state_rows_of(ground.engine, tenant_id).items()}
    return found | {_AUDIT_OF_PLATFORM: audit_entries_naming(ground.engine, tenant_id)}


def _of_project(
    ground: JobGround, whose: Whose, project_id: str, tell: Callable[[str, int], None]
) -> dict[str, int]:
    tenant_id, engine = whose.tenant_id, ground.engine
    cursor = ground.stores.cursor()
    try:
        in_store = rows_of_project(cursor, tenant_id, project_id)
        former, aside = former_versions(cursor, tenant_id, project_id), seqs_aside(cursor, tenant_id)
    finally:
        cursor.close()
    kinds: Counter[str] = Counter({"journal": 0})
    in_store["quarantine"] = 0
    for seq, kind in _in_journal(ground, whose, tell):
        kinds[_FORMER if seq in former else f"journal/{kind}"] += 1
        in_store["quarantine"] += seq in aside
    tell("looking through the stores", 0)
    return {
        **kinds,
        **{f"store/{table}": count for table, count in in_store.items()},
        **{f"state/{table}": n for table, n in state_rows_of_project(engine, tenant_id, project_id).items()},
        "state/month_closings": closings_naming(engine, tenant_id, project_id),
        f"state/{RUNS}": runs_naming(engine, tenant_id, project_id),
        _AUDIT_OF_TENANT: audit_entries_naming(engine, project_id, tenant_id),
    }


def _in_journal(
    ground: JobGround, whose: Whose, tell: Callable[[str, int], None]
) -> Iterator[tuple[int, str]]:
    """Position and kind of each of their records, from the first that is kept of dropped segments on."""
    records = 0
    with hold_archive(ground.folder.journal, "a proof that something is gone"):
        for batch in replay_up_to(ground.folder.journal, ground.changes.durable_seq):
            lines = batch.payload.splitlines()
            records += len(lines)
            tell("looking through the journal", records)
            yield from ((one.seq, one.kind) for one in records_of(lines, whose))
