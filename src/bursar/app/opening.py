"""Opens the parts of a platform, each by the settings: state store, identity, prices, journal, questions.

Everything here can fail at a start, and says then what to do. The order in which the parts are opened is
`build.py`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bursar import clock
from bursar.app.applier import Applier
from bursar.app.audited_folders import audit_of, recorded
from bursar.app.before_upgrade import back_up_before_upgrade
from bursar.app.metrics import Metrics, QueryMetrics
from bursar.app.rate_limits import RateLimits, limits_of
from bursar.app.upgrade import upgrade_folder, versions_of
from bursar.app.usage_stores import UsageStores
from bursar.billing.registry import Registry
from bursar.identity.audit.deed import BURSAR
from bursar.identity.bootstrap import Bootstrap, ConfiguredKeys, bootstrap
from bursar.pricing.books import PriceBooks
from bursar.pricing.keeping.keeper import PriceKeeper
from bursar.storage.duckdb.ages import DuckDBAges
from bursar.storage.duckdb.asking import AskingLimits, DuckDBQuestions, Outcome
from bursar.storage.duckdb.connection import DuckDBLimits
from bursar.storage.folder import DataFolder
from bursar.storage.journal.reader import JournalReader
from bursar.storage.journal.writer import JournalLimits, JournalWriter
from bursar.storage.relational.billing import RelationalBilling
from bursar.storage.relational.engine import StateEngine, make_engine
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.migrate import status, upgrade
from bursar.storage.relational.price_book import RelationalPriceBook
from bursar.storage.relational.retention import RelationalRetentions
from bursar.usage.applying import event_key
from bursar.usage.retention.horizons import Horizons
from bursar.usage.retention.policy import Retention

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from bursar.identity.audit.deed import Actor
    from bursar.identity.audit.log import AuditLog
    from bursar.settings import Settings
    from bursar.usage.allocations.claims import Claims

WAITING_PER_THREAD = 4
"""Questions that may wait for each query thread; beyond, the answer is 503 at once."""


def open_identity(
    settings: Settings, folder: DataFolder, engine: StateEngine
) -> tuple[RelationalIdentityStore, AuditLog, Bootstrap]:
    """Tenants and keys, those that settings name among them, and the log of what is done to them."""
    identity = RelationalIdentityStore(engine)
    audit = audit_of(folder, engine)
    done = bootstrap(identity, _configured_keys(settings), clock.now(), audit.record_own)
    return identity, audit, done


def open_rate_limits(settings: Settings, metrics: Metrics) -> RateLimits:
    """How often somebody may ask, counted here or in Redis."""
    if settings.redis_url is None:
        return limits_of(settings, metrics.limits)
    from bursar.storage.redis.buckets import RedisBuckets  # noqa: PLC0415 - its driver is slow to import

    return limits_of(settings, metrics.limits, RedisBuckets(settings.redis_url))


def open_prices(engine: StateEngine) -> tuple[PriceKeeper, PriceBooks, Registry]:
    """The kept price book, what rates by it, and the services that are billed by rules of their own."""
    keeper = PriceKeeper(RelationalPriceBook(engine), clock.now)
    books = PriceBooks(keeper.open_book())
    keeper.tell(books.replace_book)
    return keeper, books, Registry(RelationalBilling(engine), books.replace_rules)


def open_state(settings: Settings, folder: DataFolder) -> StateEngine:
    """The state store; an older ledger is brought up to date first, after a backup."""
    engine = make_engine(settings.database_url or f"sqlite:///{folder.state}")
    # Refuses a newer state store before anything of the folder is changed.
    status(engine)
    back_up_before_upgrade(settings, folder, engine, lambda _step, _done: None)
    upgrade_ledger(settings, folder, engine, BURSAR)
    return engine


def upgrade_ledger(
    settings: Settings,
    folder: DataFolder,
    engine: StateEngine,
    actor: Actor,
    tell: Callable[[str, int], None] = lambda _step, _records: None,
) -> None:
    """Bring folder and state store up to date, and say so in the audit log if they weren't.

    Raises:
        NewerFormat: a newer Bursar has written one of them; nothing was changed.
        ConfigurationError: the journal is damaged.
        Unavailable: the state store doesn't answer.
    """
    older = {part.name: part.found for part in versions_of(folder) if part.is_older}
    known = status(engine)
    if not older and not known.is_older:
        # An empty state store is no older one.
        upgrade(engine)
        return
    asked = {"folder": older, "state": known.current}
    with recorded(folder, engine, actor, "ledger.upgrade", asked) as after:
        upgrade_folder(folder, duckdb_limits(settings), settings.quarantine_limit_per_tenant, tell)
        after["state"] = upgrade(engine).current
        after["folder"] = {part.name: part.found for part in versions_of(folder) if part.name in older}


def open_horizons(settings: Settings, engine: StateEngine, stores: UsageStores) -> Horizons:
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


def open_journal(
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


def open_questions(
    settings: Settings, stores: UsageStores, counts: QueryMetrics, claims_of: Callable[[str], Claims]
) -> DuckDBQuestions:
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
        claims_of,
    )


def _configured_keys(settings: Settings) -> ConfiguredKeys:
    return ConfiguredKeys(*map(_secret, (settings.admin_key, settings.api_key, settings.ingest_key)))


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def duckdb_limits(settings: Settings) -> DuckDBLimits:
    """What DuckDB may take of the machine, by the settings."""
    return DuckDBLimits(settings.duckdb_memory_limit, settings.duckdb_threads, settings.duckdb_temp_limit)
