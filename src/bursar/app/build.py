"""The composition root: settings in, a platform out. Read `build_platform` to know the wiring.

Opening is synchronous and does everything that can fail at start; nothing runs yet. Each part is opened in
`opening.py`; what the parts are together, and how they start and stop, is `platform.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.app.change_jobs import destroy_unneeded_pads
from bursar.app.encryption import open_vault
from bursar.app.jobs import jobs_of, make_runner
from bursar.app.logins import open_enrolment, open_logins
from bursar.app.metrics import Metrics
from bursar.app.opening import (
    duckdb_limits,
    open_horizons,
    open_identity,
    open_journal,
    open_prices,
    open_questions,
    open_rate_limits,
    open_state,
)
from bursar.app.platform import Platform
from bursar.app.prices_of_tenants import open_tenant_pricing
from bursar.app.usage_stores import open_stores
from bursar.errors import ConfigurationError
from bursar.identity.tokens.register import TokenRegister
from bursar.storage.folder import DataFolder, FolderLock, claim_folder
from bursar.storage.relational.allocations import RelationalAllocations
from bursar.storage.relational.privacy import RelationalPrivacy
from bursar.storage.relational.snapshots import PriceSnapshotStore
from bursar.storage.relational.tokens import RelationalTokens
from bursar.usage.allocations.register import ClaimRegister
from bursar.usage.privacy.register import PrivacyRegister

if TYPE_CHECKING:
    from bursar.settings import Settings


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
    engine = open_state(settings, folder)
    identity, audit, first_start = open_identity(settings, folder, engine)
    snapshots, vault = PriceSnapshotStore(engine), open_vault(settings, folder, engine, audit)
    keeper, books, registry = open_prices(engine)
    stores = open_stores(folder, duckdb_limits(settings), settings.quarantine_limit_per_tenant)
    journal, applier = open_journal(settings, stores, (metrics := Metrics()).applier_delay.observe)
    tokens, claims = TokenRegister(RelationalTokens(engine)), ClaimRegister(RelationalAllocations(engine))
    logins = open_logins(settings, folder, engine, identity)
    platform = Platform(
        settings=settings,
        folder=folder,
        engine=engine,
        identity=identity,
        audit=audit,
        vault=vault,
        logins=logins,
        enrolment=open_enrolment(settings, engine, identity, logins),
        snapshots=snapshots,
        books=books,
        tenant_pricing=open_tenant_pricing(engine, books),
        keeper=keeper,
        registry=registry,
        tokens=tokens,
        claims=claims,
        privacy=PrivacyRegister(RelationalPrivacy(engine), vault),
        stores=stores,
        journal=journal,
        applier=applier,
        questions=open_questions(settings, stores, metrics.query, claims.claims_of),
        horizons=open_horizons(settings, engine, stores),
        runner=make_runner(settings, engine, stores.journal.identity.journal_id),
        metrics=metrics,
        first_start=first_start,
        lock=lock,
        limits=open_rate_limits(settings, metrics),
    )
    platform.runner.register(*jobs_of(platform))
    destroy_unneeded_pads(platform)
    return platform
