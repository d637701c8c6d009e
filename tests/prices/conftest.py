"""The price book for every test here: the real one, read once, because reading it takes most of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar.pricing.genai_source import load_book

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook


@pytest.fixture(scope="session")
def book() -> PriceBook:
    """The bundled price book."""
    return load_book()
