"""The caller: what the rest of Bursar knows about who asks.

A request's credential becomes a `Caller` once, at the edge. Everything behind it takes the tenant
from the caller and from nowhere else, and asks it for permissions (`permissions.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from bursar.errors import (
    Forbidden,
    Invalid,
    MissingScope,
    Reason,
    TenantMismatch,
    TenantSuspended,
    WrongNetwork,
)
from bursar.identity.networks import is_within
from bursar.identity.permissions import OF_PLATFORM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.identity.networks import Network
    from bursar.identity.permissions import Permission

ANONYMOUS_KEY_ID = "anonymous"
"""In the key's place: a program on this machine that asks without one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: one tenant, one key, what it may do."""

    tenant_id: str
    key_id: str
    """Of the key or, for a person who has logged in, of the user: whose act it is."""
    permissions: frozenset[Permission]
    """What it may do in all of the tenant."""
    zone: str = "UTC"
    """The tenant's reporting time zone (IANA name)."""
    is_operator: bool = False
    """May name any tenant and manage tenants: the operator's key, or the data folder's socket."""
    is_suspended: bool = False
    """Its tenant takes no usage."""
    within: Mapping[Permission, frozenset[str]] = field(default_factory=dict["Permission", frozenset[str]])
    """What else it may do in some of the tenant's projects only, and in which."""
    networks: tuple[Network, ...] = ()
    """Those that its key counts from; anywhere where there are none."""
    is_person: bool = False
    """Somebody who has logged in: roles say what they may do."""
    has_named: bool = False
    """The query string says for which tenant it acts."""

    def may(self, permission: Permission) -> bool:
        """Whether this caller may do it in all of its tenant."""
        return permission in self.permissions

    def may_in(self, permission: Permission, project_id: str | None) -> bool:
        """Whether this caller may do it in this project of its tenant; None: in all of the tenant."""
        return permission in self.permissions or project_id in self.within.get(permission, ())

    def require(self, permission: Permission) -> None:
        """Refuse a caller who may not do it in all of its tenant.

        Raises:
            Forbidden: only the operator may.
            MissingScope: it may not, or only in some projects.
        """
        if permission in self.permissions:
            return
        if permission in OF_PLATFORM and not self.is_operator:
            message = (
                "Only the operator may do this: use the operator's key or the socket in the data folder."
            )
            raise Forbidden(message)
        message = f"This needs the permission '{permission}', which {self._lacks()}."
        if projects := self.within.get(permission):
            message = (
                f"This needs the permission '{permission}' in the whole tenant;"
                f" the credential has it in: {', '.join(sorted(projects))}."
            )
        raise MissingScope(message)

    def _lacks(self) -> str:
        if self.is_person:
            return "none of your roles grants"
        return "nobody has without a key" if self.key_id == ANONYMOUS_KEY_ID else "this API key doesn't grant"

    def projects_with(self, permission: Permission) -> frozenset[str] | None:
        """The projects in which it may do this; None means all of the tenant.

        Raises:
            MissingScope: it may do it nowhere.
        """
        if permission in self.permissions:
            return None
        projects = self.within.get(permission)
        if not projects:
            self.require(permission)
        return projects

    def refuse_elsewhere(self, address: str | None) -> None:
        """Let only requests pass that come from where the key counts.

        Raises:
            WrongNetwork: it comes from elsewhere.
        """
        if self.networks and not is_within(address, self.networks):
            raise WrongNetwork

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
            Invalid: the query string has named one, and now it is another: an act must hit none by mistake.
        """
        if named is None or named == self.tenant_id:
            return self.tenant_id
        if not self.is_operator:
            raise TenantMismatch
        if self.has_named:
            text = "The query string and the body name different tenants."
            raise Invalid(text, reasons=(Reason("tenant_id", "conflicting_parameters", text),))
        return named


CallerDependency: TypeAlias = Any
"""What `fastapi.Depends` makes of a function that finds the caller: a default for `caller: Caller`.

FastAPI declares it as `Any` too, because it stands where a `Caller` is expected."""
