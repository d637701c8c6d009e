"""The `IdentityStore` of SQLite and PostgreSQL, put together from its tables' parts.

Tenants and projects are in `tenants.py`, keys in `keys.py`, roles in `roles.py`; the lock for a start is in
`transactions.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.relational.keys import RelationalKeys
from bursar.storage.relational.roles import RelationalRoles
from bursar.storage.relational.tenants import RelationalProjects, RelationalTenants
from bursar.storage.relational.transactions import starting_alone

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class RelationalIdentityStore(RelationalTenants, RelationalProjects, RelationalKeys, RelationalRoles):
    """Keeps everything that `identity` needs kept; see `identity/store.py` for each promise."""

    def starting_alone(self) -> AbstractContextManager[None]:
        """See `SettingKeyStore.starting_alone`."""
        return starting_alone(self._engine)
