"""Tests that share an id: of those, pytest-xdist runs one and says nothing of the others.

It keeps what is to be run by id. Tests that a plugin collects may come to share one.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def refuse_shared_ids(node_ids: Iterable[str]) -> None:
    """End the run before it begins where two tests have the same id; names at most ten of them."""
    shared = [f"{count} x {node_id}" for node_id, count in Counter(node_ids).items() if count > 1]
    if shared:
        message = f"of tests that share an id only one would run: {', '.join(shared[:10])}"
        raise pytest.UsageError(message)
