"""The door for events as a suspicious client sees it: every answer is checked, nothing may get lost.

Whatever is sent, the answer is one of a few, it accounts for every item of the body, and what it says
was accepted must be found in the store at the end (`settle`).
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.storage.journal.batches import batches_up_to
from bursar.usage.event import UsageEvent
from bursar.usage.record import UsageRecord
from tests.support.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.serving import RunningServer

ACCEPTED = frozenset([200, 202])
REFUSED = frozenset([400, 403, 413, 415, 422])
BUSY = 503


class StrictRecord(UsageRecord, kw_only=True, forbid_unknown_fields=True):
    """A usage record as it is read back, with nothing in it that isn't described."""


class Door:
    """Sends bodies and keeps account of what was accepted."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.accepted: set[str] = set()
        self._numbers = itertools.count()

    def good_event(self) -> bytes:
        """An event that nothing is wrong with."""
        return b'{"event_id":"good-%d","model":"gpt-4o-mini","input_tokens":7}' % next(self._numbers)

    def post(
        self, body: bytes, media_type: str = "application/json", path: str = "/api/v1/events", **headers: str
    ) -> httpx.Response:
        """Send a body; the answer is a known one and says what became of every item."""
        named = {
            "content-type": media_type,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        answer = self.server.client.post(path, content=body, headers=named, timeout=60)
        assert answer.status_code in ACCEPTED | REFUSED | {BUSY}, answer.text
        document = answer.json()
        if answer.status_code in ACCEPTED:
            self._check_account(document)
            self.accepted |= {event["event_id"] for event in document["events"]}
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            assert document["status"] == answer.status_code
            assert document["code"]
        return answer

    def post_among_neighbours(self, item: bytes, *, is_json: bool) -> None:
        """Send it between good events, in every form that has many; the good ones must be accepted.

        Of a list that isn't one (`is_json` false) nothing can be accepted; lines stand each for itself.
        """
        before, after = self.good_event(), self.good_event()
        self._expect_neighbours(self.post(b"[%b,%b,%b]" % (before, item, after)), is_json=is_json)
        before, after = self.good_event(), self.good_event()
        wrapped = b'{"events":[%b,%b,%b]}' % (before, item, after)
        self._expect_neighbours(self.post(wrapped, path="/api/v1/events/batch"), is_json=is_json)
        if b"\n" not in item and b"\r" not in item:
            lines = b"%b\n%b\n%b\n" % (self.good_event(), item, self.good_event())
            self._expect_neighbours(self.post(lines, "application/x-ndjson"), is_json=True)

    def settle(self) -> None:
        """All that was accepted is in the store, readable and summed up; and nothing unreadable is."""
        platform = self.server.platform
        wait_until(
            lambda: platform.applier.state.applied_seq >= platform.journal.mark.last_seq, "all is applied"
        )
        cursor = platform.stores.database.cursor()
        ours = "SELECT event_id FROM usage_events WHERE tenant_id = 'default'"
        stored = {row[0] for row in cursor.execute(ours).fetchall()}
        unreadable = cursor.execute(
            "SELECT detail, record FROM quarantine WHERE reason <> 'conflict'"
        ).fetchall()
        cursor.close()
        assert unreadable == []
        assert self.accepted <= stored
        recount = platform.stores.recount(lambda _step, _records: None)
        assert recount.is_clean, recount.differences
        self._read_all_pages(len(stored))
        for line in self.lines():
            check_record(line)

    def lines(self) -> Iterator[bytes]:
        """Every record of the journal as it was written."""
        platform = self.server.platform
        for batch in batches_up_to(platform.folder.journal, platform.journal.mark.last_seq):
            yield from batch.payload.splitlines()

    def _read_all_pages(self, count: int) -> None:
        read, cursor = 0, {}
        while True:
            page = self.server.client.get("/api/v1/usage", params={"window": "all", "limit": 5000, **cursor})
            assert page.status_code == 200, page.text
            document = page.json()
            read += len(document["events"])
            if not document["has_more"]:
                break
            cursor = {"cursor": document["next_cursor"]}
        assert read == count == document["total_count"]

    @staticmethod
    def _check_account(document: dict[str, Any]) -> None:
        assert len(document["events"]) == document["accepted"] > 0
        places = [one["index"] for one in document["rejected"]]
        assert places == sorted(set(places))
        count = document["accepted"] + len(places)
        assert all(0 <= place < count for place in places)
        for one in document["rejected"]:
            assert one["errors"]
            assert all(reason["code"] and reason["message"] for reason in one["errors"])

    @staticmethod
    def _expect_neighbours(answer: httpx.Response, *, is_json: bool) -> None:
        document = answer.json()
        if not is_json:
            assert answer.status_code == 400, document
            return
        assert answer.status_code in ACCEPTED, document
        assert document["accepted"] + len(document["rejected"]) == 3, document
        assert [one["index"] for one in document["rejected"]] in ([], [1]), document
        ids = [event["event_id"] for event in document["events"]]
        assert ids[0].startswith("good-"), document
        assert ids[-1].startswith("good-"), document


def check_record(line: bytes) -> None:
    """A journal line is JSON for every reader, and exactly what `record.py` and `event.py` describe."""
    json.loads(line, parse_constant=_no_constant)
    record = msgspec.json.decode(line, type=StrictRecord)
    assert (record.v, record.kind) == (1, "usage")
    event = msgspec.json.decode(record.event, type=UsageEvent)
    assert event.tenant_id is None
    assert event.event_id or record.event_id


def _no_constant(name: str) -> None:
    message = f"{name} is no JSON"
    raise ValueError(message)
