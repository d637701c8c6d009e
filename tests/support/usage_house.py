"""A server that answers questions about usage, over a store of its own with events of two tenants.

Who asks is believed from a header, `who`; how keys become callers is tested elsewhere.
"""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json import dumps
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request

from bursar.app import problems
from bursar.errors import MissingKey
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission, Scope, permissions_of
from bursar.storage.duckdb.asking import DuckDBQuestions
from bursar.usage.api import make_router
from tests.support.asking import ask
from tests.support.usage_rows import Ledger, an_event

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import httpx

NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
CALLERS = {
    "acme": Caller("acme", "key_1", permissions_of({Scope.READ})),
    "berlin": Caller("acme", "key_2", permissions_of({Scope.READ}), zone="Europe/Berlin"),
    "other": Caller("other", "key_3", permissions_of({Scope.READ})),
    "ingest": Caller("acme", "key_4", permissions_of({Scope.INGEST})),
    "operator": Caller("default", "key_5", permissions_of({Scope.ADMIN}), is_operator=True),
}


def caller(permission: Permission, *, in_projects: bool = False) -> Callable[..., Caller]:
    """Believes the header: who asks is tested elsewhere."""

    def find(request: Request) -> Caller:
        if "who" not in request.headers:
            raise MissingKey
        found = CALLERS[request.headers["who"]]
        if in_projects:
            found.projects_with(permission)
        else:
            found.require(permission)
        return found

    return find


@dataclass(frozen=True)
class House:
    """A server over a store of its own."""

    app: FastAPI
    ledger: Ledger

    def get(self, path: str, who: str = "acme", **headers: str) -> httpx.Response:
        return ask(self.app, "GET", path, headers={"who": who, **headers})

    def post(self, body: object, who: str = "acme", path: str = "/api/v1/query") -> httpx.Response:
        content = body if isinstance(body, bytes) else dumps(body)
        return ask(self.app, "POST", path, headers={"who": who}, content=content)

    def refusals(self, path: str) -> set[tuple[str, str]]:
        """Field and code of every reason why a request is refused."""
        return reasons_of(self.get(path))


def reasons_of(answer: httpx.Response) -> set[tuple[str, str]]:
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), (
        answer.text
    )
    return {(reason["field"], reason["code"]) for reason in answer.json()["errors"]}


def table_of(answer: httpx.Response) -> list[list[str]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.reader(io.StringIO(answer.text)))


@contextmanager
def open_house() -> Generator[House]:
    """A house without events."""
    ledger = Ledger()
    questions = DuckDBQuestions(ledger.cursor, ledger.position_of)
    app = FastAPI()
    problems.install(app)
    app.include_router(make_router(questions, caller, now=lambda: NOW))
    try:
        yield House(app, ledger)
    finally:
        questions.close()


def three_days() -> list[dict[str, Any]]:
    """Two models, two users, an error, an unpriced event, a euro; and one event of another tenant."""
    return [
        usage(1, model="gpt-4", user_id="ada", cost=Decimal("0.0345"), input_text=1000, output_text=500),
        usage(1, model="gpt-4", user_id="bob", cost=Decimal("0.1"), input_text=10, status="error"),
        usage(2, model="claude", provider="anthropic", user_id="ada", cost=Decimal(2), output_text=7),
        usage(2, model="claude", provider="anthropic", cost=Decimal(5), currency="EUR"),
        usage(3, model="mystery", provider=None, user_id="=cmd()", input_text=3),
        an_event(event_id="theirs", tenant_id="other", time=NOW, cost=Decimal(900), model="secret"),
    ]


def usage(days_ago: int, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - a column may hold anything
    """A timed call of OpenAI's, so many days before now."""
    time = NOW - timedelta(days=days_ago)
    return an_event(**{"time": time, "provider": "openai", "latency_ms": Decimal(100), **values})
