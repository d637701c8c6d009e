"""What the state store's transactions promise: durability settings, isolation, errors in our words."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import exc, insert, select, text

from bursar.errors import Conflict, DiskFull, NotFound, Unavailable
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.tables.identity import PROJECTS, TENANTS
from bursar.storage.relational.tables.prices import PRICE_SNAPSHOTS
from bursar.storage.relational.transactions import reading, refusing, starting_alone, writing
from tests.support.identity import NOON

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

CARD = insert(PRICE_SNAPSHOTS).values(card_id="a", document="b")


def count_cards(engine: Engine) -> int:
    with reading(engine) as connection:
        return len(connection.execute(select(PRICE_SNAPSHOTS)).all())


def add_card_then_fail(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(CARD)
        raise ZeroDivisionError


def test_what_is_written_is_there_and_what_fails_is_not(state_engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        add_card_then_fail(state_engine)
    assert count_cards(state_engine) == 0
    with writing(state_engine) as connection:
        connection.execute(CARD)
    assert count_cards(state_engine) == 1


def test_sqlite_is_set_up_to_survive_a_power_cut(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with reading(engine) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_writers_wait_for_each_other_and_lose_nothing(
    state_url: str, open_engine: Callable[[str], Engine]
) -> None:
    engines = [open_engine(state_url) for _ in range(3)]
    with writing(engines[0]) as connection:
        connection.execute(insert(TENANTS).values(id="t", name="0", zone="UTC", state="", created_at=NOON))
    errors: list[Exception] = []

    def add_one(engine: Engine) -> None:
        # Read, then write: the pattern that a transaction begun as a reader would fail at.
        try:
            for _ in range(20):
                with writing(engine) as connection:
                    name = connection.execute(select(TENANTS.c.name).with_for_update()).scalar_one()
                    connection.execute(TENANTS.update().values(name=str(int(name) + 1)))
        except Exception as error:  # noqa: BLE001 - whatever happens in a thread belongs in the assertion
            errors.append(error)

    threads = [threading.Thread(target=add_one, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with reading(engines[0]) as connection:
        assert connection.execute(select(TENANTS.c.name)).scalar_one() == "60"


def test_a_violated_constraint_means_what_the_caller_says(state_engine: Engine) -> None:
    taken, orphaned = Conflict("taken"), NotFound("orphaned")
    project = insert(PROJECTS).values(tenant_id="nobody", id="p", name="n", created_at=NOON)
    with writing(state_engine) as connection:
        connection.execute(CARD)
    for statement, meant in ((CARD, taken), (project, orphaned)):
        with (
            pytest.raises(type(meant)) as refused,
            writing(state_engine) as connection,
            refusing(duplicate=taken, orphan=orphaned),
        ):
            connection.execute(statement)
        assert refused.value is meant


def test_a_constraint_that_nobody_has_named_stays_a_bug(state_engine: Engine) -> None:
    nameless = insert(PRICE_SNAPSHOTS).values(card_id="a", document=None)
    with pytest.raises(exc.IntegrityError), writing(state_engine) as connection, refusing():
        connection.execute(nameless)


def test_a_mistake_in_a_statement_stays_a_bug(state_engine: Engine) -> None:
    with pytest.raises(exc.DBAPIError), reading(state_engine) as connection:
        connection.execute(text("SELECT nothing FROM nowhere"))


@pytest.mark.parametrize(
    "url",
    ["sqlite:////proc/nowhere/state.db", "postgresql+psycopg://nobody@/none?host=/nonexistent"],
    ids=["sqlite", "postgresql"],
)
def test_a_store_that_is_not_there_is_unavailable(url: str, open_engine: Callable[[str], Engine]) -> None:
    with pytest.raises(Unavailable), reading(open_engine(url)) as connection:
        connection.execute(text("SELECT 1"))


def test_a_damaged_file_is_named(tmp_path: Path, open_engine: Callable[[str], Engine]) -> None:
    (tmp_path / "state.db").write_bytes(b"no database at all" * 1000)
    engine = open_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with pytest.raises(Unavailable, match="file is damaged; restore it from a backup"), reading(engine):
        pass


def test_a_full_disk_is_named(sqlite_state_url: str, open_engine: Callable[[str], Engine]) -> None:
    with pytest.raises(DiskFull):
        fill_up(open_engine(sqlite_state_url))


def fill_up(engine: Engine) -> None:
    with writing(engine) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.execute(insert(PRICE_SNAPSHOTS).values(card_id="a", document="x" * 1_000_000))


def test_a_writer_that_waits_in_vain_is_told_so(
    sqlite_state_url: str, open_engine: Callable[[str], Engine]
) -> None:
    holder, waiter = (open_engine(sqlite_state_url) for _ in range(2))
    with reading(waiter) as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    with writing(holder), pytest.raises(Unavailable, match="holds the state store"), writing(waiter):
        pass


def test_a_moment_without_a_zone_is_refused(state_engine: Engine) -> None:
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - that it is naive is the point
    tenant = insert(TENANTS).values(id="t", name="n", zone="UTC", state="active", created_at=naive)
    with pytest.raises(exc.StatementError, match="needs a time zone"), writing(state_engine) as connection:
        connection.execute(tenant)


def test_only_one_starts_at_a_time(state_url: str, open_engine: Callable[[str], Engine]) -> None:
    engines = [open_engine(state_url) for _ in range(4)]
    inside, most, lock = 0, 0, threading.Lock()

    def start(engine: Engine) -> None:
        nonlocal inside, most
        for _ in range(5):
            with starting_alone(engine):
                with lock:
                    inside += 1
                    most = max(most, inside)
                count_cards(engine)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=start, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


def test_a_start_ends_its_hold_even_if_it_fails(state_engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), starting_alone(state_engine):
        raise ZeroDivisionError
    with starting_alone(state_engine):
        assert count_cards(state_engine) == 0
