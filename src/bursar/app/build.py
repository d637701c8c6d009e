"""The composition root: settings in, a running platform out. Read `build_platform` to know the wiring.

Opening is synchronous and does everything that can fail at start; `Platform.start` begins the
background work on the event loop, `stop` ends it in order: no new work, journal flushed, applied,
stores closed. Commands without a server use the same platform and `close` it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.app.applier import Applier
from bursar.app.before_upgrade import back_up_before_upgrade
from bursar.app.change_jobs import destroy_unneeded_pads
from bursar.app.changes import JournaledChanges
from bursar.app.encryption import open_vault
from bursar.app.jobs import jobs_of, make_runner
from bursar.app.logins import open_logins
from bursar.app.metrics import Metrics, QueryMetrics
from bursar.app.prices_of_tenants import TenantPricing, open_tenant_pricing
from bursar.app.rate_limits import RateLimits, limits_of
from bursar.app.rebuilding import Rebuilder
from bursar.app.upgrade import upgrade_folder
from bursar.app.usage_stores import UsageStores, open_stores
from bursar.billing.registry import Registry
from bursar.errors import BursarError, ConfigurationError, NotFound
from bursar.identity.audit.log import AuditLog
from bursar.identity.authenticate import Authenticator
from bursar.identity.bootstrap import Bootstrap, ConfiguredKeys, bootstrap
from bursar.identity.tenant import ID_PATTERN, TenantState
from bursar.identity.tokens.register import TokenRegister
from bursar.outgoing import Outgoing, Reach
from bursar.pricing.books import PriceBooks
from bursar.pricing.keeping.keeper import PriceKeeper
from bursar.storage.audit_places import AuditPlaces
from bursar.storage.duckdb.ages import DuckDBAges
from bursar.storage.duckdb.asking import AskingLimits, DuckDBQuestions, Outcome
from bursar.storage.duckdb.connection import DuckDBLimits
from bursar.storage.duckdb.lookups import stored_costs
from bursar.storage.folder import DataFolder, FolderLock, claim_folder
from bursar.storage.journal.reader import JournalReader
from bursar.storage.journal.writer import JournalLimits, JournalWriter
from bursar.storage.relational.audit import RelationalAudit
from bursar.storage.relational.billing import RelationalBilling
from bursar.storage.relational.engine import StateEngine, make_engine
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.migrate import status, upgrade
from bursar.storage.relational.price_book import RelationalPriceBook
from bursar.storage.relational.retention import RelationalRetentions
from bursar.storage.relational.snapshots import PriceSnapshotStore
from bursar.storage.relational.tokens import RelationalTokens
from bursar.storage.sealing import Seals
from bursar.usage.applying import event_key
from bursar.usage.checks import TimeRules
from bursar.usage.ingest import Ingestor
from bursar.usage.retention.horizons import Horizons
from bursar.usage.retention.policy import Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pydantic import SecretStr

    from bursar.identity.credentials.vault import Vault
    from bursar.identity.logins.logins import Logins
    from bursar.scheduling.runner import JobRunner
    from bursar.settings import Settings
    from bursar.usage.intake import CostAnswer

REFRESH_SECONDS = 2.0
"""How often keys in use, the price book and tenants' terms are read again: what changed elsewhere counts
within 5 s."""

WAITING_PER_THREAD = 4
"""Questions that may wait for each query thread; beyond, the answer is 503 at once."""
_TENANT_ID = re.compile(ID_PATTERN)

log = structlog.get_logger()


@dataclass(slots=True)
class Platform:
    """Everything that a server or a command works with."""

    settings: Settings
    folder: DataFolder
    seals: Seals
    engine: StateEngine
    identity: RelationalIdentityStore
    authenticator: Authenticator
    audit: AuditLog
    vault: Vault
    """Keeps the secrets that tenants entrust."""
    logins: Logins
    snapshots: PriceSnapshotStore
    books: PriceBooks
    tenant_pricing: TenantPricing
    keeper: PriceKeeper
    """Keeps the price book that all tenants share."""
    registry: Registry
    tokens: TokenRegister
    stores: UsageStores
    journal: JournalWriter
    applier: Applier
    changes: JournaledChanges
    """How threads journal corrections, voids and the like."""
    rebuilder: Rebuilder
    ingestor: Ingestor
    questions: DuckDBQuestions
    horizons: Horizons
    runner: JobRunner
    metrics: Metrics
    first_start: Bootstrap
    lock: FolderLock
    limits: RateLimits | None = None
    """How often somebody may ask; None where that isn't limited."""
    seat_turns: Lock = field(default_factory=Lock)
    """Held while days of seats are recorded, and while a plan is ended."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list["asyncio.Task[None]"])
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

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
        # First, for runs use everything else.
        are_runs_done = await asyncio.to_thread(self.runner.stop)
        self.changes.close()
        if self.limits is not None:
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
        self.questions.close()
        self.stores.close()
        self.engine.dispose()
        self.lock.release()

    @property
    def outgoing(self) -> Outgoing:
        """What asks the URLs that users give; nothing else may."""
        return Outgoing(Reach(self.settings.outgoing_networks))

    def time_rules(self) -> dict[str, TimeRules]:
        """Which event times each door takes."""
        future = timedelta(seconds=self.settings.max_future_seconds)
        horizon_of = self.horizons.horizon_of
        native = TimeRules(timedelta(days=self.settings.max_past_days), future, horizon_of)
        return {"native": native, "import": TimeRules(None, future, horizon_of)}

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
                await asyncio.to_thread(self.authenticator.flush_last_used)
                await asyncio.to_thread(self.keeper.refresh)
                await asyncio.to_thread(self.tenant_pricing.in_force.refresh)
                await asyncio.to_thread(self.registry.refresh)
                await asyncio.to_thread(self.tokens.refresh)
                await asyncio.to_thread(self.tokens.flush)
            except BursarError as error:
                log.warning("keys and prices could not be read again", error=error.detail)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set by then."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def build_platform(settings: Settings) -> Platform:
    """Open the data folder and wire everything; nothing runs yet.

    Raises:
        FolderInUse: another process holds the folder.
        ConfigurationError: a store can't be opened, or doesn't belong to the journal.
    """
    folder = DataFolder(settings.data_dir)
    lock = claim_folder(folder)
    try:
        return _wire(settings, folder, lock)
    except OSError as error:
        lock.release()
        message = f"The data folder {folder.path} can't be used: {error.strerror or error}."
        raise ConfigurationError(message) from error
    except BaseException:
        lock.release()
        raise


def _wire(settings: Settings, folder: DataFolder, lock: FolderLock) -> Platform:
    engine = _open_state(settings, folder)
    identity, audit, first_start = _identity(settings, folder, engine)
    snapshots, vault = PriceSnapshotStore(engine), open_vault(settings, folder, engine, audit)
    keeper, books, registry = _prices(engine)
    stores = open_stores(folder, duckdb_limits(settings), settings.quarantine_limit_per_tenant)
    metrics = Metrics()
    journal, applier = _follow(settings, stores, metrics.applier_delay.observe)
    tokens = TokenRegister(RelationalTokens(engine))
    platform = Platform(
        settings=settings,
        folder=folder,
        seals=Seals(folder.pads),
        engine=engine,
        identity=identity,
        authenticator=Authenticator(identity),
        audit=audit,
        vault=vault,
        logins=open_logins(settings, folder, engine, identity),
        snapshots=snapshots,
        books=books,
        tenant_pricing=open_tenant_pricing(engine, books),
        keeper=keeper,
        registry=registry,
        tokens=tokens,
        stores=stores,
        journal=journal,
        applier=applier,
        changes=JournaledChanges(journal, applier),
        rebuilder=Rebuilder(stores, applier, settings.min_free_disk_bytes),
        ingestor=Ingestor(journal, books, snapshots, registry, tokens),
        questions=_questions(settings, stores, metrics.query),
        horizons=_horizons(settings, engine, stores),
        runner=make_runner(settings, engine, stores.journal.identity.journal_id),
        metrics=metrics,
        first_start=first_start,
        lock=lock,
        limits=_rate_limits(settings, metrics),
    )
    return _with_jobs(platform)


def _identity(
    settings: Settings, folder: DataFolder, engine: StateEngine
) -> tuple[RelationalIdentityStore, AuditLog, Bootstrap]:
    """Tenants and keys, those that settings name among them, and the log of what is done to them."""
    identity = RelationalIdentityStore(engine)
    audit = AuditLog(RelationalAudit(engine), AuditPlaces(folder.audit_places))
    done = bootstrap(identity, _configured_keys(settings), clock.now(), audit.record_own)
    return identity, audit, done


def _with_jobs(platform: Platform) -> Platform:
    platform.authenticator.tell(platform.logins.people.forget)
    platform.runner.register(*jobs_of(platform))
    destroy_unneeded_pads(platform)
    return platform


def _rate_limits(settings: Settings, metrics: Metrics) -> RateLimits | None:
    if settings.redis_url is None:
        return limits_of(settings, metrics.limits)
    from bursar.storage.redis.buckets import RedisBuckets  # noqa: PLC0415 - its driver is slow to import

    return limits_of(settings, metrics.limits, RedisBuckets(settings.redis_url))


def _prices(engine: StateEngine) -> tuple[PriceKeeper, PriceBooks, Registry]:
    """The kept price book, what rates by it, and the services that are billed by rules of their own."""
    keeper = PriceKeeper(RelationalPriceBook(engine), clock.now)
    books = PriceBooks(keeper.open_book())
    keeper.tell(books.replace_book)
    return keeper, books, Registry(RelationalBilling(engine), books.replace_rules)


def _open_state(settings: Settings, folder: DataFolder) -> StateEngine:
    """The state store; an older ledger is brought up to date first, after a backup."""
    engine = make_engine(settings.database_url or f"sqlite:///{folder.state}")
    # Refuses a newer state store before anything of the folder is changed.
    status(engine)
    back_up_before_upgrade(settings, folder, engine, lambda _step, _done: None)
    upgrade_folder(folder, duckdb_limits(settings), settings.quarantine_limit_per_tenant)
    upgrade(engine)
    return engine


def _horizons(settings: Settings, engine: StateEngine, stores: UsageStores) -> Horizons:
    """Since when each tenant's events are kept.

    Raises:
        ConfigurationError: the days that are chosen contradict each other or the settings.
    """
    defaults = Retention(
        settings.retention_events_days,
        settings.retention_rollups_days,
        settings.retention_quarantine_days,
        settings.retention_archive_days,
    )
    expired = DuckDBAges(stores.database.cursor).horizons()
    return Horizons(RelationalRetentions(engine), defaults, settings.max_past_days, expired)


def _follow(
    settings: Settings, stores: UsageStores, tell_delay: Callable[[float], None]
) -> tuple[JournalWriter, Applier]:
    """The journal's writer, and the applier that follows it."""
    limits = JournalLimits(settings.segment_bytes, settings.pending_bytes_limit, settings.min_free_disk_bytes)

    def notify() -> None:
        applier.notify()

    journal = JournalWriter(stores.journal, limits, on_durable=notify)
    position = stores.applier.position()
    reader = JournalReader(stores.folder.journal, after_seq=position[1] if position else 0)
    applier = Applier(stores.applier, reader, lambda: journal.mark, tell_delay)
    return journal, applier


def _questions(settings: Settings, stores: UsageStores, counts: QueryMetrics) -> DuckDBQuestions:
    """The store's reading side, with its bounded threads and what they tell the metrics."""
    threads = settings.query_threads or 2 * (os.cpu_count() or 1)
    limits = AskingLimits(threads, WAITING_PER_THREAD * threads, settings.query_timeout_seconds)

    def observe(outcome: Outcome, seconds: float) -> None:
        counts.seconds.observe(seconds)
        counted = {
            Outcome.REFUSED: counts.overloads,
            Outcome.TIMED_OUT: counts.timeouts,
            Outcome.LEFT: counts.cancelled,
        }
        if outcome in counted:
            counted[outcome].inc()

    return DuckDBQuestions(
        stores.cursor,
        lambda tenant_id, event_id: stores.index.find(event_key(tenant_id, event_id)),
        limits,
        observe,
    )


def _configured_keys(settings: Settings) -> ConfiguredKeys:
    return ConfiguredKeys(*map(_secret, (settings.admin_key, settings.api_key, settings.ingest_key)))


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def duckdb_limits(settings: Settings) -> DuckDBLimits:
    """What DuckDB may take of the machine, by the settings."""
    return DuckDBLimits(settings.duckdb_memory_limit, settings.duckdb_threads, settings.duckdb_temp_limit)
