"""The keeper of the price book: loads it, keeps updates, and hands each new book to whoever rates.

In this process an update counts at once; other processes on the same store look every few seconds
(`refresh`). Reading and planning may take a second, so nothing here runs on an event loop.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import structlog

from bursar.errors import BookMoved, Conflict, Reason
from bursar.pricing.book import PriceBook
from bursar.pricing.keeping.book_data import data_of_kept
from bursar.pricing.keeping.gaps import gaps_filled
from bursar.pricing.keeping.installed import installed_version, is_newer, is_older_package, read_installed
from bursar.pricing.keeping.kept import KeptBook, UpdateHead
from bursar.pricing.keeping.source import GENAI
from bursar.pricing.keeping.update import Plan, Wish, plan_update

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bursar.pricing.keeping.kept import PriceUpdate
    from bursar.pricing.keeping.source import PriceSource
    from bursar.pricing.keeping.store import PriceStore

TRIES = 3
"""Updates by others that may come in between before one is given up as a conflict."""
BY_BURSAR = "bursar"
"""Who makes the updates of a start."""

log = structlog.get_logger()


class Author(NamedTuple):
    """Who asks for an update, and why."""

    made_by: str
    note: str = ""


class PriceKeeper:
    """Keeps the book; safe to call from any thread."""

    def __init__(self, store: PriceStore, now: Callable[[], datetime]) -> None:
        """Know nothing yet; `open_book` loads the book."""
        self.store = store
        self._now = now
        self._lock = threading.Lock()
        self._book = KeptBook()
        self._listener: Callable[[PriceBook], None] = lambda _book: None

    @property
    def book(self) -> KeptBook:
        """The book as this process knows it."""
        return self._book

    def open_book(self) -> PriceBook:
        """The book for a start: a new one is filled from the installed package, an older one updated.

        Raises:
            Unavailable: the store doesn't answer.
        """
        self._book = self.store.load()
        recorded = self._book.versions.get(GENAI)
        installed = installed_version()
        if recorded is None:
            self._update_at_start("a new book, filled from the installed package")
        elif is_newer(installed, recorded):
            self._update_at_start(f"the installed package is newer than {recorded}")
        elif is_newer(recorded, installed):
            log.info("the price book is newer than the installed package", book=recorded, package=installed)
        return PriceBook(data_of_kept(self._book))

    def tell(self, listener: Callable[[PriceBook], None]) -> None:
        """Hand every new book to `listener` from now on."""
        self._listener = listener

    def refresh(self) -> bool:
        """Load the book anew if somebody updated it; answers whether somebody had.

        Raises:
            Unavailable: the store doesn't answer.
        """
        if self.store.latest() == self._book.number:
            return False
        self._take(self.store.load())
        return True

    def preview(self, source: PriceSource, wish: Wish) -> Plan:
        """What an update would change now; keeps nothing.

        Raises:
            Unavailable: the store doesn't answer.
        """
        self.refresh()
        return _plan(self._book, source, wish)

    def update(self, source: PriceSource, wish: Wish, author: Author) -> tuple[Plan, PriceUpdate | None]:
        """Keep what a source changes; answers that, and the update, or None where there was nothing to keep.

        Raises:
            Conflict: the source is a package with older data than the book has.
            BookMoved: others kept updating it.
            Unavailable: the store doesn't answer.
        """
        for _ in range(TRIES):
            self.refresh()
            book = self._book
            _refuse_older(book, source)
            plan = _plan(book, source, wish)
            if plan.is_empty and book.versions.get(source.name) == source.version:
                return plan, None
            try:
                update = self.store.append(self._head(plan, author), plan, book.number)
            except BookMoved:
                continue
            self._take(self.store.load())
            log.info(
                "the price book was updated", number=update.number, made_by=update.made_by, **update.counts
            )
            return plan, update
        raise BookMoved

    def _head(self, plan: Plan, author: Author) -> UpdateHead:
        return UpdateHead(
            recorded_at=self._now(),
            source=plan.source.name,
            version=plan.source.version,
            content_hash=plan.source.content_hash,
            made_by=author.made_by,
            note=author.note,
            valid_from=plan.valid_from,
            counts=plan.counts(),
            remarks=plan.source.remarks,
        )

    def _update_at_start(self, why: str) -> None:
        self.update(read_installed(), Wish(self._now()), Author(BY_BURSAR, why))

    def _take(self, book: KeptBook) -> None:
        with self._lock:
            if book.number <= self._book.number:
                return
            self._book = book
            self._listener(PriceBook(data_of_kept(book)))


def _refuse_older(book: KeptBook, source: PriceSource) -> None:
    recorded = book.versions.get(source.name)
    if recorded is not None and source.name == GENAI and is_older_package(source.version, recorded):
        message = (
            f"The book has the prices of {recorded}; those of the package {source.version} are older and"
            " would take newer ones back. Name a data file instead."
        )
        raise Conflict(message, reasons=(Reason("source", "older_source", message),))


def _plan(book: KeptBook, source: PriceSource, wish: Wish) -> Plan:
    """What a source changes; one other than genai-prices only fills gaps."""
    if source.name != GENAI:
        source = gaps_filled(book, data_of_kept(book), source, wish.valid_from)
    return plan_update(book, source, wish)
