"""What jobs work on: the parts of a platform that their work may use, by the platform's own names.

`Platform` (`build.py`) has them all. Jobs are handed this view, because the platform's wiring knows
the jobs and can't be known by them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from threading import Lock

    from bursar.app.applier import Applier
    from bursar.app.changes import JournaledChanges
    from bursar.app.prices_of_tenants import TenantPricing
    from bursar.app.quotas import Quotas
    from bursar.app.rebuilding import Rebuilder
    from bursar.app.usage_stores import UsageStores
    from bursar.billing.registry import Registry
    from bursar.identity.audit.log import AuditLog
    from bursar.identity.authenticate import Authenticator
    from bursar.identity.suspended_projects import SuspendedProjects
    from bursar.identity.tokens.register import TokenRegister
    from bursar.pricing.books import PriceBooks
    from bursar.settings import Settings
    from bursar.storage.duckdb.asking import DuckDBQuestions
    from bursar.storage.folder import DataFolder
    from bursar.storage.journal.writer import JournalWriter
    from bursar.storage.relational.engine import StateEngine
    from bursar.storage.relational.identity import RelationalIdentityStore
    from bursar.storage.relational.snapshots import PriceSnapshotStore
    from bursar.storage.sealing import Seals
    from bursar.usage.checks import TimeRules
    from bursar.usage.ingest import Ingestor
    from bursar.usage.privacy.register import PrivacyRegister
    from bursar.usage.retention.horizons import Horizons


class JobGround(Protocol):
    """The parts that jobs use; add what a new job needs."""

    settings: Settings
    folder: DataFolder
    seals: Seals
    engine: StateEngine
    identity: RelationalIdentityStore
    stores: UsageStores
    rebuilder: Rebuilder
    authenticator: Authenticator
    audit: AuditLog
    books: PriceBooks
    snapshots: PriceSnapshotStore
    journal: JournalWriter
    applier: Applier
    questions: DuckDBQuestions
    changes: JournaledChanges
    horizons: Horizons
    tenant_pricing: TenantPricing
    registry: Registry
    suspended_projects: SuspendedProjects
    tokens: TokenRegister
    privacy: PrivacyRegister
    quotas: Quotas
    ingestor: Ingestor
    seat_turns: Lock

    def time_rules(self) -> dict[str, TimeRules]:
        """Which event times each door takes."""
        ...

    def knows_tenant(self, tenant_id: str) -> bool:
        """Whether there is such a tenant, and it takes usage."""
        ...
