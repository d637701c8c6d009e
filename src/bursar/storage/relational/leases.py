"""Leases in SQL; implements `LeaseStore` of `scheduling/store.py` for a lease of one name.

Taking one is a single statement that names what was seen before, so of two that try at once one wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from bursar.errors import Conflict
from bursar.scheduling.store import LeaseSight
from bursar.storage.relational.tables.jobs import LEASES
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from sqlalchemy import Engine


class RelationalLease:
    """Keeps the lease of this name in the tables behind an engine."""

    def __init__(self, engine: Engine, name: str) -> None:
        """Keep it behind `engine`, whose tables are up to date."""
        self._engine = engine
        self._name = name

    def look(self) -> LeaseSight | None:
        """See `LeaseStore.look`."""
        with reading(self._engine) as connection:
            row = connection.execute(select(LEASES).where(LEASES.c.name == self._name)).one_or_none()
        return None if row is None else LeaseSight(row.holder, row.place, row.beat)

    def take(self, mine: LeaseSight, seen: LeaseSight | None) -> bool:
        """See `LeaseStore.take`."""
        values = {"holder": mine.holder, "place": mine.place, "beat": mine.beat}
        taken = Conflict("The lease is taken.")
        try:
            with writing(self._engine) as connection, refusing(duplicate=taken):
                if seen is None:
                    connection.execute(insert(LEASES).values(name=self._name, **values))
                    return True
                unchanged = (
                    LEASES.c.name == self._name,
                    LEASES.c.holder == seen.holder,
                    LEASES.c.beat == seen.beat,
                )
                return connection.execute(update(LEASES).where(*unchanged).values(values)).rowcount > 0
        except Conflict:
            return False

    def beat(self, holder: str) -> bool:
        """See `LeaseStore.beat`."""
        mine = LEASES.c.name == self._name, LEASES.c.holder == holder
        with writing(self._engine) as connection:
            done = connection.execute(update(LEASES).where(*mine).values(beat=LEASES.c.beat + 1))
        return done.rowcount > 0

    def release(self, holder: str) -> None:
        """See `LeaseStore.release`."""
        with writing(self._engine) as connection:
            connection.execute(delete(LEASES).where(LEASES.c.name == self._name, LEASES.c.holder == holder))
