"""The audit log on each engine: chains stay chains whoever writes, and only their beginning can go."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bursar.errors import NotFound, Unavailable
from bursar.identity.audit.deed import Outcome
from bursar.identity.audit.entry import PLATFORM
from bursar.identity.audit.log import AuditLog
from bursar.identity.audit.store import AuditAsk
from bursar.storage.relational.audit import RelationalAudit
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.tables.audit import AUDIT_CHAINS, AUDIT_ENTRIES
from bursar.storage.relational.transactions import reading, writing
from tests.support.audit import NOON, Places, a_deed
from tests.support.identity import a_tenant

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

DAY = timedelta(days=1)


class Hours:
    """A clock that tells a day later each time it is asked."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> object:
        self.at += DAY
        return self.at


@pytest.fixture
def store(state_engine: Engine) -> RelationalAudit:
    """A store with two tenants."""
    identity = RelationalIdentityStore(state_engine)
    for tenant_id in ("acme", "globex"):
        identity.add_tenant(a_tenant(tenant_id))
    return RelationalAudit(state_engine)


@pytest.fixture
def audit(store: RelationalAudit) -> AuditLog:
    """A log over it, each of whose entries is a day later."""
    return AuditLog(store, Places(), Hours())  # type: ignore[arg-type]


def numbers(audit: AuditLog, owner: str = "acme", **rest: object) -> list[int]:
    return [one.words.number for one in audit.entries(AuditAsk(owner, 100, **rest))]  # type: ignore[arg-type]


def test_each_owner_has_a_chain_of_its_own(audit: AuditLog) -> None:
    for owner in ("acme", "globex", "acme", PLATFORM):
        audit.record(owner, a_deed())
    assert [numbers(audit, owner) for owner in ("acme", "globex", PLATFORM)] == [[2, 1], [1], [1]]
    reports = {one.owner: one.is_clean for one in audit.verify()}
    assert reports == {"acme": True, "globex": True, PLATFORM: True}


def test_entries_are_found_by_act_outcome_actor_and_time(audit: AuditLog) -> None:
    for act, outcome in (("key.create", Outcome.BEGUN), ("key.revoke", Outcome.DONE), ("keys", Outcome.DONE)):
        audit.record("acme", a_deed(act, outcome))
    assert numbers(audit, act="key.") == [2, 1]
    assert numbers(audit, act="key.create") == [1]
    assert numbers(audit, outcome=Outcome.DONE) == [3, 2]
    assert (numbers(audit, actor_id="key_1"), numbers(audit, actor_id="key_2")) == ([3, 2, 1], [])
    assert numbers(audit, since=NOON + 2 * DAY, until=NOON + 3 * DAY) == [2]
    assert numbers(audit, before_number=2) == [1]


def test_an_unknown_tenant_has_no_chain(audit: AuditLog) -> None:
    with pytest.raises(NotFound):
        audit.record("nobody", a_deed())
    assert audit.verify() == []


def test_two_writers_of_one_chain_keep_it_a_chain(
    store: RelationalAudit, state_url: str, open_engine: Callable[[str], Engine]
) -> None:
    del store
    places, start, each = Places(), Barrier(4), 15
    failures: list[BaseException] = []

    def write(audit: AuditLog) -> None:
        start.wait()
        try:
            for _ in range(each):
                audit.record("acme", a_deed())
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    # Two processes' worth of engines, two threads each.
    logs = [AuditLog(RelationalAudit(open_engine(state_url)), places) for _ in range(2)] * 2
    threads = [Thread(target=write, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    report = logs[0].verify("acme")[0]
    assert (report.entries, report.last_number, report.is_clean) == (4 * each, 4 * each, True)


def test_a_number_is_given_once_whoever_writes_it(audit: AuditLog, state_engine: Engine) -> None:
    audit.record("acme", a_deed())
    with writing(state_engine) as connection:
        row = connection.execute(select(AUDIT_ENTRIES)).mappings().one()
    with pytest.raises(IntegrityError), writing(state_engine) as connection:
        connection.execute(insert(AUDIT_ENTRIES).values({**row, "hash": "0"}))


def test_old_entries_go_and_the_chain_still_holds(audit: AuditLog, state_engine: Engine) -> None:
    for _ in range(5):
        audit.record("acme", a_deed())
    assert audit.trim(NOON + 4 * DAY) == 3
    assert numbers(audit) == [6, 5, 4]
    report = audit.verify("acme")[0]
    assert (report.is_clean, report.trimmed_number, report.entries) == (True, 3, 3)
    assert audit.trim(NOON + 4 * DAY) == 0
    # Everything is old now, also the entry that told of the first time.
    assert audit.trim(NOON + 900 * DAY) == 3
    assert audit.verify("acme")[0].is_clean
    with writing(state_engine) as connection:
        connection.execute(delete(AUDIT_ENTRIES).where(AUDIT_ENTRIES.c.act == "audit.trim"))
        connection.execute(update(AUDIT_CHAINS).values(number=6, hash=AUDIT_CHAINS.c.trimmed_hash))
    kinds = {fault.kind for fault in audit.verify("acme")[0].faults}
    assert kinds == {"cut", "unsigned_trim"}


def test_a_tenants_chain_goes_with_it_and_a_new_tenant_of_its_name_begins_anew(
    audit: AuditLog, state_engine: Engine
) -> None:
    identity = RelationalIdentityStore(state_engine)
    for owner in ("acme", "globex", PLATFORM):
        audit.record(owner, a_deed())
    identity.remove_tenant("acme")
    with reading(state_engine) as connection:
        left = connection.execute(select(func.count()).select_from(AUDIT_ENTRIES)).scalar_one()
    assert left == 2
    assert [one.owner for one in audit.verify() if one.is_clean] == [PLATFORM, "globex"]
    with pytest.raises(NotFound):
        audit.record("acme", a_deed())
    identity.add_tenant(a_tenant("acme", created_at=NOON + 30 * DAY))
    assert audit.record("acme", a_deed()) == 1
    assert all(one.is_clean for one in audit.verify())


def test_a_chain_that_is_gone_while_its_tenant_is_there_shows(audit: AuditLog, state_engine: Engine) -> None:
    for owner in ("acme", PLATFORM):
        audit.record(owner, a_deed())
    with writing(state_engine) as connection:
        connection.execute(delete(AUDIT_CHAINS))
    found = {one.owner: [fault.kind for fault in one.faults] for one in audit.verify()}
    assert found == {"acme": ["replaced"], PLATFORM: ["replaced"]}


def test_an_entry_that_cant_be_read_is_told_by_verifying(audit: AuditLog, state_engine: Engine) -> None:
    audit.record("acme", a_deed())
    with writing(state_engine) as connection:
        connection.execute(update(AUDIT_ENTRIES).values(spelled="{"))
    with pytest.raises(Unavailable, match="verify"):
        numbers(audit)
    assert not audit.verify("acme")[0].is_clean
