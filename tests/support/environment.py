"""What of this machine's environment a Bursar would take for its settings, to be kept from those of tests."""

from __future__ import annotations

import os

_SETTINGS = (
    "BURSAR_",
    "API_KEY",
    "INGEST_",
    "DATABASE_URL",
    "HOST",
    "PORT",
    "LOG_LEVEL",
    "RATE_LIMIT_",
    "REDIS_URL",
)


def settings_here() -> list[str]:
    """The names of variables that a Bursar would read."""
    return [name for name in os.environ if name.startswith(_SETTINGS)]
