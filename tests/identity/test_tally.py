"""Counts that wait until they are written down: each counts once, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from operator import add
from typing import TypeAlias

import pytest

from bursar.errors import Unavailable
from bursar.identity.tally import Tally

Counts: TypeAlias = Mapping[tuple[str, str], int]
FIRST, SECOND, RIVALS = ("acme", "first"), ("acme", "second"), ("rival", "first")


def test_what_was_counted_is_written_down_once_and_together() -> None:
    tally, written = Tally[int](add), list[Counts]()
    tally.note({FIRST: 1, RIVALS: 5})
    tally.note({FIRST: 2, SECOND: 1})
    for _ in range(2):
        tally.write_down(written.append)
    assert written == [{FIRST: 3, SECOND: 1, RIVALS: 5}]
    tally.note({FIRST: 1})
    tally.write_down(written.append)
    assert written[1:] == [{FIRST: 1}]


def test_what_could_not_be_written_waits_with_what_came_meanwhile() -> None:
    tally, written = Tally[int](add), list[Counts]()
    tally.note({FIRST: 1, RIVALS: 5})

    def fail(_: Counts) -> None:
        tally.note({FIRST: 2, SECOND: 1})
        raise Unavailable

    with pytest.raises(Unavailable):
        tally.write_down(fail)
    tally.write_down(written.append)
    assert written == [{FIRST: 3, SECOND: 1, RIVALS: 5}]
