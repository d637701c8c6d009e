"""A state store on each engine, with runners that are pulsed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.jobs import House

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


@pytest.fixture
def house(state_engine: Engine) -> Iterator[House]:
    """Runners on a state store as if each were a process; their threads end with the test."""
    opened = House(state_engine)
    yield opened
    opened.stop_all()
