"""Fixtures that every test may ask for; each is defined in `support/`, beside what it builds."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tests.support.relational"]

# Tests start hundreds of processes. Where bytecode isn't kept, as in many containers, each of them compiles
# all sources anew, which takes twice as long as everything else that it does at its start.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take minutes begin first: at the end one of them would run alone."""
    items.sort(key=lambda item: item.path.parent.name != "flows")


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo what a test does to the log: a command in this process sends it to a stream of its own."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
