"""The price book for every test here: the real one, read once, because reading it takes most of a second."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from bursar import clock
from bursar.pricing.genai_source import load_book
from bursar.pricing.keeping.keeper import PriceKeeper
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.price_book import RelationalPriceBook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.pricing.book import PriceBook


@pytest.fixture(scope="session")
def book() -> PriceBook:
    """The bundled price book."""
    return load_book()


@pytest.fixture(scope="session")
def kept_book(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PriceBook]:
    """The same as a ledger keeps it: written by a first start, read by a second one."""
    path = shutil.copy(migrated_sqlite, tmp_path_factory.mktemp("kept") / "state.db")
    engine = make_engine(f"sqlite:///{path}")
    PriceKeeper(RelationalPriceBook(engine), clock.now).open_book()
    yield PriceKeeper(RelationalPriceBook(engine), clock.now).open_book()
    engine.dispose()
