"""Asks an ASGI app one thing, without a server: for apps that a test puts together itself.

Tests of the whole program ask a real server instead (`serving.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def ask(app: ASGIApp, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
    """The app's answer to one request; what it doesn't catch stays inside, as behind a server."""

    async def exchange() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **request)

    return asyncio.run(exchange())
