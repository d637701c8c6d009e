"""Clients that write down, durably and apart from the server, what they sent and what it answered.

Each writer syncs a line to its own log before it sends and another one after the answer. Whatever the
server says later is compared with these logs alone. An event is known by a mark of the writer's own (a
tag), not by its id: some events have their ids from the server.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.patience import DEADLINE_SECONDS
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODELS = (
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.0-flash"),
    ("acme", "none"),
)
ACKNOWLEDGED = frozenset([200, 202])
UNAVAILABLE = 503
AFTER_503_SECONDS = 0.05
"""Less than a server asks for, so that it is asked often while it can't."""
WITH_KEY_SHARE = 0.2
"""So many requests leave the ids of their events to the server and bring an `Idempotency-Key`."""
WAITING_SHARE = 0.2
"""So many wait until their events are in the store."""
RETRIED_SHARE = 0.5
"""Of the requests whose answer never came, this share is sent again; the others stay open."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was sent: the same again in every retry."""

    path: str
    events: list[dict[str, Any]]
    idempotency_key: str | None = None

    @property
    def marks(self) -> list[str]:
        """Which events are in it."""
        return [event["tags"]["mark"] for event in self.events]


class Diary:
    """One writer's log: a line is on disk before `note` returns."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, **line: Any) -> None:  # noqa: ANN401 - any JSON value
        """Keep a line."""
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


@dataclass(slots=True)
class Account:
    """What the logs of all writers say."""

    sent: set[str] = field(default_factory=set[str])
    costs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """By mark of each acknowledged event: the cost that was answered."""
    answers: Counter[int] = field(default_factory=Counter[int])
    """How often each status was answered."""
    without_retry_after: int = 0
    """Answers with 503 that don't say when to come back: there should be none."""

    @property
    def unavailable(self) -> int:
        """Answers with 503: nothing was accepted."""
        return self.answers[UNAVAILABLE]

    @property
    def refused(self) -> int:
        """Other answers that were no success: there should be none."""
        return self.answers.total() - self.unavailable - sum(self.answers[one] for one in ACKNOWLEDGED)

    @classmethod
    def of(cls, folder: Path) -> Account:
        """Read every log in the folder; of a writer at work, whose last line isn't whole yet, what is."""
        account = cls()
        for path in sorted(folder.glob("*.log")):
            whole, _, _ = path.read_text().rpartition("\n")
            for line in whole.splitlines():
                account._add(json.loads(line))
        return account

    def _add(self, line: dict[str, Any]) -> None:
        self.sent.update(line.get("sending", ()))
        status = line.get("status")
        if status in ACKNOWLEDGED:
            self.costs.update(zip(line["marks"], line["costs"], strict=True))
        if status is not None:
            self.answers[status] += 1
        self.without_retry_after += status == UNAVAILABLE and not line["retry_after"]


class Writer(threading.Thread):
    """Posts events, one or many at a time, until it is told to stop or the server is gone."""

    def __init__(self, name: str, folder: Path, seed: int | str) -> None:
        super().__init__(name=name, daemon=True)
        self.url = ""
        self.round = 0
        self.acknowledged = 0
        """Requests acknowledged so far; read by whoever decides when to kill."""
        self._random = random.Random(f"{seed}/{name}")
        self._diary = Diary(folder / f"{name}.log")
        self._sent = 0
        self._open: list[Request] = []
        self._go, self._paused, self._leaving = threading.Event(), threading.Event(), False
        self._resting = threading.Event()

    def run(self) -> None:
        """Write whenever told to; rest while the server is away."""
        while self._go.wait() and not self._leaving:
            with httpx.Client(
                base_url=self.url, headers={"X-API-Key": ADMIN_KEY}, timeout=DEADLINE_SECONDS
            ) as client:
                while not self._resting.is_set() and self._send_next(client):
                    pass
            self._go.clear()
            self._paused.set()
        self._diary.close()

    def resume(self, url: str, cycle: int) -> None:
        """Begin a round against the server at `url`."""
        self.url, self.round = url, cycle
        self._paused.clear()
        self._resting.clear()
        self._go.set()

    def rest(self) -> None:
        """Send nothing more, though the server is there; returns after the last answer."""
        self._resting.set()
        self.wait_until_paused()

    def wait_until_paused(self) -> None:
        """Return once the server's end was noticed."""
        assert self._paused.wait(2 * DEADLINE_SECONDS), f"{self.name} still waits for an answer"

    def leave(self) -> None:
        """End the thread."""
        self._leaving = True
        self._go.set()
        self.join(2 * DEADLINE_SECONDS)

    def _send_next(self, client: httpx.Client) -> bool:
        """Send one request; False when the server is gone."""
        request = self._choose()
        self._diary.note(sending=request.marks)
        headers = {"Idempotency-Key": request.idempotency_key} if request.idempotency_key else {}
        body: Any = request.events if len(request.events) > 1 else request.events[0]
        try:
            answer = client.post(request.path, json=body, headers=headers)
        except httpx.TransportError:
            self._open.append(request)
            return False
        self._note(request, answer)
        return True

    def _note(self, request: Request, answer: httpx.Response) -> None:
        accepted: list[dict[str, Any]] = []
        if answer.status_code in ACKNOWLEDGED:
            accepted = answer.json().get("events", [])
        self._diary.note(
            status=answer.status_code,
            marks=request.marks,
            costs=[one["cost"] for one in accepted],
            retry_after=answer.headers.get("retry-after"),
        )
        if answer.status_code == UNAVAILABLE:
            self._open.append(request)
            self._resting.wait(AFTER_503_SECONDS)
        else:
            self.acknowledged += 1

    def _choose(self) -> Request:
        if self._open and self._random.random() < RETRIED_SHARE:
            return self._open.pop(self._random.randrange(len(self._open)))
        if self._open and self._random.random() < RETRIED_SHARE:
            self._open.pop()
        count = self._random.choice((1, 1, 1, 2, 10, 40))
        path = (
            "/api/v1/events/batch"
            if count > 1 and self._random.random() < RETRIED_SHARE
            else "/api/v1/events"
        )
        if self._random.random() < WAITING_SHARE:
            path += "?wait=applied"
        with_key = self._random.random() < WITH_KEY_SHARE
        events = list(self._events(count, with_ids=not with_key))
        return Request(path, events, f"key-{events[0]['tags']['mark']}" if with_key else None)

    def _events(self, count: int, *, with_ids: bool) -> Iterator[dict[str, Any]]:
        for _ in range(count):
            self._sent += 1
            mark = f"{self.name}-{self._sent}"
            provider, model = self._random.choice(MODELS)
            event = {
                "provider": provider,
                "model": model,
                "input_tokens": self._random.randint(1, 100_000),
                "output_tokens": self._random.randint(0, 5_000),
                "latency_ms": self._random.randint(1, 30_000) / 10,
                "user_id": f"user-{self._random.randint(1, 50)}",
                "operation": f"round-{self.round}",
                "tags": {"mark": mark},
            }
            yield {"event_id": f"evt-{mark}", **event} if with_ids else event
