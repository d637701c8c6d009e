"""A tenant that posts over many connections at once waits for itself beside others, and loses nothing."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bursar.app import post_shares
from bursar.app.post_shares import ALONE_SECONDS, AT_ONCE, AT_ONCE_LIMIT, POST_SECONDS, PostShares
from tests.support.access import ask, keys_of
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

EVENT = {"provider": "openai", "model": "gpt-5", "input_tokens": 12, "output_tokens": 3}


def post(shares: PostShares, tenant_id: str, now: float, begun: list[str]) -> bool:
    """Whether a post begins at once; one that waits is noted when it begins."""
    if not shares.must_wait(tenant_id, now):
        shares.enter(tenant_id)
        return True

    def begin() -> bool:
        begun.append(tenant_id)
        shares.enter(tenant_id)
        return True

    shares.wait(tenant_id, begin)
    return False


def test_a_tenant_that_is_alone_never_waits() -> None:
    shares = PostShares(lambda: 0.0)
    assert all(post(shares, "flooding", 0.0, []) for _ in range(10 * AT_ONCE))


def test_beside_another_it_waits_for_its_own_and_the_other_never_does() -> None:
    shares, begun = PostShares(lambda: 0.0), list[str]()
    assert post(shares, "steady", 0.0, begun)
    assert sum(post(shares, "flooding", 0.1, begun) for _ in range(AT_ONCE + 5)) == AT_ONCE
    assert post(shares, "steady", 0.2, begun)
    shares.leave("steady")
    assert begun == []
    for _ in range(2):
        shares.leave("flooding")
    assert begun == ["flooding"] * 2
    assert shares.waiting("flooding") == 3


@pytest.mark.parametrize(
    ("posts_a_commit", "share"), [(1, AT_ONCE), (AT_ONCE + 5.5, AT_ONCE + 5), (10**6, AT_ONCE_LIMIT)]
)
def test_as_many_are_under_way_as_the_loop_answers_while_the_disk_takes_a_commit(
    posts_a_commit: float, share: int
) -> None:
    shares = PostShares(lambda: posts_a_commit * POST_SECONDS)
    post(shares, "steady", 0.0, [])
    assert sum(post(shares, "flooding", 0.1, []) for _ in range(2 * AT_ONCE_LIMIT)) == share


def test_what_waits_begins_though_the_other_has_left_and_none_is_forgotten() -> None:
    shares, begun = PostShares(lambda: 0.0), list[str]()
    post(shares, "steady", 0.0, begun)
    for _ in range(AT_ONCE + 3):
        post(shares, "flooding", 0.1, begun)
    assert post(shares, "flooding", 0.2 + ALONE_SECONDS, begun)
    for _ in range(AT_ONCE + 4):
        shares.leave("flooding")
    assert begun == ["flooding"] * 3
    assert shares.waiting("flooding") == 0


def test_one_that_can_not_begin_lets_the_next_one() -> None:
    shares, tried = PostShares(lambda: 0.0), list[int]()

    def begin(which: int) -> bool:
        tried.append(which)
        return which == 2

    shares.enter("flooding")
    for which in (1, 2, 3):
        shares.wait("flooding", lambda which=which: begin(which))
    shares.leave("flooding")
    assert tried == [1, 2]
    assert shares.waiting("flooding") == 1


def test_every_post_that_waited_is_answered_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post_shares, "AT_ONCE", 2)
    monkeypatch.setattr(post_shares, "AT_ONCE_LIMIT", 2)
    monkeypatch.setattr(post_shares, "ALONE_SECONDS", 600.0)
    reached, go_on, sync = threading.Event(), threading.Event(), os.fdatasync

    def slow(descriptor: int) -> None:
        reached.set()
        assert go_on.wait(60)
        sync(descriptor)

    with running_server(tmp_path / "d") as server:
        keys = [keys_of(server, tenant)["ingest"] for tenant in ("flooding", "steady")]
        flooding, steady = keys

        def send(key: str, nth: int) -> int:
            return ask(
                server, key, "POST", "/api/v1/events", json=EVENT | {"event_id": f"e-{nth}"}
            ).status_code

        # The keys and the prices are known from here on.
        assert [send(key, 0) for key in keys] == [202, 202]
        before = server.platform.journal.counters.records
        with monkeypatch.context() as disk, ThreadPoolExecutor(13) as senders:
            disk.setattr(os, "fdatasync", slow)
            flood = [senders.submit(send, flooding, nth) for nth in range(1, 13)]
            assert reached.wait(60)
            other = senders.submit(send, steady, 1)
            waiting = server.platform.journal
            wait_until(lambda: waiting.pending_bytes > 0, "something waits for the disk")
            go_on.set()
            assert {one.result() for one in (*flood, other)} == {202}
        assert server.platform.journal.counters.records == before + 13
