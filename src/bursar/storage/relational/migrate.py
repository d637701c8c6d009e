"""Bringing a state store's tables up to date, in one transaction and under a lock.

Two processes that start together don't clash: the second waits and finds nothing left to do. A store
written by a newer Bursar is refused, not touched. The steps are in `migrations/versions/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bursar.errors import NewerFormat
from bursar.storage.relational.engine import MIGRATES, is_sqlite
from bursar.storage.relational.transactions import reading, starting_alone, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Where a store stands."""

    current: str | None
    """The last step done; None for an empty store."""
    head: str
    """The last step that this Bursar knows."""
    pending: tuple[str, ...]
    """The steps that `upgrade` would do, in order."""


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
    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head()
    if head is None:  # pragma: no cover - a build without its migrations
        message = f"{MIGRATIONS} has no migrations"
        raise FileNotFoundError(message)
    with reading(engine) as connection:
        current = current_revision(connection)
    known = [step.revision for step in script.walk_revisions()]
    if current is not None and current not in known:
        message = (
            f"The state store is at step '{current}', which this Bursar doesn't know (it knows '{head}')."
        )
        raise NewerFormat(message)
    done = known.index(current) if current is not None else len(known)
    return MigrationStatus(current, head, tuple(reversed(known[:done])))


def current_revision(connection: Connection) -> str | None:
    """The last step done on the store behind this connection; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def build_at(connection: Connection, revision: str | None) -> None:
    """Make the tables of an empty store as they were at this step; none for None.

    The connection must come from `transactions.building`.

    Raises:
        NewerFormat: this Bursar doesn't know the step.
    """
    known = {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        message = f"The state store's dump is at step '{revision}', which this Bursar doesn't know."
        raise NewerFormat(message)
    if revision is not None:
        _run_steps(connection, revision)


def _run_steps(connection: Connection, revision: str = "head") -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if is_sqlite(connection.engine):
        # Steps run without foreign keys (see `engine.py`), so look whether they still hold, and
        # don't lend this connection to anybody else.
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:  # pragma: no cover - a step that breaks references must not be released
            message = f"a migration left rows without their parent: {broken[:3]}"
            raise RuntimeError(message)
        connection.detach()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
