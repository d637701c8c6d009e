"""Price snapshots: each rate card ever used, kept by the hash of its content.

An event names the card that priced it, so the card must be here before the event is. Cards are never
changed or removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from bursar.errors import Conflict, Reason
from bursar.storage.relational.tables.identity import TENANTS
from bursar.storage.relational.tables.prices import PRICE_SNAPSHOTS
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from sqlalchemy import Engine


class PriceSnapshotStore:
    """Keeps rate cards for as long as the store lives."""

    def __init__(self, engine: Engine) -> None:
        """Keep them in the tables behind `engine`."""
        self._engine = engine

    def save(self, card_id: str, document: str) -> None:
        """Keep a card; on disk when this returns. Saving the same card again changes nothing.

        Raises:
            Conflict: the id stands for another document.
        """
        taken = Conflict(
            f"The price snapshot {card_id} exists with another content.",
            reasons=(Reason("card_id", "snapshot_exists", "an id is the hash of its document"),),
        )
        try:
            with writing(self._engine) as connection, refusing(duplicate=taken):
                connection.execute(insert(PRICE_SNAPSHOTS).values(card_id=card_id, document=document))
        except Conflict:
            if self.load(card_id) != document:
                raise

    def load(self, card_id: str) -> str | None:
        """The card's document, or None if it was never saved."""
        question = select(PRICE_SNAPSHOTS.c.document).where(PRICE_SNAPSHOTS.c.card_id == card_id)
        with reading(self._engine) as connection:
            return connection.execute(question).scalar_one_or_none()

    def known(self) -> set[str]:
        """The ids of every card saved."""
        with reading(self._engine) as connection:
            return set(connection.execute(select(PRICE_SNAPSHOTS.c.card_id)).scalars())


def named_by_records(engine: Engine) -> frozenset[str]:
    """What journal records name and the state store keeps: the ids of its tenants and rate cards.

    Raises:
        Unavailable: the store doesn't answer.
    """
    with reading(engine) as connection:
        tenants = connection.execute(select(TENANTS.c.id)).scalars()
        cards = connection.execute(select(PRICE_SNAPSHOTS.c.card_id)).scalars()
        return frozenset((*(f"tenant {one}" for one in tenants), *(f"card {one}" for one in cards)))
