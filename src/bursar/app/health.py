"""How Bursar is: does it answer, may traffic come, and what exactly is wrong.

`/live` says that the process answers; restart it when it doesn't. `/ready` says whether requests can
be served; send none while it is 503. `/health` sums up in one word and is always 200. Checks run in
threads of their own and within a bound of time, so that a hung disk or store shows as a fault instead
of hanging the probe. What is checked is in `checks.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

import bursar
from bursar import clock
from bursar.app import auth, metrics, problems
from bursar.errors import BursarError, Unavailable
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission

CHECK_TIMEOUT_SECONDS = 2.0
"""A part that needs longer counts as failed; probes usually give up after a few seconds."""
BELIEVED_SECONDS = 0.5
"""A result counts this long: `/ready` is open to everybody and must cost next to nothing."""
_RETRY_AFTER_SECONDS = 2
_CREDENTIAL_OPTIONAL: dict[str, Any] = {"security": [{}]}
"""Added to the ways in that the OpenAPI document lists: none at all."""

log = structlog.get_logger()


class HealthWord(StrEnum):
    """How a part, or the whole, is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It works, but something needs attention."""
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    word: HealthWord
    detail: str = ""
    """A sentence for whoever looks into it; empty when all is well."""


@dataclass(frozen=True, slots=True)
class Check:
    """One part that must work for requests to be served; `look` may block."""

    name: str
    look: Callable[[], Finding]


HEALTHY = Finding(HealthWord.HEALTHY)


@dataclass(slots=True)
class _Round:
    """One run of all checks."""

    started: float
    outcome: asyncio.Task[dict[str, Finding]]


@dataclass(slots=True)
class Health:
    """Runs the checks when somebody asks. Use from one event loop."""

    checks: Sequence[Check]
    timeout_seconds: float = CHECK_TIMEOUT_SECONDS
    is_rebuilding: Callable[[], bool] = bool
    """Whether a new usage store is being derived beside the one in use."""
    _threads: ThreadPoolExecutor = field(init=False)
    _running: dict[str, asyncio.Future[Finding]] = field(
        init=False, default_factory=dict[str, "asyncio.Future[Finding]"]
    )
    _round: _Round | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(max(1, len(self.checks)), "health")

    async def findings(self) -> dict[str, Finding]:
        """What every check finds, at most half a second old; those who ask together share one look."""
        current = self._round
        if current is None or (
            current.outcome.done() and clock.monotonic() - current.started > BELIEVED_SECONDS
        ):
            current = _Round(clock.monotonic(), asyncio.create_task(self._look()))
            self._round = current
        return await asyncio.shield(current.outcome)

    async def _look(self) -> dict[str, Finding]:
        found = await asyncio.gather(*(self._bounded(check) for check in self.checks))
        return {check.name: finding for check, finding in zip(self.checks, found, strict=True)}

    async def _bounded(self, check: Check) -> Finding:
        loop = asyncio.get_running_loop()
        running = self._running.get(check.name)
        # One that still hangs from before is waited for again: no second thread joins it.
        if running is None or running.done():
            running = loop.run_in_executor(self._threads, _look_safely, check)
            self._running[check.name] = running
        try:
            return await asyncio.wait_for(asyncio.shield(running), self.timeout_seconds)
        except TimeoutError:
            return Finding(HealthWord.UNHEALTHY, f"No answer within {self.timeout_seconds:g} s.")


def _look_safely(check: Check) -> Finding:
    try:
        return check.look()
    except BursarError as error:
        return Finding(HealthWord.UNHEALTHY, error.detail)
    except Exception as error:
        log.exception("a health check failed", check=check.name)
        return Finding(HealthWord.UNHEALTHY, f"Failed with {type(error).__name__}; see the log.")


def worst_of(findings: dict[str, Finding]) -> HealthWord:
    """The word for the whole: that of its worst part."""
    words = {finding.word for finding in findings.values()}
    return next(
        (word for word in (HealthWord.UNHEALTHY, HealthWord.DEGRADED) if word in words), HealthWord.HEALTHY
    )


class Pong(BaseModel):
    """The answer to a ping."""

    message: str = Field(examples=["pong"])


class Live(BaseModel):
    """The process answers."""

    status: HealthWord
    timestamp: datetime


class Ready(BaseModel):
    """Requests can be served."""

    status: HealthWord
    timestamp: datetime
    checks: dict[str, HealthWord] = Field(examples=[{"journal": "healthy", "applier": "healthy"}])
    rebuilding: bool = False
    """Whether a new usage store is being derived beside the one in use, which serves as ever."""


class HealthSummary(BaseModel):
    """How Bursar is, in one word; its parts for callers with a credential."""

    status: HealthWord
    timestamp: datetime
    version: str
    services: dict[str, HealthWord] | None = None


class ServiceHealth(BaseModel):
    """How one part is."""

    status: HealthWord
    detail: str | None = None


class HealthDetails(BaseModel):
    """How Bursar and each of its parts are, and why."""

    status: HealthWord
    timestamp: datetime
    version: str
    uptime_seconds: float
    services: dict[str, ServiceHealth]


def make_router(health: Health, numbers: metrics.Metrics) -> APIRouter:
    """The routes by which people, probes and Prometheus see how Bursar is."""
    router = APIRouter(tags=["system"])
    _add_probes(router, health)
    _add_words(router, health)
    _add_numbers(router, numbers)
    return router


def _add_probes(router: APIRouter, health: Health) -> None:
    """What anybody may ask, again and again."""

    @router.get("/ping")
    async def ping() -> Pong:
        """The shortest answer there is."""
        return Pong(message="pong")

    @router.get("/live")
    async def live() -> Live:
        """Whether the process answers at all."""
        return Live(status=HealthWord.HEALTHY, timestamp=clock.now())

    @router.get("/ready", response_model=Ready, responses={503: {"description": "Not now"}})
    async def ready(request: Request) -> Response | Ready:
        """Whether requests can be served: the journal takes records, the applier works, the stores answer."""
        answer = _readiness(await health.findings(), request)
        if isinstance(answer, Ready):
            answer.rebuilding = health.is_rebuilding()
        return answer


def _add_words(router: APIRouter, health: Health) -> None:
    started = clock.monotonic()

    @router.get("/health", response_model_exclude_none=True, openapi_extra=_CREDENTIAL_OPTIONAL)
    async def summary(caller: Annotated[Caller | None, Depends(auth.caller_if_any)]) -> HealthSummary:
        """How Bursar is in one word, always with status 200; `services` for callers with a credential."""
        found = await health.findings()
        services = None if caller is None else {name: one.word for name, one in found.items()}
        return HealthSummary(
            status=worst_of(found), timestamp=clock.now(), version=bursar.__version__, services=services
        )

    @router.get(
        "/api/v1/health/",
        dependencies=[Depends(auth.require(Permission.SYSTEM_READ))],
        response_model_exclude_none=True,
    )
    async def details() -> HealthDetails:
        """How each part is, and what is wrong with it."""
        return _details(await health.findings(), clock.monotonic() - started)


def _add_numbers(router: APIRouter, numbers: metrics.Metrics) -> None:
    @router.get(
        "/metrics",
        dependencies=[Depends(auth.require(Permission.SYSTEM_READ))],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format"}},
    )
    async def prometheus() -> Response:
        """Every number that Bursar keeps about itself, for Prometheus."""
        return Response(await run_in_threadpool(numbers.text), media_type=metrics.MEDIA_TYPE)


def _readiness(found: dict[str, Finding], request: Request) -> Response | Ready:
    checks = {name: finding.word for name, finding in found.items()}
    failed = [name for name, word in checks.items() if word is HealthWord.UNHEALTHY]
    if not failed:
        return Ready(status=worst_of(found), timestamp=clock.now(), checks=checks)
    error = Unavailable(f"Failed: {', '.join(failed)}.", retry_after_seconds=_RETRY_AFTER_SECONDS)
    return problems.answer(request, error, {"checks": checks})


def _details(found: dict[str, Finding], uptime_seconds: float) -> HealthDetails:
    return HealthDetails(
        status=worst_of(found),
        timestamp=clock.now(),
        version=bursar.__version__,
        uptime_seconds=round(uptime_seconds, 3),
        services={
            name: ServiceHealth(status=finding.word, detail=finding.detail or None)
            for name, finding in found.items()
        },
    )
