"""What is dropped with age, which months close, and whether jobs begin by themselves.

A tenant may choose otherwise where the words of a field say so.
"""

from __future__ import annotations

from pydantic import Field

from bursar.settings.spelling import Group


class Upkeep(Group):
    """Retention, billing months, the scheduler and the quarantine."""

    retention_events_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which raw events are kept, unless their tenant chooses. 0 keeps them forever."""
    retention_rollups_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which sums per hour and day are kept, at least as long as events. 0 keeps them forever."""
    retention_quarantine_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which refused records are kept, unless their tenant chooses. 0 keeps them forever."""
    retention_archive_days: int = Field(default=0, ge=0, le=36_500)
    """Days after which the journal's oldest archived segments are dropped, as far as nothing live stems from
    them; no shorter than any tenant's events are kept. 0 keeps them forever."""
    retention_renew_days: int = Field(default=7, ge=0, le=90)
    """Days after which what has expired is gone from the usage store's file too, by deriving it anew; 0 does
    so every night that something expires. `bursar expire` and a trigger of `retention` do it at once."""
    audit_retention_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which entries of the audit log are kept. 0 keeps them forever."""
    billing_grace_days: int = Field(default=5, ge=0, le=90)
    """Days after the end of a month for which late events still belong to it; then it is closed."""
    scheduler: bool = True
    """`false` starts no job by itself at its time. What somebody asks for runs all the same."""
    quarantine_limit_per_tenant: int = Field(default=10_000, ge=0, le=10_000_000)
    """Refused records kept per tenant; what is beyond is dropped and counted."""
