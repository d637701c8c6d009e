"""One running server for all tests of the HTTP surface that don't need a server of their own.

Questions about usage are tested without one, in a house of their own (`support/usage_house.py`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.support.serving import RunningServer, running_server
from tests.support.usage_house import House, open_house, three_days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with nothing in it at first; tests must not rely on what others leave there."""
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """Every line that is logged during the test, of any level, with what is bound to the request."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines


@pytest.fixture(scope="module")
def opened_house() -> Iterator[House]:
    """A house for all tests of a module."""
    with open_house() as house:
        yield house


@pytest.fixture
def house(opened_house: House) -> House:
    """The house without events."""
    opened_house.ledger.clear()
    return opened_house


@pytest.fixture
def busy(house: House) -> House:
    """The house with three days of events."""
    house.ledger.add(*three_days())
    return house
