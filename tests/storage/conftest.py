"""A ledger without a server, for tests of what happens behind the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.ledger import Ledger, opened_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Empty stores, in a folder whose name needs quoting."""
    with opened_ledger(tmp_path / "a ledger's folder") as opened:
        yield opened
