"""The OpenAPI document of this version of Bursar, made without starting one.

`docs/reference/openapi.json` is written from it, and a test compares the two; a running server answers
the same at `/openapi.json`. What is in it comes from the routes and from `api_description.py`.
"""

from __future__ import annotations

from typing import Any

from bursar.app.api_description import describe
from bursar.app.http import make_bare_api


def document() -> dict[str, Any]:
    """The whole document, as a running server would answer it."""
    return describe(make_bare_api())
