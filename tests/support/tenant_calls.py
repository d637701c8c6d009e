"""What a tenant may ask of every operation, with everything in it that can carry something of the tenant.

Chosen ids and names are the same for every tenant: projects, users, events, services, roles, labels. Every
free text carries the tenant's own mark (`Words.mark`), so that a byte of it elsewhere is found. Operations
come from `operations.py`; one that sends a body has its line in `BODIES`, or the test that drives them all
fails with its name. `worlds.py` sends what is made here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bursar.identity.permissions import OF_PLATFORM
from tests.support.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Body = Callable[["Words"], Any]

OF_TENANTS = [
    operation for asked, several in OPERATIONS.items() if asked not in OF_PLATFORM for operation in several
]
"""Every operation that a tenant's own people or keys may ask."""
WAIT = {"wait": "applied"}
NDJSON = "application/x-ndjson"
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Words:
    """Who asks, and a number that chooses among the things that may be said."""

    tenant_id: str
    mark: str
    """Letters that only this tenant uses."""
    choice: int

    @property
    def text(self) -> str:
        """A free text of the tenant's own."""
        return f"{self.mark} {self.choice % 3}"

    def one_of(self, *options: Any) -> Any:  # noqa: ANN401 - whatever the options are
        """One of these, by the number."""
        return options[self.choice % len(options)]


@dataclass(frozen=True, slots=True)
class Call:
    """One request; ids that were made up by a server stand in it as places, which `worlds.py` fills."""

    operation: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = None
    places: tuple[str, ...] = ()
    """Names of the places in the path that take ids of the server's own making."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.operation.partition(" ")[0]


def an_event(words: Words) -> dict[str, Any]:
    """An event whose ids everybody uses and whose texts are the tenant's; every fifth one has no price."""
    number = words.choice % 5
    return {
        "event_id": f"evt-{number}",
        "user_id": "ada",
        "project_id": "search",
        "session_id": f"session {words.mark}",
        "provider": "openai",
        "model": f"model-of-{words.mark}" if number == 4 else "gpt-4o-mini",
        "input_tokens": 100 + len(words.mark) * words.choice,
        "operation": words.text,
        "status": words.one_of("success", "error"),
        "message": words.text,
        "metadata": {"note": words.text},
        "tags": {"team": words.mark},
    }


def _override(words: Words) -> dict[str, Any]:
    discount = {"kind": "discount", "percent": str(1 + words.choice % 50), "provider": "openai"}
    return {**discount, "valid_from": "2026-01-01T00:00:00Z", "note": words.text}


def _service(words: Words) -> dict[str, Any]:
    return {
        "service_type": "ocr",
        "service_name": words.text,
        "description": words.text,
        "required_fields": ["pages"],
    }


def _seats(words: Words) -> dict[str, Any]:
    plan = {"provider": "openai", "plan": words.text, "seats": 1 + words.choice % 9, "price_per_seat": "25"}
    return {**plan, "starts": "2026-11-01", "note": words.text}


def _rule(words: Words) -> dict[str, Any]:
    return {"service_type": "ocr", "kind": "flat", "rate": f"0.{1 + words.choice % 9}"}


def _role(words: Words) -> dict[str, Any]:
    return {"permissions": words.one_of(["cost:read"], ["usage:read"]), "description": words.text}


def _login(words: Words) -> dict[str, Any]:
    password = words.one_of("correct horse battery", "wrong password")
    return {"email": "ada@example.com", "password": password, "tenant_id": words.tenant_id}


def _question(words: Words) -> dict[str, Any]:
    dimension = words.one_of("user_id", "project_id", "model", "tag:team", "key_id", "operation", "status")
    return {
        "measures": ["events", "cost", "input_tokens"],
        "dimensions": [dimension],
        "window": "all",
        "explain": True,
    }


BODIES: dict[str, Body] = {
    "DELETE /api/v1/projects/{project_id}": lambda words: {"confirm": "search", "reason": words.text},
    "DELETE /api/v1/usage": lambda words: {"confirm": words.tenant_id, "reason": words.text},
    "PATCH /api/v1/projects/{project_id}": lambda words: {"name": words.text},
    "PATCH /api/v1/settings": lambda words: {"name": words.text, "zone": "UTC"},
    "PATCH /api/v1/users/{user_id}": lambda words: {"name": words.text},
    "PATCH /api/v1/tokens/{token_id}": lambda words: {
        "label": words.text,
        "is_active": words.choice % 2 == 0,
    },
    "POST /api/v1/allocations": lambda words: {
        "kind": "project",
        "subject": "search",
        "owner": words.text,
        "cost_centre": words.mark,
        "valid_from": f"2026-11-0{1 + words.choice % 9}",
    },
    "POST /api/v1/auth/accept": lambda words: {"token": words.text, "password": f"a long word {words.text}"},
    "POST /api/v1/auth/forgot": lambda words: {"email": "ada@example.com", "tenant_id": words.tenant_id},
    "POST /api/v1/auth/login": _login,
    "POST /api/v1/auth/logout": lambda words: {"everywhere": words.choice % 2 == 0},
    "POST /api/v1/auth/password": lambda words: {
        "current_password": words.text,
        "password": f"a long word {words.text}",
    },
    "POST /api/v1/auth/refresh": lambda words: {"refresh_token": words.text},
    "POST /api/v1/auth/token": lambda words: {"grant_type": words.text},
    "POST /api/v1/auth/users": lambda words: {
        "email": words.one_of("ada@example.com", "joe@example.com"),
        "full_name": words.text,
    },
    "POST /api/v1/billing-rules": _rule,
    "POST /api/v1/billing-rules/try": lambda words: {
        "event": {**an_event(words), "service_type": "ocr"},
        "rule": words.one_of(None, _rule(words)),
    },
    "POST /api/v1/billing/exchange-rates": lambda words: {
        "base": "EUR",
        "date": "2026-11-20",
        "quote": "USD",
        "rate": f"1.0{words.choice % 90 + 10}",
        "source": words.text,
    },
    "POST /api/v1/billing/seats": _seats,
    "POST /api/v1/billing/seats/{plan_id}/end": lambda _words: {},
    "POST /api/v1/billing/summaries/{month}/finalise": lambda words: {"reason": words.text},
    "POST /api/v1/credentials": lambda words: {
        "provider": "openai",
        "name": "main",
        "secret": f"secret of {words.mark} {words.choice}",
    },
    "POST /api/v1/erasures": lambda words: {
        "user_id": "ada",
        "reason": words.text,
        "dry_run": words.choice % 4 != 0,
    },
    "POST /api/v1/events": an_event,
    "POST /api/v1/events/batch": lambda words: [an_event(words), {"event_id": "evt-1", words.mark: 1}],
    "POST /api/v1/events/corrections": lambda words: [an_event(words)],
    "POST /api/v1/events/import": an_event,
    "POST /api/v1/events/quarantine/replay": lambda words: {
        "as": words.one_of("correction", "retry", "discard"),
        "filter": {"event_id": f"evt-{words.choice % 5}"},
        "reason": words.text,
    },
    "POST /api/v1/events/void": lambda words: {
        "event_ids": [f"evt-{words.choice % 5}"],
        "reason": words.text,
        "dry_run": words.choice % 3 != 0,
    },
    "POST /api/v1/keys": lambda words: {"label": words.text, "scopes": words.one_of(["read"], ["ingest"])},
    # Longer than a test of these calls takes on a busy machine: the old key may not expire on one side first.
    "POST /api/v1/keys/{key_id}/rotate": lambda _words: {"overlap_seconds": 3600},
    "POST /api/v1/prices": _override,
    "POST /api/v1/prices/aliases": lambda words: {
        "alias": "our-model",
        "to_model": words.one_of("gpt-4o", "gpt-4o-mini"),
        "note": words.text,
    },
    "POST /api/v1/prices/check": lambda words: {
        **an_event(words),
        "model": words.one_of("our-model", "gpt-4o"),
    },
    "POST /api/v1/privacy/test": lambda words: {"text": f"{words.text} ada@example.com"},
    "POST /api/v1/projects": lambda words: {
        "id": words.one_of("search", "support"),
        "name": words.text,
    },
    "POST /api/v1/query": _question,
    "POST /api/v1/reprice": lambda words: {
        "reason": words.text,
        "window": "all",
        "dry_run": words.choice % 2 == 0,
    },
    "POST /api/v1/role-bindings": lambda words: {
        "user_id": "ada",
        "role": words.one_of("viewer", "reader"),
        "project_id": words.one_of(None, "search"),
    },
    "POST /api/v1/roles": lambda words: {"name": "reader", **_role(words)},
    "POST /api/v1/scheduler/jobs/{job_id}/trigger": lambda _words: {},
    "POST /api/v1/scheduler/runs/{run_id}/cancel": lambda _words: None,
    "POST /api/v1/services": _service,
    "POST /api/v1/tokens": lambda words: {"label": words.text, "token": f"{words.mark}-0123456789"},
    "POST /api/v1/users": lambda words: {
        "email": words.one_of("ada@example.com", "bob@example.com", "eve@example.com"),
        "name": words.text,
        "roles": [],
    },
    "POST /api/v1/users/{user_id}/link": lambda _words: {},
    "POST /api/v1/users/{user_id}/logout": lambda _words: None,
    "PUT /api/v1/auth/users/{user_id}": lambda words: {
        "full_name": words.text,
        "roles": words.one_of(["viewer"], []),
    },
    "PUT /api/v1/billing/settings": lambda words: {
        "reporting_currency": words.one_of("USD", "EUR"),
        "trusted_providers": [],
    },
    "PUT /api/v1/credentials/{credential_id}/secret": lambda words: {
        "secret": f"another secret of {words.mark}"
    },
    "PUT /api/v1/events/{event_id}": lambda words: {
        key: value for key, value in an_event(words).items() if key != "event_id"
    },
    "PUT /api/v1/privacy": lambda words: {"detectors": {"email": words.one_of("mark", "off", "drop")}},
    "PUT /api/v1/projects/{project_id}/quotas/{measure}": lambda words: {
        "limit": str(1000 + words.choice),
        "enforcement": words.one_of("hard", "soft"),
    },
    "PUT /api/v1/projects/{project_id}/retention": lambda words: {"events_days": 800 + words.choice % 9},
    "PUT /api/v1/retention": lambda words: {"events_days": 900 + words.choice % 9, "rollups_days": 1000},
    "PUT /api/v1/roles/{name}": _role,
    "PUT /api/v1/services/{service_type}": _service,
}
"""What is sent, by operation."""

PARAMS: dict[str, Callable[[Words], dict[str, str]]] = {
    "DELETE /api/v1/role-bindings": lambda words: {
        "user_id": "ada",
        "role": words.one_of("viewer", "reader"),
    },
    "GET /api/v1/analytics/top": lambda words: {
        "group_by": words.one_of("user_id", "model", "project_id"),
        "metric": words.one_of("event_count", "total_cost"),
    },
    "GET /api/v1/cost/breakdown": lambda words: {"group_by": words.one_of("model", "user_id", "operation")},
    "GET /api/v1/export": lambda words: {"format": words.one_of("csv", "json", "ndjson", "parquet")},
    "GET /api/v1/prices/history": lambda words: {"provider": "openai", "model": words.one_of("o3", "gpt-4o")},
    "GET /api/v1/prices/show": lambda _words: {"provider": "openai", "model": "gpt-4o"},
    "GET /api/v1/unpriced": lambda words: {"as": words.one_of("groups", "events")},
    "GET /api/v1/usage": lambda words: {
        "total_count": "true",
        "limit": words.one_of("2", "50"),
        "include_billing": "true",
    },
    "POST /api/v1/events": lambda _words: WAIT,
    "POST /api/v1/events/batch": lambda _words: WAIT,
    "POST /api/v1/events/corrections": lambda words: {"reason": words.text},
    "POST /api/v1/events/import": lambda _words: WAIT,
    "PUT /api/v1/events/{event_id}": lambda words: {"reason": words.text},
}
"""What the query says, by operation; nothing where none is here."""

CHOSEN: dict[str, tuple[str, ...]] = {
    "event_id": tuple(f"evt-{number}" for number in range(5)),
    "project_id": ("search", "support"),
    "name": ("reader", "viewer"),
    "service_type": ("ocr",),
    "measure": ("events", "cost"),
    "month": ("2026-10", "2026-11"),
    "provider": ("openai",),
    "model": ("gpt-4o", "our-model"),
    "job_id": ("retention", "seats", "billing", "compaction", "no-such-job"),
    "number": ("1",),
    "tenant_id": ("default",),
}
"""What stands in paths and is chosen by whoever makes it, or known to everybody. Other places take ids."""


def a_call(operation: str, words: Words) -> Call:
    """What this tenant asks of the operation."""
    path = operation.partition(" ")[2]
    chosen = {name: words.one_of(*CHOSEN[name]) for name in _PLACE.findall(path) if name in CHOSEN}
    filled = _PLACE.sub(lambda found: chosen.get(found[1], found[0]), path)
    params = PARAMS[operation](words) if operation in PARAMS else {}
    body = BODIES[operation](words) if operation in BODIES else None
    return Call(operation, filled, params, body, tuple(_PLACE.findall(filled)))
