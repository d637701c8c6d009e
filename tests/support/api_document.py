"""The OpenAPI document for tests, made once in a process: it takes a second, and several modules read it."""

from __future__ import annotations

from functools import cache
from typing import Any

from bursar.app import openapi


@cache
def api_document() -> dict[str, Any]:
    """The whole document; shared, so nobody may change it."""
    return openapi.document()
