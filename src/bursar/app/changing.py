"""What every endpoint that changes usage works with: bodies, waiting for the store, jobs, answers.

The endpoints are in `corrections.py`, `voids.py`, `erasures.py`, `resets.py`, `reprices.py` and
`quarantine.py`; what they decide is in `usage/revising/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from bursar.app.auth import doorkeeper_of
from bursar.described import DESCRIBED
from bursar.errors import Invalid, Malformed, Reason
from bursar.usage.known_services import finder_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

    from bursar.app.platform import Platform
    from bursar.identity.caller import Caller
    from bursar.usage.asked import Asked
    from bursar.usage.known_services import FindService

RUN_PATH = "/api/v1/scheduler/runs"
"""Where runs are shown; see `scheduling/api.py`."""
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"description": "Durable and under way, but not applied yet; `Location` says where to look"}
}


@dataclass(frozen=True, slots=True)
class RunAsked:
    """A run of a job that was asked for."""

    __pydantic_config__: ClassVar = DESCRIBED

    id: str
    job_id: str
    state: str
    url: str
    """Where its progress and its result are."""


@dataclass(frozen=True, slots=True)
class ChangeDesk:
    """Where requests that change something go."""

    platform: Platform

    async def wait(self, seq: int) -> bool:
        """Wait until the store holds everything up to a seq, at most as long as the setting allows."""
        seconds = self.platform.settings.wait_timeout_seconds
        return await run_in_threadpool(self.platform.changes.wait_applied, seq, seconds)

    async def enqueue(self, job_id: str, caller: Caller, parameters: Mapping[str, Any]) -> RunAsked:
        """Ask for a run of the caller's tenant's job; durable when this returns."""
        run = await run_in_threadpool(
            self.platform.runner.enqueue,
            job_id,
            tenant_id=caller.tenant_id,
            parameters=parameters,
            asked_by=caller.key_id,
        )
        return RunAsked(run.id, run.job_id, run.state.value, f"{RUN_PATH}/{run.id}")

    def finder_for(self, caller: Caller) -> FindService:
        """What finds the registered services of the tenant that the caller acts for."""
        return finder_of(self.platform.ingestor.services, caller.tenant_id)

    @staticmethod
    def answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response:
        """A value as JSON; moments in RFC 3339."""
        return Response(msgspec.json.encode(body), status, headers, "application/json")

    def accepted(self, body: object, run: RunAsked) -> Response:
        """An answer about a job that has begun, or will."""
        return self.answer(202, body, {"location": run.url})


async def act_for_named(request: Request, caller: Caller, asked: Asked) -> Caller:
    """The caller acting for the tenant that a body names in `tenant_id`, as queries do.

    What the query string named already, the body may only repeat: a change must not hit another tenant.

    Raises:
        TenantMismatch: it is another one than the caller's, and the caller is no operator.
        NotFound: there is no such tenant.
    """
    named = asked.text("tenant_id")
    if named is not None and named != caller.tenant_id and "tenant_id" in request.query_params:
        text = "The query string and the body name different tenants."
        asked.refuse("tenant_id", "conflicting_parameters", text)
        return caller
    return await doorkeeper_of(request).act_for(caller, named)


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty body says nothing.

    Raises:
        Malformed: no JSON.
        Invalid: JSON, but no object.
    """
    try:
        decoded: object = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"The body is no JSON: {error}."
        raise Malformed(message) from None
    if isinstance(decoded, dict):
        return cast("dict[str, Any]", decoded)
    message = "The body is a JSON object."
    raise Invalid(message, reasons=(Reason("$", "wrong_type", message),))
