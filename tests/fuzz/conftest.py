"""One server for each module; at its end everything that was accepted must be there and tie out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.door import Door
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The door for events of an empty server, whose whole account is settled in the end."""
    with running_server(tmp_path_factory.mktemp("data"), max_past_days=3650) as server:
        door = Door(server)
        yield door
        door.settle()
