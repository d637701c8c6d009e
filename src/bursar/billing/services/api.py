"""`/api/v1/services`: the services whose usage a tenant records, and what their events must look like.

Each change makes a version; a retired service's versions stay readable. The built-in ones can't be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from bursar import clock
from bursar.billing.built_in import BUILT_IN_SERVICES
from bursar.billing.registry import Author, Registry
from bursar.billing.services.bodies import ServiceIn, ServiceOut, ServicesOut
from bursar.errors import Invalid, NotFound, Reason
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.exact_body import exact_body
from bursar.identity.permissions import Permission

log = structlog.get_logger()

TypeInPath = Annotated[str, Path(max_length=128)]
ONE = "/services/{service_type}"


def make_router(
    registry: Registry,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(scope)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1", tags=["billing"])
    _add_reads(router, registry, Depends(caller(Permission.SERVICES_READ)))
    _add_changes(router, registry, Depends(caller(Permission.SERVICES_WRITE)), now)
    return router


def _add_reads(router: APIRouter, registry: Registry, reader: CallerDependency) -> None:
    @router.get("/services")
    def list_services(caller: Caller = reader) -> ServicesOut:
        """Every service that is built in, then the tenant's own in their latest version."""
        own = [ServiceOut.of(one) for one in registry.services_of(caller.tenant_id)]
        return ServicesOut(items=[*map(ServiceOut.built_in, BUILT_IN_SERVICES.values()), *own])

    @router.get(ONE)
    def get_service(
        service_type: TypeInPath,
        version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The latest if absent.")] = None,
        caller: Caller = reader,
    ) -> ServiceOut:
        """One service, in its latest version or an earlier one."""
        if service_type in BUILT_IN_SERVICES and version is None:
            return ServiceOut.built_in(BUILT_IN_SERVICES[service_type])
        versions = registry.versions_of(caller.tenant_id, service_type)
        found = versions[-1] if version is None else next((v for v in versions if v.version == version), None)
        if found is None:
            message = f"The service '{service_type}' has no version {version}."
            raise NotFound(message)
        return ServiceOut.of(found)

    @router.get(f"{ONE}/versions")
    def list_service_versions(service_type: TypeInPath, caller: Caller = reader) -> ServicesOut:
        """Every version of one of the tenant's services, the latest first: what it was, who said so, when."""
        versions = registry.versions_of(caller.tenant_id, service_type)
        return ServicesOut(items=[ServiceOut.of(one) for one in reversed(versions)])


def _add_changes(
    router: APIRouter, registry: Registry, admin: CallerDependency, now: Callable[[], datetime]
) -> None:
    def author(caller: Caller, named: str | None = None) -> Author:
        return Author(caller.tenant_for(named), caller.key_id, now())

    @router.post("/services", status_code=HTTPStatus.CREATED)
    async def register_service(request: Request, body: ServiceIn, caller: Caller = admin) -> ServiceOut:
        """Register a service: its providers, fields, JSON Schema and billing. It counts at once."""
        exact = exact_body(ServiceIn, await request.body())
        by = author(caller, body.tenant_id)
        made = await run_in_threadpool(lambda: registry.register(exact.registered(), by))
        log.info("a service was registered", tenant=by.tenant_id, key=by.key_id, service=made.service_type)
        return ServiceOut.of(made)

    @router.put(ONE)
    async def change_service(
        request: Request, service_type: TypeInPath, body: ServiceIn, caller: Caller = admin
    ) -> ServiceOut:
        """Make the next version of a service; the earlier ones stay readable."""
        if body.service_type != service_type:
            text = f"The body is about '{body.service_type}', the path about '{service_type}'."
            raise Invalid(text, reasons=(Reason("service_type", "contradiction", text),))
        exact = exact_body(ServiceIn, await request.body())
        by = author(caller, body.tenant_id)
        _note_latest(registry, by.tenant_id, service_type)
        made = await run_in_threadpool(lambda: registry.change(exact.registered(), by))
        log.info("a service was changed", tenant=by.tenant_id, key=by.key_id, service=service_type)
        return ServiceOut.of(made)

    @router.delete(ONE)
    def retire_service(service_type: TypeInPath, caller: Caller = admin) -> ServiceOut:
        """Retire a service: its events are no longer checked, nor billed as it says."""
        by = author(caller)
        _note_latest(registry, by.tenant_id, service_type)
        made = registry.retire(service_type, by)
        log.info("a service was retired", tenant=by.tenant_id, key=by.key_id, service=service_type)
        return ServiceOut.of(made)


def _note_latest(registry: Registry, tenant_id: str, service_type: str) -> None:
    """Tell the audit log what is about to change; of what there isn't, the change itself says so."""
    with suppress(NotFound):
        latest = registry.versions_of(tenant_id, service_type)[-1]
        note_before(ServiceOut.of(latest).model_dump(mode="json"))
