"""Migrations bring an empty store to exactly `tables/`, whoever else is starting, on both engines."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from bursar.errors import NewerFormat
from bursar.storage.relational.allowances import KEPT_QUOTAS, RelationalAllowances
from bursar.storage.relational.engine import is_sqlite, make_engine
from bursar.storage.relational.migrate import MIGRATIONS, MigrationStatus, build_at, status, upgrade
from bursar.storage.relational.tables import METADATA
from bursar.storage.relational.transactions import building, reading, writing
from bursar.usage.quotas.quota import Enforcement, Measure, Quota

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

STEPS = tuple(
    reversed([step.revision for step in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]),
)


@pytest.fixture
def empty(empty_state_url: str, open_engine: Callable[[str], Engine]) -> Engine:
    return open_engine(empty_state_url)


def test_an_empty_store_waits_for_every_step_in_order(empty: Engine) -> None:
    assert status(empty) == MigrationStatus(current=None, head=STEPS[-1], pending=STEPS)
    assert inspect(empty).get_table_names() == []


def test_the_steps_lead_to_exactly_the_tables_of_the_code(empty: Engine) -> None:
    assert upgrade(empty) == MigrationStatus(current=STEPS[-1], head=STEPS[-1], pending=())
    with reading(empty) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_constraints_have_the_names_that_later_steps_will_use(empty: Engine) -> None:
    upgrade(empty)
    found, made = inspect(empty), METADATA.tables
    for name, table in made.items():
        assert found.get_pk_constraint(name)["name"] == table.primary_key.name
        names = {constraint.name for constraint in table.foreign_key_constraints}
        assert {key["name"] for key in found.get_foreign_keys(name)} == names


def test_upgrading_again_changes_nothing(empty: Engine) -> None:
    upgrade(empty)
    with writing(empty) as connection:
        connection.execute(text("INSERT INTO price_snapshots VALUES ('a', 'b')"))
    upgrade(empty)
    with reading(empty) as connection:
        assert connection.execute(text("SELECT count(*) FROM price_snapshots")).scalar() == 1


def test_a_store_without_pending_steps_opens_without_alembic(empty: Engine) -> None:
    upgrade(empty)
    program = (
        "import sys\n"
        "from bursar.storage.relational.engine import make_engine\n"
        "from bursar.storage.relational.migrate import upgrade\n"
        "upgrade(make_engine(sys.argv[1]))\n"
        "print('alembic' in sys.modules)\n"
    )
    url = empty.url.render_as_string(hide_password=False)
    run = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_foreign_keys_hold_again_after_an_upgrade(empty: Engine) -> None:
    upgrade(empty)
    if is_sqlite(empty):
        with reading(empty) as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_step_that_fails_leaves_nothing_behind(empty: Engine) -> None:
    with writing(empty) as connection:
        # The last table of the first step is in the way.
        connection.execute(text("CREATE TABLE price_snapshots (card_id VARCHAR)"))
    with pytest.raises(Exception, match="already exists"):
        upgrade(empty)
    assert inspect(empty).get_table_names() == ["price_snapshots"]
    assert status(empty).current is None


def test_a_store_of_a_newer_bursar_is_refused_untouched(empty: Engine) -> None:
    upgrade(empty)
    with writing(empty) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for ask in (status, upgrade):
        with pytest.raises(NewerFormat, match="9999"):
            ask(empty)


def test_threads_that_start_together_do_not_clash(
    empty_state_url: str, open_engine: Callable[[str], Engine]
) -> None:
    engines = [open_engine(empty_state_url) for _ in range(4)]
    barrier, results = threading.Barrier(len(engines)), list[object]()

    def start(engine: Engine) -> None:
        barrier.wait()
        try:
            results.append(upgrade(engine).current)
        except Exception as error:  # noqa: BLE001 - whatever happens in a thread belongs in the assertion
            results.append(error)

    threads = [threading.Thread(target=start, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [STEPS[-1]] * len(engines)


def test_processes_that_start_together_do_not_clash(empty_state_url: str) -> None:
    program = (
        "import sys\n"
        "from bursar.storage.relational.engine import make_engine\n"
        "from bursar.storage.relational.migrate import upgrade\n"
        "sys.stdin.readline()\n"
        "print(upgrade(make_engine(sys.argv[1])).current)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_state_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == [STEPS[-1]] * 2


def test_a_file_that_others_may_read_is_its_owners_alone_from_the_next_start_on(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch(0o644)
    path.chmod(0o644)
    engine = make_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE kept (n INTEGER)")
            modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    finally:
        engine.dispose()
    assert modes.keys() >= {"state.db", "state.db-wal"}
    assert set(modes.values()) == {0o600}


def test_quotas_from_before_projects_had_some_stay_their_tenants(empty: Engine) -> None:
    with building(empty) as connection:
        build_at(connection, "0021")
        moment = "'2026-11-01 12:00:00+00'" if not is_sqlite(empty) else "'2026-11-01 12:00:00.000000'"
        connection.execute(text(f"INSERT INTO tenants VALUES ('acme', 'Acme', 'UTC', 'active', {moment})"))
        values = f"'acme', 'events', '7', 'hard', NULL, {moment}, 'key_1'"
        connection.execute(text(f"INSERT INTO quotas VALUES ({values})"))
    upgrade(empty)
    (kept,) = RelationalAllowances(empty, KEPT_QUOTAS).allowances()
    assert kept.quota == Quota("acme", Measure.EVENTS, 7, Enforcement.HARD)
    assert (kept.set_at, kept.set_by) == (datetime(2026, 11, 1, 12, tzinfo=UTC), "key_1")
