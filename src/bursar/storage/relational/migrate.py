"""Bringing a state store's tables up to date, in one transaction and under a lock.

Two processes that start together don't clash: the second waits and finds nothing left to do. A store
written by a newer Bursar is refused, not touched. The steps are in `migrations/versions/`, where each
file's name begins with its step. Alembic is imported when there is something to do: it takes a third of
a second, which no start of a server on an up-to-date store need spend.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import column, inspect, select, table

from bursar.errors import NewerFormat
from bursar.storage.relational.engine import MIGRATES, is_sqlite
from bursar.storage.relational.transactions import reading, starting_alone, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

MIGRATIONS = Path(__file__).parent / "migrations"
_VERSIONS = table("alembic_version", column("version_num"))
"""Alembic's own table, of one row: the last step done."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Where a store stands."""

    current: str | None
    """The last step done; None for an empty store."""
    head: str
    """The last step that this Bursar knows."""
    pending: tuple[str, ...]
    """The steps that `upgrade` would do, in order."""

    @property
    def is_older(self) -> bool:
        """Whether an older Bursar made its tables; an empty store has none that could be lost."""
        return self.current is not None and bool(self.pending)


def upgrade(engine: Engine) -> MigrationStatus:
    """Do every pending step, all or none, and answer where the store stands then.

    Raises:
        NewerFormat: a newer Bursar has written this store.
        Unavailable: the store doesn't answer, or another process has been at this for too long.
    """
    with starting_alone(engine):
        if status(engine).pending:
            with writing(engine, MIGRATES) as connection:
                _run_steps(connection)
    return status(engine)


def status(engine: Engine) -> MigrationStatus:
    """Where the store stands; changes nothing.

    Raises:
        NewerFormat: a newer Bursar has written this store.
        Unavailable: the store doesn't answer.
    """
    steps = _steps()
    with reading(engine) as connection:
        current = current_revision(connection)
    if current is not None and current not in steps:
        message = (
            f"The state store is at step '{current}', which this Bursar doesn't know"
            f" (it knows '{steps[-1]}')."
        )
        raise NewerFormat(message)
    done = steps.index(current) + 1 if current is not None else 0
    return MigrationStatus(current, steps[-1], steps[done:])


def current_revision(connection: Connection) -> str | None:
    """The last step done on the store behind this connection; None for an empty one."""
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    return connection.execute(select(_VERSIONS.c.version_num)).scalar_one_or_none()


def build_at(connection: Connection, revision: str | None) -> None:
    """Make the tables of an empty store as they were at this step; none for None.

    The connection must come from `transactions.building`.

    Raises:
        NewerFormat: this Bursar doesn't know the step.
    """
    if revision is not None and revision not in _steps():
        message = f"The state store's dump is at step '{revision}', which this Bursar doesn't know."
        raise NewerFormat(message)
    if revision is not None:
        _run_steps(connection, revision)


def _run_steps(connection: Connection, revision: str = "head") -> None:
    from alembic import command, config  # noqa: PLC0415 - 0.3 s, as the module's head says

    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.attributes["connection"] = connection
    command.upgrade(settings, revision)
    if is_sqlite(connection.engine):
        # Steps run without foreign keys (see `engine.py`), so look whether they still hold, and
        # don't lend this connection to anybody else.
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:  # pragma: no cover - a step that breaks references must not be released
            message = f"a migration left rows without their parent: {broken[:3]}"
            raise RuntimeError(message)
        connection.detach()


def _steps() -> tuple[str, ...]:
    """Every step that this Bursar knows, in order."""
    return tuple(sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*.py")))
