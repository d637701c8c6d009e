"""What the kept price book promises, on SQLite and on PostgreSQL: whole updates, in one order, for good."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from bursar.errors import BookMoved
from bursar.pricing.keeping.keeper import Author, PriceKeeper
from bursar.pricing.keeping.kept import KeptBook, UpdateHead
from bursar.pricing.keeping.source import Remark
from bursar.pricing.keeping.update import Wish, plan_update
from bursar.storage.relational.dump import dump_state, restore_state
from bursar.storage.relational.migrate import upgrade
from bursar.storage.relational.price_book import RelationalPriceBook
from bursar.storage.relational.transactions import writing
from tests.support.price_sources import a_row, a_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from bursar.pricing.keeping.source import PriceSource

NOON = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
ODD_ROW = a_row(
    "suche-ünï",
    "input_audio",
    "0.0000000000000000001",
    currency="EUR",
    context_over=200_000,
    context_upto=272_000,
    service_tier="priority",
    batch=True,
    speed="fast",
    region="eu",
    hours=(79_200, 3_600),
    weekdays=(0, 4, 6),
    minimum=Decimal("0.5"),
    valid_from=NOON - timedelta(days=400),
    valid_to=NOON + timedelta(microseconds=1),
)


@pytest.fixture
def store(state_engine: Engine) -> RelationalPriceBook:
    return RelationalPriceBook(state_engine)


def keep(
    store: RelationalPriceBook, source: PriceSource, at: datetime = NOON, *, retires: bool = False
) -> int | None:
    """Update through a keeper; the number of the update, or None where nothing changed."""
    _, update = PriceKeeper(store, lambda: at).update(source, Wish(at, retires), Author("key_1", "a test"))
    return update.number if update else None


def rows_in(book: KeptBook) -> list[str]:
    return sorted(one.as_known().to_json() for rows in book.rows.values() for one in rows)


def test_a_new_store_has_an_empty_book(store: RelationalPriceBook) -> None:
    assert (store.latest(), store.load(), list(store.updates(9)), list(store.sources())) == (
        0,
        KeptBook(),
        [],
        [],
    )


def test_every_field_of_a_row_comes_back(store: RelationalPriceBook) -> None:
    source = a_source(ODD_ROW, a_row(price="2.50"))
    assert keep(store, source) == 1
    book = store.load()
    assert rows_in(book) == sorted(row.to_json() for row in (ODD_ROW, a_row(price="2.50")))
    kept = store.history("acme", "suche-ünï")[0]
    assert (kept.row, kept.row.hash, kept.ends) == (ODD_ROW, ODD_ROW.hash, ())
    assert [one.entry for one in book.entries.values()] == list(source.entries)
    assert book.version == "genai-prices 1"


def test_an_update_tells_who_when_and_why(store: RelationalPriceBook) -> None:
    remark = Remark("field", "not understood", 3, "acme/ünï")
    head = UpdateHead(
        recorded_at=NOON,
        source="genai-prices",
        version="1",
        content_hash="ab" * 16,
        made_by="key_1",
        note="¢ why",
        valid_from=NOON,
        counts={"new": 1},
        remarks=(remark,),
    )
    plan = plan_update(KeptBook(), a_source(a_row()), Wish(NOON))
    update = store.append(head, plan, 0)
    assert list(store.updates(9)) == [update]
    assert (update.number, update.made_by, update.note, update.remarks) == (1, "key_1", "¢ why", (remark,))


def test_the_same_source_twice_is_no_update(store: RelationalPriceBook) -> None:
    assert keep(store, a_source(a_row())) == 1
    assert keep(store, a_source(a_row()), NOON + timedelta(days=1)) is None
    assert keep(store, a_source(a_row(), version="2"), NOON + timedelta(days=1)) == 2, (
        "another version is told"
    )
    assert rows_in(store.load()) == [a_row().to_json()]


def test_a_changed_price_is_a_new_row_and_the_old_one_stays_with_its_end(store: RelationalPriceBook) -> None:
    later = NOON + timedelta(days=3)
    keep(store, a_source(a_row(price="1")))
    keep(store, a_source(a_row(price="2"), version="2"), later)
    old, new = store.history("acme", "small-1")
    assert (old.row, [(update.number, at) for update, at in old.ends]) == (a_row(price="1"), [(2, later)])
    assert (new.row, new.update.number, new.ends) == (a_row(price="2", valid_from=later), 2, ())
    (state,) = store.sources()
    assert (state.update.number, state.rows, state.open_rows) == (2, 2, 1)


def test_the_book_is_read_as_it_was_known_earlier(store: RelationalPriceBook) -> None:
    later = NOON + timedelta(days=3)
    keep(store, a_source(a_row(price="1")))
    keep(store, a_source(a_row(price="2"), version="2"), later)
    assert rows_in(store.load(NOON)) == [a_row(price="1").to_json()]
    assert store.load(NOON - timedelta(microseconds=1)) == KeptBook()
    assert rows_in(store.load(later)) == rows_in(store.load())


def test_a_plan_that_isnt_based_on_the_latest_update_is_refused_whole(store: RelationalPriceBook) -> None:
    keep(store, a_source(a_row()))
    before = rows_in(store.load())
    plan = plan_update(KeptBook(), a_source(a_row("other")), Wish(NOON))
    head = UpdateHead(
        recorded_at=NOON,
        source="genai-prices",
        version="9",
        content_hash="",
        made_by="x",
        note="",
        valid_from=NOON,
        counts={},
    )
    for based_on in (0, 2):
        with pytest.raises(BookMoved):
            store.append(head, plan, based_on)
    assert (rows_in(store.load()), store.latest()) == (before, 1)


def test_of_updates_at_the_same_time_each_is_based_on_the_one_before(
    state_url: str, open_engine: Callable[[str], Engine]
) -> None:
    stores = [RelationalPriceBook(open_engine(state_url)) for _ in range(3)]
    start = threading.Barrier(len(stores))
    numbers: list[int | None] = []

    def work(place: int) -> None:
        start.wait()
        numbers.append(keep(stores[place], a_source(a_row(f"model-{place}"), version=f"1+file.{place}")))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number or 0 for number in numbers) == [1, 2, 3]
    assert {place[1] for place in stores[0].load().rows} == {"model-0", "model-1", "model-2"}


def test_an_update_that_fails_half_way_leaves_nothing(
    store: RelationalPriceBook, state_engine: Engine
) -> None:
    with writing(state_engine) as connection:
        connection.execute(text("DROP TABLE price_providers"))
    with pytest.raises(Exception, match="price_providers"):
        keep(store, a_source(a_row()))
    assert (store.latest(), list(store.history("acme", "small-1"))) == (0, [])


def test_a_dump_holds_the_whole_book(
    store: RelationalPriceBook,
    state_engine: Engine,
    empty_state_url: str,
    open_engine: Callable[[str], Engine],
    tmp_path: Path,
) -> None:
    keep(store, a_source(ODD_ROW, a_row(price="1")))
    keep(store, a_source(a_row(price="2"), version="2"), NOON + timedelta(days=3))
    dump_state(state_engine, tmp_path / "dump")
    url = empty_state_url if "postgres" in empty_state_url else f"sqlite:///{tmp_path}/new.db"
    target = open_engine(url)
    restore_state(target, tmp_path / "dump")
    upgrade(target)
    restored = RelationalPriceBook(target)
    assert list(restored.updates(9)) == list(store.updates(9))
    assert rows_in(restored.load()) == rows_in(store.load())
    assert rows_in(restored.load(NOON)) == rows_in(store.load(NOON))
    assert list(restored.history("acme", "small-1")) == list(store.history("acme", "small-1"))
