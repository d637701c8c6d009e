"""Tenants, projects and API keys over HTTP: `/api/v1/tenants`, `/api/v1/projects`, `/api/v1/keys`.

The tenant is the caller's; only an operator may name another, in the query (which `app` looks at for
every endpoint) or in a body, and nobody else can tell an unknown tenant from a foreign one. Endpoints
translate and hand over: the rules are in `tenant.py` and `keys.py`, errors become problem documents in
`app`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, NoReturn, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from bursar import clock, ids
from bursar.errors import NotFound
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import (
    IssuedKeyOut,
    KeyIn,
    KeyOut,
    ListOut,
    OwnTenantIn,
    OwnTenantOut,
    ProjectIn,
    ProjectOut,
    ProjectPatch,
    RotatedKeyOut,
    RotationIn,
    TenantIn,
    TenantOut,
    TenantPatch,
)
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.charged import (
    ChargedKeyOut,
    ChargedProjectOut,
    ChargesToday,
    charges_seen_by,
    nothing_is_charged,
)
from bursar.identity.keys import (
    ApiKey,
    KeyTerms,
    Revocation,
    hash_key,
    new_key,
    refuse_grant,
    refuse_revocation,
)
from bursar.identity.page import PAGE_DEFAULT, PAGE_LIMIT, Page, PageAsk, read_cursor, write_cursor
from bursar.identity.permissions import Permission
from bursar.identity.retries import answered_again, id_under, make_once, refuse_other, refuse_repeated
from bursar.identity.rotation import refuse_repeated as refuse_repeated_rotation
from bursar.identity.rotation import rotation_of, successor_id
from bursar.identity.store import IdentityStore
from bursar.identity.tenant import (
    ID_PATTERN,
    Project,
    ProjectChange,
    Tenant,
    TenantChange,
    no_project,
    refuse_unfit,
)

Item = TypeVar("Item")
Shown = TypeVar("Shown")

RetryKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Sent again it makes no second one: what made no secret is answered again with 200,"
        " of anything else the answer is 409 and names the first.",
    ),
]
IdInPath = Annotated[str, Path(pattern=ID_PATTERN)]


def _page_ask(
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT,
    cursor: Annotated[
        str | None, Query(max_length=400, description="`next_cursor` of the page before.")
    ] = None,
) -> PageAsk:
    return PageAsk(limit, read_cursor(cursor) if cursor else None)


Asked = Annotated[PageAsk, Depends(_page_ask)]


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every endpoint here works with."""

    store: IdentityStore
    now: Callable[[], datetime]
    changed: Callable[[], None]
    projects_changed: Callable[[], None]
    caller: Callable[..., Callable[..., Any]]
    charges: ChargesToday


def make_router(
    store: IdentityStore,
    caller: Callable[..., Callable[..., Any]],
    changed: Callable[[], None],
    projects_changed: Callable[[], None],
    charges: ChargesToday = nothing_is_charged,
) -> APIRouter:
    """The endpoints over this store.

    `caller(permission)` answers a FastAPI dependency that gives the `Caller`, acting for the tenant that the
    query names, or refuses it, with `in_projects=True` also one who may in some projects only; `changed` is
    called after each change that an authenticator must hear of (`Authenticator.forget`), `projects_changed`
    after each that the doors must (`SuspendedProjects.refresh`); `charges` knows who owns and bears what
    today.
    """
    router = APIRouter(prefix="/api/v1", tags=["identity"])
    desk = _Desk(store, clock.now, changed, projects_changed, caller, charges)
    _add_tenants(router, desk)
    _add_settings(router, desk)
    _add_projects(router, desk)
    _add_one_project(router, desk)
    _add_keys(router, desk)
    return router


def _add_tenants(router: APIRouter, desk: _Desk) -> None:
    reader = Depends(desk.caller(Permission.TENANTS_READ))
    admin = Depends(desk.caller(Permission.TENANTS_WRITE))

    @router.get("/tenants", dependencies=[reader])
    def list_tenants(asked: Asked) -> ListOut[TenantOut]:
        """All tenants in order of creation. Operator only."""
        return shown(desk.store.tenants(asked), TenantOut.of)

    _add_making_of_tenants(router, desk, admin)

    @router.get("/tenants/{tenant_id}", dependencies=[reader])
    def get_tenant(tenant_id: IdInPath) -> TenantOut:
        """One tenant. Operator only."""
        return TenantOut.of(desk.store.tenant(tenant_id))

    @router.patch("/tenants/{tenant_id}", dependencies=[admin])
    def change_tenant(tenant_id: IdInPath, body: TenantPatch) -> TenantOut:
        """Change a tenant's name or reporting time zone, suspend it or let it take part. Operator only."""
        change = TenantChange(body.name, body.zone, body.state)
        refuse_unfit(change)
        note_before(TenantOut.of(desk.store.tenant(tenant_id)).model_dump(mode="json"))
        tenant = desk.store.change_tenant(tenant_id, change)
        desk.changed()
        return TenantOut.of(tenant)


def _add_making_of_tenants(router: APIRouter, desk: _Desk, admin: CallerDependency) -> None:
    @router.post("/tenants", status_code=HTTPStatus.CREATED, responses=answered_again(TenantOut))
    def create_tenant(
        body: TenantIn, response: Response, retry_key: RetryKey = None, caller: Caller = admin
    ) -> TenantOut:
        """Make a tenant, under a chosen id or one made up. Operator only.

        With an `Idempotency-Key` a retry makes no second one. Where an id is chosen, that alone sees to it.
        """
        key = retry_key if body.id is None else None
        made_up = ids.make_id("ten") if key is None else id_under(key, "ten", caller.tenant_id)
        tenant_id = body.id or made_up
        tenant = Tenant(tenant_id, body.name or tenant_id, body.zone, desk.now())
        refuse_unfit(tenant)

        def answer_again(kept: Tenant) -> Tenant:
            refuse_other(kept.id, is_same=(kept.name, kept.zone) == (tenant.name, tenant.zone))
            response.status_code = HTTPStatus.OK
            return kept

        def make() -> Tenant:
            desk.store.add_tenant(tenant)
            return tenant

        if key is None:
            return TenantOut.of(make())
        return TenantOut.of(make_once(lambda: desk.store.tenant(tenant_id), make, answer_again))


def _add_settings(router: APIRouter, desk: _Desk) -> None:
    reader = Depends(desk.caller(Permission.TENANT_READ))
    admin = Depends(desk.caller(Permission.TENANT_WRITE))

    @router.get("/settings")
    def get_settings(caller: Caller = reader) -> OwnTenantOut:
        """The settings of the caller's own tenant."""
        return OwnTenantOut.of(desk.store.tenant(caller.tenant_id))

    @router.patch("/settings")
    def change_settings(body: OwnTenantIn, caller: Caller = admin) -> OwnTenantOut:
        """Change the name or the reporting time zone of the caller's own tenant."""
        change = TenantChange(body.name, body.zone)
        refuse_unfit(change)
        held = desk.store.tenant(caller.tenant_id)
        note_before({"name": held.name, "zone": held.zone})
        tenant = desk.store.change_tenant(caller.tenant_id, change)
        desk.changed()
        return OwnTenantOut.of(tenant)


def _add_projects(router: APIRouter, desk: _Desk) -> None:
    reader = Depends(desk.caller(Permission.PROJECTS_READ, in_projects=True))
    admin = Depends(desk.caller(Permission.PROJECTS_WRITE))

    @router.get("/projects")
    def list_projects(asked: Asked, caller: Caller = reader) -> ListOut[ChargedProjectOut]:
        """The tenant's projects in order of creation, and who owns and bears each today.

        Who may see some projects only gets these.
        """
        charge_of = charges_seen_by(caller, "project", desk.charges)
        among = caller.projects_with(Permission.PROJECTS_READ)
        page = desk.store.projects(caller.tenant_id, asked, among)
        return shown(page, lambda one: ChargedProjectOut.charged(one, charge_of(one.id)))

    @router.post("/projects", status_code=HTTPStatus.CREATED)
    def create_project(body: ProjectIn, caller: Caller = admin) -> ProjectOut:
        """Make a project, under a chosen id or one made up."""
        tenant_id = caller.tenant_for(body.tenant_id)
        project = Project(body.id or ids.make_id("prj"), tenant_id, body.name, desk.now())
        refuse_unfit(project)
        desk.store.add_project(project)
        return ProjectOut.of(project)


def _add_one_project(router: APIRouter, desk: _Desk) -> None:
    reader = Depends(desk.caller(Permission.PROJECTS_READ, in_projects=True))
    admin = Depends(desk.caller(Permission.PROJECTS_WRITE))
    one = "/projects/{project_id}"

    @router.get(one)
    def get_project(project_id: IdInPath, caller: Caller = reader) -> ChargedProjectOut:
        """One project of the tenant, and who owns and bears it today."""
        if not caller.may_in(Permission.PROJECTS_READ, project_id):
            raise no_project(project_id)
        project = desk.store.project(caller.tenant_id, project_id)
        charge_of = charges_seen_by(caller, "project", desk.charges)
        return ChargedProjectOut.charged(project, charge_of(project_id))

    @router.patch(one)
    def change_project(project_id: IdInPath, body: ProjectPatch, caller: Caller = admin) -> ProjectOut:
        """Give a project another name, suspend it or let its usage in again."""
        change = ProjectChange(body.name, body.state)
        refuse_unfit(change)
        held = desk.store.project(caller.tenant_id, project_id)
        note_before({"name": held.name, "state": held.state})
        project = desk.store.change_project(caller.tenant_id, project_id, change)
        desk.projects_changed()
        return ProjectOut.of(project)


def _add_keys(router: APIRouter, desk: _Desk) -> None:
    reader = Depends(desk.caller(Permission.KEYS_READ))
    admin = Depends(desk.caller(Permission.KEYS_WRITE))

    @router.get("/keys")
    def list_keys(asked: Asked, caller: Caller = reader) -> ListOut[ChargedKeyOut]:
        """The tenant's API keys in order of creation, without secrets, revoked ones included.

        With each is who owns and bears it today.
        """
        now = desk.now()
        charge_of = charges_seen_by(caller, "key", desk.charges)
        page = desk.store.keys(caller.tenant_id, asked)
        return shown(page, lambda key: ChargedKeyOut.charged(key, now, charge_of(key.id)))

    _add_making_of_keys(router, desk, admin)

    one = "/keys/{key_id}"

    @router.get(one)
    def get_key(key_id: IdInPath, caller: Caller = reader) -> ChargedKeyOut:
        """One API key of the tenant, without its secret, and who owns and bears it today."""
        key = desk.store.key(caller.tenant_id, key_id)
        charge_of = charges_seen_by(caller, "key", desk.charges)
        return ChargedKeyOut.charged(key, desk.now(), charge_of(key_id))

    _add_endings_of_keys(router, desk, admin)


def _add_making_of_keys(router: APIRouter, desk: _Desk, admin: CallerDependency) -> None:
    @router.post("/keys", status_code=HTTPStatus.CREATED)
    def create_key(body: KeyIn, retry_key: RetryKey = None, caller: Caller = admin) -> IssuedKeyOut:
        """Make an API key; the answer is the only one that ever shows its secret.

        With an `Idempotency-Key` a retry makes no second key: it is refused with 409, which names the first.
        """
        now = desk.now()
        terms = body.terms(caller.tenant_for(body.tenant_id))
        refuse_grant(caller, terms, now)
        key_id = None if retry_key is None else id_under(retry_key, "key", terms.tenant_id)
        issued = new_key(terms, now, key_id=key_id)

        def make() -> IssuedKeyOut:
            desk.store.add_key(issued.key, hash_key(issued.secret))
            return IssuedKeyOut.issued(issued, now)

        if key_id is None:
            return make()
        return make_once(
            lambda: desk.store.key(terms.tenant_id, key_id), make, lambda kept: _refuse_again(kept, terms)
        )


def _add_endings_of_keys(router: APIRouter, desk: _Desk, admin: CallerDependency) -> None:
    @router.post("/keys/{key_id}/rotate", status_code=HTTPStatus.CREATED)
    def rotate_key(
        key_id: IdInPath, body: RotationIn, retry_key: RetryKey = None, caller: Caller = admin
    ) -> RotatedKeyOut:
        """Replace an API key by one with the same terms; the old one still counts for the overlap.

        The answer is the only one that ever shows the new secret. With an `Idempotency-Key` a retry makes no
        second key: it is refused with 409, which names the first.
        """
        now, tenant_id = desk.now(), caller.tenant_id
        held = desk.store.key(tenant_id, key_id)
        new_id = None if retry_key is None else successor_id(key_id, retry_key)
        if new_id is not None:
            with suppress(NotFound):
                refuse_repeated_rotation(desk.store.key(tenant_id, new_id))
        rotation = rotation_of(held, body.ask(), caller, now)
        note_before(KeyOut.of(held, now).model_dump(mode="json"))
        issued = new_key(rotation.terms, now, replaces=key_id, key_id=new_id)
        replaced = desk.store.rotate_key(issued.key, hash_key(issued.secret), rotation.ends_at)
        desk.changed()
        return RotatedKeyOut.rotated(issued, replaced, now)

    @router.delete("/keys/{key_id}")
    def revoke_key(key_id: IdInPath, caller: Caller = admin) -> KeyOut:
        """Revoke an API key: at once in this process, within 5 seconds in others. Twice is harmless."""
        now, tenant_id = desk.now(), caller.tenant_id
        held = desk.store.key(tenant_id, key_id)
        refuse_revocation(caller, held)
        note_before(KeyOut.of(held, now).model_dump(mode="json"))
        key = desk.store.revoke_key(tenant_id, key_id, now, Revocation.BY_CALLER)
        desk.changed()
        return KeyOut.of(key, now)


def _refuse_again(made: ApiKey, asked: KeyTerms) -> NoReturn:
    """A retry that asks for a key that was made."""
    refuse_other(made.id, is_same=made.terms == asked)
    refuse_repeated(
        made.id, "If that answer was lost, revoke that key and make one with another Idempotency-Key."
    )


def shown(page: Page[Item], show: Callable[[Item], Shown]) -> ListOut[Shown]:
    """A page of a list as it is answered, each item as `show` shows it."""
    cursor = write_cursor(page.next) if page.next else None
    return ListOut(items=[show(item) for item in page.items], next_cursor=cursor)
