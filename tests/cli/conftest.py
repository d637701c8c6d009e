"""A server for the tests of commands: one folder per module, so that each test file starts empty."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A running server with nothing in it."""
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(autouse=True)
def _logging_as_before() -> Generator[None]:
    """A command run in this process may send the log to a stream that ends with the command."""
    chosen, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**chosen)
    root.handlers[:] = handlers
    root.setLevel(level)
