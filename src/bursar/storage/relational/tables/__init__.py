"""The tables of the state store as they are now; `migrations/` is how a store gets there.

A test compares both on each engine. Whatever belongs to a tenant carries `tenant_id`, and every
statement on it names one. Each module here has the tables of one idea; `METADATA` has them all.
"""

from __future__ import annotations

from bursar.storage.relational.tables import (
    agreements,
    allocations,
    allowances,
    audit,
    billing,
    credentials,
    identity,
    jobs,
    prices,
    privacy,
    sign_on,
    users,
)
from bursar.storage.relational.tables.metadata import METADATA

__all__ = [
    "METADATA",
    "agreements",
    "allocations",
    "allowances",
    "audit",
    "billing",
    "credentials",
    "identity",
    "jobs",
    "prices",
    "privacy",
    "sign_on",
    "users",
]
