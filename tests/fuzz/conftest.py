"""One server for each module; at its end everything that was accepted must be there and tie out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from schemathesis.pytest.plugin import SchemathesisFunction

from tests.support.door import Door
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let each operation be a test of its own: pytest 9.2 makes the id of the name they share."""
    if isinstance(item, SchemathesisFunction) and item.parent is not None:
        item._id = item.parent.id.child(item.name)  # pyright: ignore[reportPrivateUsage]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The door for events of an empty server, whose whole account is settled in the end."""
    with running_server(tmp_path_factory.mktemp("data"), max_past_days=3650) as server:
        door = Door(server)
        yield door
        door.settle()
