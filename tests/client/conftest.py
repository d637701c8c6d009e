"""A server for the tests of the client: one folder per module, so that each test file starts empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar_client import BursarClient
from tests.support.serving import ADMIN_KEY, RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A running server with nothing in it."""
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Generator[BursarClient]:
    """A client of it that may everything."""
    with BursarClient(server.url, ADMIN_KEY) as made:
        yield made
