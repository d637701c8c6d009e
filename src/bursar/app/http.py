"""The HTTP app: every route put together, and what stands in front of them.

From outside to inside: the frame (id, log line, numbers, trace), the edge (hosts, origins), the door for
events (raw ASGI), the guard (bounds), what undoes compression, and FastAPI with the routers of the features.
`make_app` wires it to a platform; `make_bare_api` has the same routes and nothing behind them, for the
OpenAPI document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, Depends, FastAPI

import bursar
from bursar.app import (
    auth,
    control,
    corrections,
    documentation,
    erasures,
    explain,
    exports,
    health,
    problems,
    quarantine,
    reprices,
    resets,
    roles,
    unpriced,
    voids,
    welcome,
)
from bursar.app.addresses import client_address, is_secure
from bursar.app.api_description import DESCRIPTION, TAGS, describe
from bursar.app.audited import Concluding
from bursar.app.billing import months_of, seats_of
from bursar.app.bodies import BodyLimits, MemoryBudget
from bursar.app.charged_today import charges_of
from bursar.app.checks import checks_of
from bursar.app.edge import edge_of
from bursar.app.encoded_bodies import Inflating
from bursar.app.flood_gate import FloodGate
from bursar.app.ingest_asgi import EVENTS, IngestDoor, IngestLimits, IngestParts
from bursar.app.middleware import Frame, Guard
from bursar.app.post_shares import PostShares
from bursar.app.prices_of_tenants import make_desk
from bursar.app.rate_limits import Limiting
from bursar.app.readings import read_platform
from bursar.app.request_heads import HeadBounds
from bursar.app.scheduler_api import make_router as make_scheduler_router
from bursar.app.single_posts import SinglePosts
from bursar.app.strange_parameters import refuse_strange_parameters
from bursar.billing.months.api import make_router as make_months_router
from bursar.billing.rules.api import make_router as make_rules_router
from bursar.billing.seats.api import make_router as make_seats_router
from bursar.billing.services.api import make_router as make_services_router
from bursar.identity.accounts.api import make_router as make_accounts_router
from bursar.identity.api import make_router as make_identity_router
from bursar.identity.audit.api import make_router as make_audit_router
from bursar.identity.credentials.api import make_router as make_credentials_router
from bursar.identity.limits.api import make_router as make_limits_router
from bursar.identity.limits.policy import Use
from bursar.identity.logins.api import Asking, Door
from bursar.identity.logins.api import make_router as make_logins_router
from bursar.identity.logins.following import Following
from bursar.identity.sign_on.api import make_router as make_sign_on_router
from bursar.identity.tokens.api import make_router as make_tokens_router
from bursar.identity.users.api import Reception
from bursar.identity.users.api import make_router as make_users_router
from bursar.pricing.agreements.api import make_router as make_agreements_router
from bursar.pricing.api import make_router as make_prices_router
from bursar.pricing.exchange.api import make_router as make_exchange_router
from bursar.pricing.keeping.api import make_router as make_price_book_router
from bursar.usage.allocations.api import make_router as make_allocations_router
from bursar.usage.api import KnownOfTenants
from bursar.usage.api import make_router as make_usage_router
from bursar.usage.privacy.api import make_router as make_privacy_router
from bursar.usage.quotas.api import QuotaDesk
from bursar.usage.quotas.api import make_router as make_quotas_router
from bursar.usage.retention.api import make_router as make_retention_router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from bursar.app.platform import Platform


class _Api(FastAPI):
    """FastAPI whose document also has what isn't FastAPI's."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made at the first request for it."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def make_app(platform: Platform, stop: Callable[[], None] | None = None) -> ASGIApp:
    """The whole app over a platform; `stop` is what the operator's stop calls, if this is a server."""
    metrics = platform.metrics
    metrics.watch(lambda: read_platform(platform))
    doorkeeper = auth.Doorkeeper(
        platform.authenticator,
        platform.identity,
        platform.logins.people,
        anonymous_loopback=platform.settings.anonymous_loopback,
    )
    checked = health.Health(checks_of(platform), is_rebuilding=lambda: platform.rebuilder.is_at_work)
    api = _make_api(_routers(platform, checked, stop))
    api.state.doorkeeper = doorkeeper
    api.state.find_run = platform.runner.run
    guarded = Guard(Inflating(Concluding(api, platform.audit)))
    app: ASGIApp = IngestDoor(_ingest_parts(platform, doorkeeper), guarded, metrics.http)
    app = Limiting(app, platform.limits, doorkeeper)
    edge = edge_of(platform.settings)
    logs_routine = platform.settings.log_level == "debug"
    return Frame(edge.around(HeadBounds(app)), metrics.http, edge.proxies, logs_routine=logs_routine)


def make_single_posts(platform: Platform) -> SinglePosts | None:
    """What answers single posts without the app; None where each has its log line, or waits for Redis."""
    limits = platform.limits
    if platform.settings.log_level == "debug" or (limits.is_shared and limits.counts(Use.INGEST, EVENTS)):
        return None
    doorkeeper = auth.Doorkeeper(platform.authenticator, platform.identity, platform.logins.people)
    edge, counters = edge_of(platform.settings), platform.journal.counters
    shares = PostShares(lambda: counters.quick_sync_seconds)
    return SinglePosts(_ingest_parts(platform, doorkeeper), platform.metrics.http, edge, limits, shares)


def make_gate(platform: Platform) -> FloodGate:
    """What refuses callers whose buckets are empty, without the app."""
    doorkeeper = auth.Doorkeeper(platform.authenticator, platform.identity, platform.logins.people)
    return FloodGate(platform.limits, doorkeeper, edge_of(platform.settings), platform.metrics.http)


def make_bare_api() -> FastAPI:
    """The routes with nothing behind them: they can be described, not asked."""
    return _make_api(_routers(cast("Platform", _Nothing()), health.Health(()), None))


def _make_api(routers: list[APIRouter]) -> FastAPI:
    api = _Api(
        title="Bursar",
        version=bursar.__version__,
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(refuse_strange_parameters)],
        openapi_tags=[{"name": name, "description": meaning} for name, meaning in TAGS],
        generate_unique_id_function=lambda route: route.name,
        # Our own frame does this for all routes, the door for events among them.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    problems.install(api)
    for router in routers:
        api.include_router(router)
    return api


def _routers(platform: Platform, checked: health.Health, stop: Callable[[], None] | None) -> list[APIRouter]:
    return [
        roles.make_router(platform.identity, platform.logins.users, platform.authenticator.forget),
        _identity_router(platform),
        make_tokens_router(platform.tokens, platform.settings.tracking_token_length, auth.require),
        make_audit_router(platform.audit, auth.require),
        make_credentials_router(platform.vault, auth.require),
        *_routers_of_people(platform),
        # Before the prices: one of their routes takes every path of two or more parts.
        _agreements_router(platform),
        make_exchange_router(platform.tenant_pricing.exchange_rates, auth.require),
        # Before the prices, one of whose routes takes every path of two parts.
        make_price_book_router(platform.keeper, auth.require),
        make_prices_router(lambda: platform.books.book, auth.require),
        health.make_router(checked, platform.metrics),
        make_scheduler_router(platform.runner),
        make_retention_router(platform.horizons, platform.identity.project, auth.require),
        _quotas_router(platform),
        _limits_router(platform),
        make_privacy_router(platform.privacy, auth.require),
        make_services_router(platform.registry, auth.require),
        make_rules_router(platform.registry, platform.books, auth.require),
        make_months_router(months_of(platform), auth.require),
        make_seats_router(seats_of(platform), auth.require),
        make_allocations_router(platform.claims, auth.require),
        control.make_router(control.Controls(platform, stop)),
        explain.make_router(platform),
        exports.make_router(platform),
        *_pages(),
        corrections.make_router(platform),
        voids.make_router(platform),
        erasures.make_router(platform),
        resets.make_router(platform),
        reprices.make_router(platform),
        unpriced.make_router(platform),
        quarantine.make_router(platform),
        # The last one: one of its routes takes every path below /api/v1/events.
        _usage_router(platform),
    ]


def _routers_of_people(platform: Platform) -> list[APIRouter]:
    asking = Asking(auth.whoever, client_address, is_secure)
    return [
        make_logins_router(_door(platform), asking),
        make_sign_on_router(platform.sign_on, asking),
        make_users_router(_reception(platform), auth.require),
        make_accounts_router(_reception(platform), auth.require),
    ]


def _identity_router(platform: Platform) -> APIRouter:
    return make_identity_router(
        platform.identity,
        auth.require,
        platform.authenticator.forget,
        platform.suspended_projects.refresh,
        charges_of(platform.claims),
    )


def _pages() -> tuple[APIRouter, ...]:
    return documentation.make_router(), welcome.make_router()


def _door(platform: Platform) -> Door:
    following = Following(platform.logins, platform.enrolment.links)
    return Door(platform.logins, following, platform.forgotten, platform.identity)


def _reception(platform: Platform) -> Reception:
    return Reception(
        platform.enrolment,
        platform.logins.log_out_everywhere,
        platform.authenticator.forget,
        charges_of(platform.claims),
    )


def _limits_router(platform: Platform) -> APIRouter:
    return make_limits_router(platform.own_limits, platform.limits.defaults, auth.require)


def _agreements_router(platform: Platform) -> APIRouter:
    desk = make_desk(platform.tenant_pricing, platform.books, platform.questions)
    return make_agreements_router(desk, auth.require)


def _quotas_router(platform: Platform) -> APIRouter:
    currency_of = platform.tenant_pricing.reporting.currency_of
    desk = QuotaDesk(platform.quotas.register, currency_of, platform.identity.project)
    return make_quotas_router(desk, auth.require)


def _usage_router(platform: Platform) -> APIRouter:
    reporting, find_key = platform.tenant_pricing.reporting, platform.identity.key
    known = KnownOfTenants(reporting, find_key, platform.veil.of)
    return make_usage_router(platform.questions, auth.require, known)


def _ingest_parts(platform: Platform, doorkeeper: auth.Doorkeeper) -> IngestParts:
    settings = platform.settings
    return IngestParts(
        ingestor=platform.ingestor,
        applier=platform.applier,
        doorkeeper=doorkeeper,
        rules=platform.time_rules(),
        limits=IngestLimits(
            BodyLimits(settings.max_body_bytes, settings.max_inflated_bytes),
            settings.max_batch_events,
            settings.wait_timeout_seconds,
        ),
        memory=MemoryBudget(settings.pending_bytes_limit),
        knows_tenant=platform.knows_tenant,
        suspended_in=platform.suspended_projects.of,
        stored_costs=platform.stored_costs,
    )


@dataclass(frozen=True, slots=True)
class _Nothing:
    """Stands where a platform would be: routers keep its parts, and nobody asks them anything."""

    def __getattr__(self, name: str) -> _Nothing:
        return self

    def __call__(self) -> _Nothing:
        return self

    def __getitem__(self, name: str) -> _Nothing:
        return self

    def __iter__(self) -> Iterator[_Nothing]:
        return iter(())
