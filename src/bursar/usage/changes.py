"""Records that change what was recorded: what the journal keeps of a void, a correction, an erasure.

`record.py` has the usage record; these stand beside it in the same journal. Every one names its
tenant, the key that asked, the reason, and the run of the job that wrote it, so the journal itself is
the trail. What each does to rows, rollups and archive is decision 7.
"""

from __future__ import annotations

import msgspec

from bursar.usage.record import UsageRecord

CORRECTION = "correction"
VOID = "void"
EXPIRE = "expire"
PROJECT_EXPIRE = "project_expire"
ERASE = "erase"
RESET = "reset"
PROJECT_RESET = "project_reset"
RELEASE = "release"
RATING_RUN = "rating_run"
TOMBSTONE = "tombstone"

RATES, COMMIT, ABANDON = "rates", "commit", "abandon"
"""The steps of a rating run."""
RATINGS_PER_RECORD = 10_000
"""Ratings in one record at most: some 300 kB."""
EVENTS_PER_RECORD = 5_000
"""Events named by one void or erase record at most: a record is one transaction, and one line in memory."""


class ChangeRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What every change says about itself; `seq` is added when it is appended."""

    v: int
    kind: str
    received: int
    """Microseconds since 1970."""
    tenant_id: str
    key_id: str
    door: str
    reason: str
    run_id: str | None = None
    """The run of the job that wrote it."""


class CorrectionRecord(ChangeRecord, kw_only=True, omit_defaults=True):
    """Replaces one event by a newly translated and rated one; the old version goes to the history."""

    event_id: str
    usage: UsageRecord
    """The whole event as it is from now on."""


class VoidRecord(ChangeRecord, kw_only=True, omit_defaults=True):
    """Takes events out of every total; their rows move to the history."""

    event_ids: list[str]
    """At most `EVENTS_PER_RECORD`; those that aren't current any more are passed over."""


class KeptRows(msgspec.Struct):
    """Rows of one rollup: column names once, then values; sums as decimal strings."""

    columns: list[str]
    rows: list[list[str | int | None]]


class ExpireRecord(ChangeRecord, kw_only=True, omit_defaults=True):
    """Removes what the retention of a tenant, or of one of its projects, doesn't cover any more.

    Of a project it is a kind of its own: who doesn't know it must not take it for the tenant's.
    """

    what: str
    """`events` (raw rows and history), `rollups` or `quarantine`, in which nothing is of a project."""
    project_id: str | None = None
    """Of a `project_expire`: only events whose last version is in it, and its sums."""
    before: int
    """Microseconds since 1970, a midnight in UTC; what lies before goes."""
    kept: dict[str, KeptRows] | None = None
    """By rollup table: sums of the events that the rewritten archive no longer has."""


class ErasedEvent(msgspec.Struct, array_like=True):
    """One record of a person: a delivery, a correction, or a quarantined record."""

    seq: int
    """The record's own position; of a corrected event each version has its own."""
    tags: list[str]
    """Names of the tags whose values lead to the person."""


class KeptPlace(msgspec.Struct, array_like=True):
    """A row of `kept_by_user_day`: the expiry that made it, and its number there."""

    by_seq: int
    place: int


class EraseRecord(ChangeRecord, kw_only=True, omit_defaults=True):
    """Takes a person out of events that stay in every total."""

    events: list[ErasedEvent]
    """At most `EVENTS_PER_RECORD`; those that aren't there any more are passed over."""
    kept: list[KeptPlace] = []
    """The person's sums of events that are expired: they become sums of no user."""


class ResetRecord(ChangeRecord, kw_only=True, omit_defaults=True):
    """Removes everything of a tenant that was recorded before."""


class ProjectResetRecord(ChangeRecord, kw_only=True, omit_defaults=True):
    """Removes the events that are in one project of a tenant, with their history and all sums of the project.

    What is in quarantine stays: a `release` before it lets that out.
    """

    project_id: str


class ReleaseRecord(ChangeRecord, kw_only=True, omit_defaults=True):
    """Lets records out of quarantine: they were put in again, made corrections, or aren't wanted."""

    positions: list[int]
    """Seqs of quarantined records, at most `EVENTS_PER_RECORD`; those that aren't there are passed over."""


class RatedAs(msgspec.Struct, frozen=True, array_like=True):
    """What many ratings of a run have in common."""

    currency: str
    status: str
    reason: str | None
    rate_card: str | None
    provider: str | None
    """The event's provider from now on: the one that it names, else the one that the rating found."""


class MonthSums(msgspec.Struct, frozen=True, array_like=True):
    """What the events of one month came to in one currency, before and after a rating run."""

    month: str
    """`2026-11`, by the events' own times in UTC."""
    currency: str
    events_before: int
    """Re-rated events that were in this currency; most stay in it."""
    events_after: int
    unpriced_before: int
    unpriced_after: int
    cost_before: str
    """Decimal string, of the events whose cost was known."""
    cost_after: str


class RatingRunRecord(ChangeRecord, kw_only=True, omit_defaults=True):
    """One step of rating events again: ratings, which change nothing yet, or their coming into force.

    A run of a tenant begins with the `rates` of number 0, which end any run that hasn't come into force.
    """

    step: str
    """`rates`, `commit` or `abandon`."""
    number: int = 0
    """Of `rates`: which of its run, from 0. Of a `commit`: how many there were; it counts only with all."""
    as_of: int = 0
    """What was rated is the events as they were at this position; those changed since are passed over."""
    seqs: list[int] = []
    picos: list[int | None] = []
    """By event: the cost in 1e-12 of the currency; None where it isn't known."""
    ratings: list[int] = []
    """By event: place in `kinds`."""
    kinds: list[RatedAs] = []
    parts: dict[str, msgspec.Raw] | None = None
    """By position: the shares of events in which several models took part."""
    applied: list[MonthSums] | None = None
    """Of a `commit` in a rewritten journal: what it changed, some of which the journal has no more."""


class Tombstone(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a rewritten archive has at the position of a record that is gone."""

    seq: int
    v: int
    kind: str
    by: int
    """Seq of the record that removed it."""
    key: str | None = None
    """Of an expired event's first delivery: its key, 32 hexadecimal digits."""
    fingerprint: int | None = None
