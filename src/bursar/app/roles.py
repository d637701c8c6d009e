"""Roles over HTTP: `/api/v1/roles`, who has which (`/api/v1/role-bindings`), and what the caller may do.

Nobody makes, changes, gives or takes a role that grants more than they may do themselves. Rules are in
`identity/roles.py`; a change counts at once in this process, within 5 seconds in others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from bursar import clock
from bursar.app.auth import require, whoever
from bursar.errors import NotFound
from bursar.identity.api import Asked, shown
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import PLAIN_TEXT, ChosenId, ListOut, Strict
from bursar.identity.caller import Caller
from bursar.identity.logins.api import Whoever
from bursar.identity.permissions import MEANINGS, Permission
from bursar.identity.roles import (
    BUILT_IN,
    DESCRIPTION_LIMIT,
    ROLE_NAME,
    Role,
    RoleBinding,
    refuse_built_in,
    refuse_more_than_own,
    refuse_unfit_role,
)
from bursar.identity.tenant import ID_PATTERN
from bursar.identity.users.bodies import RoleOfUser, roles_of

if TYPE_CHECKING:
    from bursar.identity.role_store import RoleStore
    from bursar.identity.users.store import UserStore

_Reader = Annotated[Caller, Depends(require(Permission.ROLES_READ))]
_Admin = Annotated[Caller, Depends(require(Permission.ROLES_WRITE))]
_RoleName = Annotated[str, Path(pattern=ROLE_NAME)]
_Description = Annotated[str, Field(max_length=DESCRIPTION_LIMIT, pattern=PLAIN_TEXT)]
_Permissions = Annotated[list[Permission], Field(min_length=1, max_length=len(Permission))]


class RoleIn(Strict):
    """A role to make."""

    name: Annotated[str, Field(pattern=ROLE_NAME, examples=["billing"])]
    permissions: _Permissions
    description: _Description = ""


class RolePut(Strict):
    """What a role grants from now on."""

    permissions: _Permissions
    description: _Description = ""


class RoleOut(BaseModel):
    """A role: what it grants to who has it."""

    name: str
    description: str
    is_built_in: bool
    permissions: list[Permission]

    @classmethod
    def of(cls, role: Role) -> RoleOut:
        """The role as it is shown."""
        return cls(
            name=role.name,
            description=role.description,
            is_built_in=role.name in BUILT_IN,
            permissions=sorted(role.permissions),
        )


class RolesOut(BaseModel):
    """Every role of a tenant."""

    items: list[RoleOut]
    next_cursor: None = Field(default=None, description="Always null: there is one page.")


class BindingIn(Strict):
    """A role to give to somebody."""

    user_id: ChosenId
    role: Annotated[str, Field(pattern=ROLE_NAME)]
    project_id: ChosenId | None = Field(default=None, description="In the whole tenant if absent.")


class BindingOut(BaseModel):
    """Somebody's role."""

    user_id: str
    role: str
    project_id: str | None = Field(description="Null: in the whole tenant.")
    granted_by: str = Field(description="The key or user that gave it.")
    granted_at: datetime

    @classmethod
    def of(cls, binding: RoleBinding) -> BindingOut:
        """The binding as it is shown."""
        return cls(
            user_id=binding.user_id,
            role=binding.role,
            project_id=binding.project_id,
            granted_by=binding.granted_by,
            granted_at=binding.granted_at,
        )


class PermissionOut(BaseModel):
    """One thing that can be allowed, and whether it is to the caller."""

    name: Permission
    meaning: str
    is_granted: bool = Field(description="In all of the tenant.")
    projects: list[str] = Field(description="Where else, if not in all of the tenant.")


class PermissionsOut(BaseModel):
    """Who asks, and what they may do."""

    kind: Literal["user", "key", "operator"]
    id: str = Field(description="Of the user or the key.")
    username: str | None = Field(description="The address that a person logs in with; null for a key.")
    roles: list[RoleOfUser] = Field(description="Of a person; a key has none.")
    tenant_id: str
    is_operator: bool
    permissions: list[PermissionOut]


@dataclass(frozen=True, slots=True)
class _Desk:
    store: RoleStore
    users: UserStore
    changed: Callable[[], None]


def make_router(store: RoleStore, users: UserStore, changed: Callable[[], None]) -> APIRouter:
    """The endpoints over these stores; `changed` is called after each change that callers must feel."""
    router = APIRouter(prefix="/api/v1", tags=["identity"])
    desk = _Desk(store, users, changed)
    _add_own(router, desk)
    _add_roles(router, desk)
    _add_changes(router, desk)
    _add_bindings(router, desk)
    return router


def _add_own(router: APIRouter, desk: _Desk) -> None:
    @router.get("/auth/permissions")
    def list_permissions(who: Annotated[Whoever, Depends(whoever)]) -> PermissionsOut:
        """What there is to be allowed, what of it the caller may do, who they are and by which roles."""
        caller = who.caller
        shown = [
            PermissionOut(
                name=one,
                meaning=MEANINGS[one],
                is_granted=caller.may(one),
                projects=[] if caller.may(one) else sorted(caller.within.get(one, ())),
            )
            for one in Permission
        ]
        key_kind = "operator" if caller.is_operator else "key"
        user = None if who.session_id is None else desk.users.user(caller.tenant_id, caller.key_id)
        return PermissionsOut(
            kind=key_kind if user is None else "user",
            id=caller.key_id,
            username=None if user is None else user.email,
            roles=[] if user is None else roles_of(desk.store.bindings(user.tenant_id, user.id)),
            tenant_id=caller.tenant_id,
            is_operator=caller.is_operator,
            permissions=shown,
        )


def _add_roles(router: APIRouter, desk: _Desk) -> None:
    @router.get("/roles")
    def list_roles(caller: _Reader) -> RolesOut:
        """Every role of the tenant: the built-in ones, then its own."""
        return RolesOut(items=[RoleOut.of(role) for role in desk.store.roles(caller.tenant_id).values()])

    @router.post("/roles", status_code=HTTPStatus.CREATED)
    def create_role(body: RoleIn, caller: _Admin) -> RoleOut:
        """Make a role of the tenant's own."""
        role = Role(body.name, frozenset(body.permissions), body.description)
        refuse_unfit_role(caller, role)
        desk.store.add_role(caller.tenant_id, role)
        desk.changed()
        return RoleOut.of(role)

    @router.get("/roles/{name}")
    def get_role(name: _RoleName, caller: _Reader) -> RoleOut:
        """One role of the tenant."""
        return RoleOut.of(desk.store.role(caller.tenant_id, name))


def _add_changes(router: APIRouter, desk: _Desk) -> None:
    @router.put("/roles/{name}")
    def change_role(name: _RoleName, body: RolePut, caller: _Admin) -> RoleOut:
        """Let a role of the tenant's own grant something else, to everybody who has it."""
        refuse_built_in(name)
        before = desk.store.role(caller.tenant_id, name)
        refuse_more_than_own(caller, before)
        note_before(RoleOut.of(before).model_dump(mode="json"))
        role = Role(name, frozenset(body.permissions), body.description)
        refuse_unfit_role(caller, role)
        desk.store.change_role(caller.tenant_id, role)
        desk.changed()
        return RoleOut.of(role)

    @router.delete("/roles/{name}", status_code=HTTPStatus.NO_CONTENT)
    def remove_role(name: _RoleName, caller: _Admin) -> None:
        """Forget a role of the tenant's own that nobody has."""
        refuse_built_in(name)
        before = desk.store.role(caller.tenant_id, name)
        refuse_more_than_own(caller, before)
        note_before(RoleOut.of(before).model_dump(mode="json"))
        desk.store.remove_role(caller.tenant_id, name)


def _add_bindings(router: APIRouter, desk: _Desk) -> None:
    @router.get("/role-bindings")
    def list_bindings(
        caller: _Reader,
        asked: Asked,
        user_id: Annotated[str | None, Query(pattern=ID_PATTERN, description="Only this person's.")] = None,
    ) -> ListOut[BindingOut]:
        """Who has which role, in the whole tenant or in a project, in the order in which they were given."""
        return shown(desk.store.page_of_bindings(caller.tenant_id, asked, user_id), BindingOut.of)

    @router.post("/role-bindings", status_code=HTTPStatus.CREATED)
    def give_role(body: BindingIn, caller: _Admin) -> BindingOut:
        """Give somebody a role; one that they have stays as it was given."""
        refuse_more_than_own(caller, desk.store.role(caller.tenant_id, body.role))
        binding = _binding(caller, body)
        desk.store.bind(binding)
        desk.changed()
        return BindingOut.of(binding)

    @router.delete("/role-bindings", status_code=HTTPStatus.NO_CONTENT)
    def take_role(
        caller: _Admin,
        user_id: Annotated[str, Query(pattern=ID_PATTERN)],
        role: Annotated[str, Query(pattern=ROLE_NAME)],
        project_id: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    ) -> None:
        """Take a role from somebody, in the whole tenant or in the project that is named."""
        body = BindingIn(user_id=user_id, role=role, project_id=project_id)
        refuse_more_than_own(caller, desk.store.role(caller.tenant_id, body.role))
        if not desk.store.unbind(_binding(caller, body)):
            where = f" in the project '{body.project_id}'" if body.project_id else ""
            message = f"'{body.user_id}' doesn't have the role '{body.role}'{where}."
            raise NotFound(message)
        note_before({"role": body.role, "project_id": body.project_id}, target=body.user_id)
        desk.changed()


def _binding(caller: Caller, body: BindingIn) -> RoleBinding:
    return RoleBinding(caller.tenant_id, body.user_id, body.role, body.project_id, caller.key_id, clock.now())
