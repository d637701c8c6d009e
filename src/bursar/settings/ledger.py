"""Where the ledger lies and who copies it, and where the process tells what it does.

What it takes in and how much memory it may use is `bounds.py`; what it drops with age is `upkeep.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bursar.settings.forms import to_psycopg
from bursar.settings.spelling import Group, Spelling, UserPath, lower


class Ledger(Group):
    """Data folder, state store, backups, logs and traces."""

    data_dir: Annotated[UserPath, Spelling("a folder")] = Path("bursar-data")
    """Folder of all that Bursar keeps: journal, stores, socket. Made if absent. One process owns it."""
    database_url: Annotated[
        Annotated[str, AfterValidator(to_psycopg)] | None,
        Spelling("postgresql://user:password@host:5432/name", ("DATABASE_URL",)),
    ] = Field(default=None, repr=False)
    """PostgreSQL for tenants, keys and prices. Without it they live in SQLite inside the data folder."""
    backup_dir: Annotated[UserPath | None, Spelling("a folder")] = None
    """Folder that a running server backs itself up into, by itself. Without it only `bursar backup` does."""
    backup_every_hours: int = Field(default=24, ge=1, le=168)
    """How often it does so."""
    upgrade_backup: bool = True
    """Whether a start that must upgrade an older ledger backs it up first, beside `BURSAR_BACKUP_DIR` or the
    data folder."""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lower),
        Spelling(aliases=("LOG_LEVEL",)),
    ] = "info"
    """The least severe line that is logged."""
    log_format: Annotated[Literal["auto", "json", "console"], BeforeValidator(lower)] = "auto"
    """`auto` is console on a terminal and JSON elsewhere."""
    otlp_endpoint: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")] | None,
        Spelling("http://host:4318, without /v1/traces", ("OTEL_EXPORTER_OTLP_ENDPOINT",)),
    ] = None
    """OTLP/HTTP collector that spans are sent to. Without it tracing is off and costs nothing."""
