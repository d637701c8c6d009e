"""A running platform: every part that a server or a command works with, and the order of start and stop.

`Platform.start` begins the background work on the event loop, `stop` ends it in order: no new work, journal
flushed, applied, stores closed. Commands without a server use the same platform and `close` it. How it is
put together is `build.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.app.applier import Applier
from bursar.app.changes import JournaledChanges
from bursar.app.metrics import Metrics
from bursar.app.prices_of_tenants import TenantPricing
from bursar.app.quotas import Quotas, open_quotas
from bursar.app.rate_limits import RateLimits
from bursar.app.rebuilding import Rebuilder
from bursar.app.sign_on import open_sign_on
from bursar.app.usage_stores import UsageStores
from bursar.billing.registry import Registry
from bursar.errors import BursarError, NotFound
from bursar.identity.audit.log import AuditLog
from bursar.identity.authenticate import Authenticator
from bursar.identity.bootstrap import Bootstrap
from bursar.identity.limits.own import OwnLimits
from bursar.identity.logins.forgetting import ForgottenPasswords
from bursar.identity.suspended_projects import SuspendedProjects
from bursar.identity.tenant import ID_PATTERN, TenantState
from bursar.identity.tokens.register import TokenRegister
from bursar.outgoing import Outgoing, Reach
from bursar.pricing.books import PriceBooks
from bursar.pricing.keeping.keeper import PriceKeeper
from bursar.storage.duckdb.asking import DuckDBQuestions
from bursar.storage.duckdb.lookups import stored_costs
from bursar.storage.folder import DataFolder, FolderLock
from bursar.storage.journal.writer import JournalWriter
from bursar.storage.relational.allowances import OWN_LIMITS, RelationalAllowances
from bursar.storage.relational.engine import StateEngine
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.snapshots import PriceSnapshotStore
from bursar.storage.sealing import Seals
from bursar.usage.checks import TimeRules
from bursar.usage.ingest import Ingestor
from bursar.usage.intake import OfTenants
from bursar.usage.places import Veil
from bursar.usage.privacy.register import PrivacyRegister
from bursar.usage.retention.horizons import Horizons

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bursar.identity.credentials.vault import Vault
    from bursar.identity.logins.logins import Logins
    from bursar.identity.sign_on.api import SignOn
    from bursar.identity.users.enrolment import Enrolment
    from bursar.scheduling.runner import JobRunner
    from bursar.settings import Settings
    from bursar.usage.allocations.register import ClaimRegister
    from bursar.usage.intake import CostAnswer

REFRESH_SECONDS = 2.0
"""How often keys in use, suspended projects, the price book and tenants' terms are read again: what changed
elsewhere counts within 5 s."""
_TENANT_ID = re.compile(ID_PATTERN)

log = structlog.get_logger()


@dataclass(slots=True)
class Platform:
    """Everything that a server or a command works with."""

    settings: Settings
    folder: DataFolder
    engine: StateEngine
    identity: RelationalIdentityStore
    audit: AuditLog
    vault: Vault
    """Keeps the secrets that tenants entrust."""
    logins: Logins
    enrolment: Enrolment
    """Makes users and their links."""
    snapshots: PriceSnapshotStore
    books: PriceBooks
    tenant_pricing: TenantPricing
    keeper: PriceKeeper
    """Keeps the price book that all tenants share."""
    registry: Registry
    tokens: TokenRegister
    claims: ClaimRegister
    """Who owns and bears what."""
    privacy: PrivacyRegister
    """What each tenant wants taken out of its events."""
    stores: UsageStores
    journal: JournalWriter
    applier: Applier
    questions: DuckDBQuestions
    horizons: Horizons
    runner: JobRunner
    metrics: Metrics
    first_start: Bootstrap
    lock: FolderLock
    limits: RateLimits
    """How often somebody may ask."""
    seals: Seals = field(init=False)
    authenticator: Authenticator = field(init=False)
    changes: JournaledChanges = field(init=False)
    """How threads journal corrections, voids and the like."""
    rebuilder: Rebuilder = field(init=False)
    quotas: Quotas = field(init=False)
    suspended_projects: SuspendedProjects = field(init=False)
    """Those that take no usage."""
    own_limits: OwnLimits = field(init=False)
    """Of single tenants."""
    ingestor: Ingestor = field(init=False)
    forgotten: ForgottenPasswords = field(init=False)
    sign_on: SignOn | None = field(init=False)
    """Logging in at an OpenID provider, where there is one."""
    seat_turns: Lock = field(default_factory=Lock)
    """Held while days of seats are recorded, and while a plan is ended."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list["asyncio.Task[None]"])
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Make what follows from the other parts alone."""
        self.seals = Seals(self.folder.pads)
        self.authenticator = Authenticator(self.identity)
        self.suspended_projects = SuspendedProjects(self.identity)
        self.authenticator.tell(self.logins.people.forget)
        self.forgotten = ForgottenPasswords(self.enrolment, self.logins.store)
        self.sign_on = open_sign_on(self.settings, self.engine, self.logins, self.audit)
        self.changes = JournaledChanges(self.journal, self.applier)
        self.rebuilder = Rebuilder(self.stores, self.applier, self.settings.min_free_disk_bytes)
        self.own_limits = OwnLimits(RelationalAllowances(self.engine, OWN_LIMITS), self.limits.replace_own)
        self.quotas = open_quotas(self.engine, self.stores, self.journal, self.applier)
        of_tenants = OfTenants(self.registry, self.tokens, self.privacy)
        self.ingestor = Ingestor(self.journal, self.books, self.snapshots, of_tenants)
        self.ingestor.gate = self.quotas.gate
        if self.limits.token_policy is not None:
            self.ingestor.judge_tokens = self.limits.judge_tokens

    def start(self, *, for_command: bool = False) -> None:
        """Begin the background work, on the running event loop.

        For a command that will soon be done, no job runs but what it asks for.
        """
        self.applier.start()
        self.changes.start()
        self.runner.start(only_own=for_command)
        self._tasks.append(asyncio.create_task(self._keep_fresh()))

    async def stop(self) -> None:
        """Flush the journal, apply what is durable, end the background work, close everything."""
        # Not cancelled: its thread would go on, and use a store that is being closed.
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        await asyncio.to_thread(self.forgotten.close)
        # First, for runs use everything else.
        are_runs_done = await asyncio.to_thread(self.runner.stop)
        self.changes.close()
        await self.limits.close()
        await asyncio.to_thread(self.rebuilder.stop)
        await self.journal.close()
        await self.applier.stop()
        if self.applier.is_alive:
            # Closing a store under a writer would crash it; the process ends now and loses nothing.
            log.warning("the applier is still at work; the next start applies what is missing")
            return
        if not are_runs_done:
            # The same holds for a run that doesn't look whether it should stop; what it doesn't use can go.
            self.engine.dispose()
            return
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Close the stores and let go of the folder; for commands that never started anything."""
        with contextlib.suppress(BursarError):
            self.authenticator.flush_last_used()
            self.tokens.flush()
            self.privacy.flush()
        self.questions.close()
        self.stores.close()
        self.engine.dispose()
        self.lock.release()

    @property
    def veil(self) -> Veil:
        """How tenants are shown places in the journal that all of them share."""
        return Veil(self.logins.keys.current)

    @property
    def outgoing(self) -> Outgoing:
        """What asks the URLs that users give; nothing else may."""
        return Outgoing(Reach(self.settings.outgoing_networks))

    def time_rules(self) -> dict[str, TimeRules]:
        """Which event times each door takes."""
        future = timedelta(seconds=self.settings.max_future_seconds)
        native = TimeRules(timedelta(days=self.settings.max_past_days), future, self.horizons)
        return {"native": native, "import": TimeRules(None, future, self.horizons)}

    def knows_tenant(self, tenant_id: str) -> bool:
        """Whether there is such a tenant, and it takes usage."""
        if _TENANT_ID.fullmatch(tenant_id) is None:
            # PostgreSQL would take a NUL in it for an error.
            return False
        try:
            tenant = self.identity.tenant(tenant_id)
        except NotFound:
            return False
        return tenant.state is TenantState.ACTIVE

    def stored_costs(self, tenants: Collection[str], seqs: Sequence[int]) -> dict[int, CostAnswer]:
        """Costs of stored events, by position."""
        cursor = self.stores.cursor()
        try:
            return stored_costs(cursor, tenants, seqs)
        finally:
            cursor.close()

    async def _keep_fresh(self) -> None:
        while not await _is_set_within(self._stopping, REFRESH_SECONDS):
            try:
                await asyncio.to_thread(self.authenticator.refresh, clock.now())
                await asyncio.to_thread(self.suspended_projects.refresh)
                await asyncio.to_thread(self.authenticator.flush_last_used)
                await asyncio.to_thread(self.keeper.refresh)
                await asyncio.to_thread(self.tenant_pricing.in_force.refresh)
                await asyncio.to_thread(self.registry.refresh)
                await asyncio.to_thread(self.tokens.refresh)
                await asyncio.to_thread(self.tokens.flush)
                self.claims.refresh()
                await asyncio.to_thread(self.own_limits.refresh)
                self.limits.redraw()
                await self.quotas.keep_fresh(clock.now())
                await asyncio.to_thread(self.privacy.refresh)
                await asyncio.to_thread(self.privacy.flush)
            except BursarError as error:
                log.warning("keys and prices could not be read again", error=error.detail)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set by then."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
