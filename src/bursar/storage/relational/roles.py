"""Roles and their bindings in SQL; implements `RoleStore` of `identity/role_store.py`.

A permission that this version doesn't know, because a later one has kept it, grants nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.permissions import Permission
from bursar.identity.roles import BUILT_IN, Granted, Role, RoleBinding, permissions_for
from bursar.identity.sign_on.mapping import GRANTED_BY
from bursar.identity.tenant import no_project
from bursar.storage.relational.paging import read_page
from bursar.storage.relational.tables.identity import PROJECTS, ROLE_BINDINGS, ROLES
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.storage.relational.user_rows import WHOLE_TENANT, refuse_last_owner, refuse_unknown_user

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from bursar.identity.page import Page, PageAsk


class RelationalRoles:
    """Keeps roles in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_role(self, tenant_id: str, role: Role) -> None:
        """See `RoleStore.add_role`."""
        message = f"There is a role '{role.name}' already."
        taken = Conflict(message, reasons=(Reason("name", "role_exists", "choose another name"),))
        row = insert(ROLES).values(tenant_id=tenant_id, name=role.name, **_values_of(role))
        with writing(self._engine) as connection, refusing(duplicate=taken, orphan=no_tenant(tenant_id)):
            connection.execute(row)

    def roles(self, tenant_id: str) -> dict[str, Role]:
        """See `RoleStore.roles`."""
        with reading(self._engine) as connection:
            return _roles(connection, tenant_id)

    def role(self, tenant_id: str, name: str) -> Role:
        """See `RoleStore.role`."""
        with reading(self._engine) as connection:
            return _role(connection, tenant_id, name)

    def change_role(self, tenant_id: str, role: Role) -> None:
        """See `RoleStore.change_role`."""
        change = update(ROLES).where(_is_role(tenant_id, role.name)).values(**_values_of(role))
        with writing(self._engine) as connection:
            if not connection.execute(change).rowcount:
                raise _no_role(role.name)

    def remove_role(self, tenant_id: str, name: str) -> None:
        """See `RoleStore.remove_role`."""
        has_it = ROLE_BINDINGS.c.tenant_id == tenant_id, ROLE_BINDINGS.c.role == name
        with writing(self._engine) as connection:
            # Removed first: who gives it to somebody meanwhile waits, and then doesn't find it.
            if not connection.execute(delete(ROLES).where(_is_role(tenant_id, name))).rowcount:
                raise _no_role(name)
            if connection.execute(select(ROLE_BINDINGS.c.user_id).where(*has_it).limit(1)).first():
                message = f"Somebody has the role '{name}'; take it from them first."
                raise Conflict(message, reasons=(Reason("name", "role_in_use", message),))

    def bind(self, binding: RoleBinding) -> None:
        """See `RoleStore.bind`."""
        with writing(self._engine) as connection:
            bind_role(connection, binding)

    def unbind(self, binding: RoleBinding) -> bool:
        """See `RoleStore.unbind`."""
        with writing(self._engine) as connection:
            return unbind_role(connection, binding)

    def bindings(self, tenant_id: str, user_id: str | None = None) -> tuple[RoleBinding, ...]:
        """See `RoleStore.bindings`."""
        whose = () if user_id is None else (ROLE_BINDINGS.c.user_id == user_id,)
        with reading(self._engine) as connection:
            return _bindings(connection, tenant_id, *whose)

    def bindings_of(self, tenant_id: str, user_ids: Collection[str]) -> tuple[RoleBinding, ...]:
        """See `RoleStore.bindings_of`."""
        with reading(self._engine) as connection:
            return _bindings(connection, tenant_id, ROLE_BINDINGS.c.user_id.in_(user_ids))

    def page_of_bindings(self, tenant_id: str, ask: PageAsk, user_id: str | None = None) -> Page[RoleBinding]:
        """See `RoleStore.page_of_bindings`."""
        columns = ROLE_BINDINGS.c
        # None of these words has a space in it, so that together they are nobody else's.
        place = columns.user_id + " " + columns.role + " " + columns.project_id
        placed = select(ROLE_BINDINGS, columns.granted_at.label("created_at"), place.label("id"))
        placed = placed.where(columns.tenant_id == tenant_id)
        if user_id is not None:
            placed = placed.where(columns.user_id == user_id)
        table = placed.subquery()
        with reading(self._engine) as connection:
            return read_page(connection, select(table), table, ask, _binding_of)

    def granted(self, tenant_id: str, user_id: str) -> Granted:
        """See `RoleStore.granted`."""
        with reading(self._engine) as connection:
            return granted_to(connection, tenant_id, user_id)


def bind_role(connection: Connection, binding: RoleBinding) -> None:
    """Give somebody a role, within a transaction.

    Raises:
        NotFound, Conflict: as `RoleStore.bind` says.
    """
    tenant_id, project_id = binding.tenant_id, binding.project_id
    row = insert(ROLE_BINDINGS).values(
        tenant_id=tenant_id,
        user_id=binding.user_id,
        role=binding.role,
        project_id=project_id or WHOLE_TENANT,
        granted_by=binding.granted_by,
        granted_at=binding.granted_at,
    )
    twice = Conflict("This role was given to them a moment ago.")
    with refusing(duplicate=twice, orphan=no_tenant(tenant_id)):
        refuse_unfit_binding(connection, tenant_id, binding.role, project_id)
        refuse_unknown_user(connection, tenant_id, binding.user_id)
        is_it = _is_binding(binding)
        giver = connection.execute(select(ROLE_BINDINGS.c.granted_by).where(is_it)).scalar_one_or_none()
        if giver is None:
            connection.execute(row)
        elif giver == GRANTED_BY != binding.granted_by:
            # What somebody gave by hand isn't lost with a group.
            values = {"granted_by": binding.granted_by, "granted_at": binding.granted_at}
            connection.execute(update(ROLE_BINDINGS).where(is_it).values(values))


def unbind_role(connection: Connection, binding: RoleBinding) -> bool:
    """Take a role from somebody, within a transaction; answers whether they had it.

    Raises:
        Conflict: nobody else owns the tenant (reason `last_owner`).
    """
    if binding.role == "owner" and binding.project_id is None:
        refuse_last_owner(connection, binding.tenant_id, binding.user_id)
    return connection.execute(delete(ROLE_BINDINGS).where(_is_binding(binding))).rowcount > 0


def refuse_unfit_binding(connection: Connection, tenant_id: str, role: str, project_id: str | None) -> None:
    """Let only a role and a project of the tenant pass, which stay until the transaction ends.

    Raises:
        NotFound: it has no such role, or no such project.
    """
    _role(connection, tenant_id, role, is_locked=True)
    if project_id is not None:
        _refuse_unknown_project(connection, tenant_id, project_id)


def granted_to(connection: Connection, tenant_id: str, user_id: str) -> Granted:
    """What somebody may do by their roles, within a transaction."""
    bindings = _bindings(connection, tenant_id, ROLE_BINDINGS.c.user_id == user_id)
    return permissions_for(bindings, _roles(connection, tenant_id) if bindings else BUILT_IN)


def _roles(connection: Connection, tenant_id: str) -> dict[str, Role]:
    found = connection.execute(select(ROLES).where(ROLES.c.tenant_id == tenant_id).order_by(ROLES.c.name))
    # Built-in roles can't be replaced, not even by one of a later version that was made before it.
    return {**BUILT_IN, **{row.name: _role_of(row) for row in found if row.name not in BUILT_IN}}


def _role(connection: Connection, tenant_id: str, name: str, *, is_locked: bool = False) -> Role:
    if name in BUILT_IN:
        return BUILT_IN[name]
    question = select(ROLES).where(_is_role(tenant_id, name))
    row = connection.execute(question.with_for_update() if is_locked else question).one_or_none()
    if row is None:
        raise _no_role(name)
    return _role_of(row)


def _bindings(connection: Connection, tenant_id: str, *whose: ColumnElement[bool]) -> tuple[RoleBinding, ...]:
    columns = ROLE_BINDINGS.c
    question = select(ROLE_BINDINGS).where(columns.tenant_id == tenant_id, *whose)
    ordered = question.order_by(columns.granted_at, columns.user_id, columns.role, columns.project_id)
    return tuple(map(_binding_of, connection.execute(ordered)))


def _refuse_unknown_project(connection: Connection, tenant_id: str, project_id: str) -> None:
    is_it = PROJECTS.c.tenant_id == tenant_id, PROJECTS.c.id == project_id
    # Locked, so that nobody removes it meanwhile.
    if connection.execute(select(PROJECTS.c.id).where(*is_it).with_for_update()).first() is None:
        raise no_project(project_id)


def _is_role(tenant_id: str, name: str) -> ColumnElement[bool]:
    return (ROLES.c.tenant_id == tenant_id) & (ROLES.c.name == name)


def _is_binding(binding: RoleBinding) -> ColumnElement[bool]:
    columns = ROLE_BINDINGS.c
    return (
        (columns.tenant_id == binding.tenant_id)
        & (columns.user_id == binding.user_id)
        & (columns.role == binding.role)
        & (columns.project_id == (binding.project_id or WHOLE_TENANT))
    )


def _no_role(name: str) -> NotFound:
    return NotFound(f"There is no role '{name}'.")


def _values_of(role: Role) -> dict[str, str]:
    return {"permissions": " ".join(sorted(role.permissions)), "description": role.description}


def _role_of(row: Row[Any]) -> Role:
    known = frozenset(Permission(word) for word in row.permissions.split() if word in list(Permission))
    return Role(row.name, known, row.description)


def _binding_of(row: Row[Any]) -> RoleBinding:
    return RoleBinding(
        row.tenant_id, row.user_id, row.role, row.project_id or None, row.granted_by, row.granted_at
    )
