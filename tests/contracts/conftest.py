"""What stores of people and of their ways in build upon, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.identity import a_project, a_tenant

if TYPE_CHECKING:
    from bursar.storage.relational.identity import RelationalIdentityStore


@pytest.fixture
def identity(identity_store: RelationalIdentityStore) -> RelationalIdentityStore:
    """A store with the tenants acme and rival, and a project of acme."""
    identity_store.add_tenant(a_tenant("acme"))
    identity_store.add_tenant(a_tenant("rival"))
    identity_store.add_project(a_project())
    return identity_store
