"""Tenants with a key for each scope on a running server, and requests that present one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar import clock
from bursar.identity.keys import KeyTerms, hash_key, new_key

if TYPE_CHECKING:
    import httpx

    from tests.support.serving import RunningServer

SCOPES = ("admin", "read", "ingest")


def keys_of(server: RunningServer, tenant_id: str) -> dict[str, str]:
    """A new tenant's keys, by scope."""
    server.client.post("/api/v1/tenants", json={"id": tenant_id}).raise_for_status()

    def key(scope: str) -> str:
        body = {"label": scope, "scopes": [scope], "tenant_id": tenant_id}
        return str(server.client.post("/api/v1/keys", json=body).raise_for_status().json()["key"])

    return {scope: key(scope) for scope in SCOPES}


def unasked_key(server: RunningServer, tenant_id: str, scope: str) -> str:
    """A key of a tenant that nobody asked for, so that the tenant's audit log says nothing of it."""
    issued = new_key(KeyTerms(tenant_id, scope, frozenset({scope})), clock.now())
    server.platform.identity.add_key(issued.key, hash_key(issued.secret))
    return issued.secret


class Tenant:
    """A new tenant with a key per scope."""

    def __init__(self, server: RunningServer, name: str) -> None:
        """Make it on `server`, under this id."""
        self.server, self.name = server, name
        self.keys = keys_of(server, name)

    def ask(self, method: str, path: str, key: str = "admin", **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        """The answer to a request that presents the key of a scope."""
        return ask(self.server, self.keys[key], method, path, **more)


def ask(
    server: RunningServer,
    key: str,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    **more: Any,  # noqa: ANN401 - httpx's
) -> httpx.Response:
    """The answer to a request that presents a key."""
    return server.stranger.request(method, path, headers={"X-API-Key": key, **(headers or {})}, **more)
