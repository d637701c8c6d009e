"""The caller: what the rest of Bursar knows about who asks.

A request's credential becomes a `Caller` once, at the edge. Everything behind it takes the tenant
from the caller and from nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from bursar.errors import MissingScope, TenantMismatch, TenantSuspended


class Scope(StrEnum):
    """What a key may do; `admin` includes the other two."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: one tenant, one key, its scopes."""

    tenant_id: str
    key_id: str
    scopes: frozenset[Scope]
    zone: str = "UTC"
    """The tenant's reporting time zone (IANA name)."""
    is_operator: bool = False
    """May name any tenant and manage tenants: the operator's key, or the data folder's socket."""
    is_suspended: bool = False
    """Its tenant takes no usage."""

    def may(self, scope: Scope) -> bool:
        """Whether this caller holds the scope, itself or through `admin`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Refuse a caller without the scope.

        Raises:
            MissingScope: the key has neither the scope nor `admin`.
        """
        if not self.may(scope):
            held = ", ".join(sorted(self.scopes)) or "none"
            message = f"This needs the scope '{scope}'; the key has: {held}."
            raise MissingScope(message)

    def refuse_suspended(self) -> None:
        """Let only usage for a tenant pass that takes part.

        Raises:
            TenantSuspended: it is suspended, or is being deleted.
        """
        if self.is_suspended:
            raise TenantSuspended

    def tenant_for(self, named: str | None) -> str:
        """The tenant to act on when a request may name one.

        Raises:
            TenantMismatch: it names another tenant and the caller is no operator.
        """
        if named is None or named == self.tenant_id:
            return self.tenant_id
        if self.is_operator:
            return named
        raise TenantMismatch


CallerDependency: TypeAlias = Any
"""What `fastapi.Depends` makes of a function that finds the caller: a default for `caller: Caller`.

FastAPI declares it as `Any` too, because it stands where a `Caller` is expected."""
