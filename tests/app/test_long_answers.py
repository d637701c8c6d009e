"""Answers that take minutes are never silent for long, and work that nobody waits for ends."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bursar.app import long_answers
from bursar.app.long_answers import answer_in_lines

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from bursar.app.long_answers import Progress, Work


def lines_of(work: Work) -> AsyncGenerator[dict[str, Any]]:
    async def read() -> AsyncGenerator[dict[str, Any]]:
        async for line in answer_in_lines("trial", work).body_iterator:
            assert isinstance(line, bytes)
            yield json.loads(line)

    return read()


def test_a_step_that_takes_long_is_said_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_answers, "ALIVE_SECONDS", 0.02)
    go_on = threading.Event()

    def work(tell: Progress) -> Mapping[str, Any]:
        tell("comparing usage_events", 7)
        assert go_on.wait(30)
        return {"is_clean": True}

    async def hear() -> list[dict[str, Any]]:
        heard: list[dict[str, Any]] = []
        async for line in lines_of(work):
            heard.append(line)
            if heard.count({"step": "comparing usage_events", "records": 7}) >= 3:
                go_on.set()
        return heard

    heard = asyncio.run(hear())
    assert heard[0] == {"step": "beginning", "records": 0}
    assert heard[-1] == {"result": {"is_clean": True}}


def test_work_whose_listener_has_left_ends_with_its_next_word() -> None:
    begun, left, ended = threading.Event(), threading.Event(), threading.Event()

    def work(tell: Progress) -> Mapping[str, Any]:
        begun.set()
        assert left.wait(30)
        try:
            tell("reading the journal", 1)
        finally:
            ended.set()
        pytest.fail("it went on")

    async def hear() -> None:
        lines = lines_of(work)
        await anext(lines)
        assert await asyncio.to_thread(begun.wait, 30)
        await lines.aclose()

    asyncio.run(hear())
    left.set()
    assert ended.wait(30)
