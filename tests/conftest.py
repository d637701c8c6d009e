"""Fixtures that every test may ask for; each is defined in `support/`, beside what it builds."""

from __future__ import annotations

pytest_plugins = ["tests.support.relational"]
