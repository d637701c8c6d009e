"""Fixtures that every test may ask for; each is defined in `support/`, beside what it builds."""

from __future__ import annotations

import gc
import logging
import os
import sys
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.node_ids import refuse_shared_ids
from tests.support.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tests.support.relational"]

# Tests start hundreds of processes. Where bytecode isn't kept, as in many containers, each of them compiles
# all sources anew, which takes twice as long as everything else that it does at its start.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Half of what the collector costs goes into looking at young objects, of which tests make many at once.
gc.set_threshold(20_000, 20, 20)

# Whom tests trust they say themselves: a client of httpx would load the authorities of this machine in 27 ms,
# and tests make thousands of clients.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull

# How long an example takes says nothing on a busy machine.
settings.register_profile(
    "house", max_examples=rounds(25), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

LONGEST = (
    "flows/test_aimed_kills.py",
    "flows/test_rebuild_kills.py",
    "flows/test_faults.py",
    "flows/test_kill.py",
    "storage/test_changes.py",
    "api/test_forgetting_api.py",
)
"""Files of a minute and more; most of the next longest are `flows` too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take long begin first: at the end one of them would run alone."""
    refuse_shared_ids([item.nodeid for item in items])
    items.sort(key=lambda item: (not item.nodeid.partition("::")[0].endswith(LONGEST), not _is_flow(item)))


def _is_flow(item: pytest.Item) -> bool:
    return item.path.parent.name == "flows"


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo what a test does to the log: a command in this process sends it to a stream of its own."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
