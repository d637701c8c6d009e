"""Decides, line by line, what a rewritten journal has in place of what it must lose.

A rewriting belongs to one record (an expiry, a reset, an erasure), covers every line up to and
including it, and comes into force as a whole; rewritings are made in the order of their records.
A decider is made from what the store noted when it applied the record, then asked with each line in
journal order; `storage/journal` rewrites the files and says when they are in force, and
`DuckDBApplier.forget_removed` forgets the notes. A replay of either journal gives the same store.

Most lines are other tenants' or stay, so what is cheap is asked first: a search in a sorted array
of positions, then a search for the tenant in the line's bytes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Protocol

import msgspec

from bursar.storage.duckdb.change_reader import (
    EVENTS,
    PROJECT_EXPIRY,
    ROLLUPS,
    Expiry,
    ProjectReset,
    Reset,
    read_change,
)
from bursar.storage.duckdb.connection import fetch_columns
from bursar.storage.duckdb.kept import read_kept
from bursar.storage.duckdb.rerate import sums_of_runs, with_applied, without_positions
from bursar.usage.applying import event_key
from bursar.usage.changes import RATING_RUN, TOMBSTONE, VOID
from bursar.usage.erasing import erased_line, names_person, tombstone_for
from bursar.usage.own_project import project_mark, project_of
from bursar.usage.person import Person

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bursar.storage.duckdb.connection import Database

_HALF = 64
_HEAD_BYTES = 96
"""Of a line: its kind stands there, for nothing before it is long."""
_RERATES, _VOIDS = b'"kind":"%b"' % RATING_RUN.encode(), b'"kind":"%b"' % VOID.encode()


class Decide(Protocol):
    """Says what stands in for a line; None where the line stays."""

    def __call__(self, seq: int, line: bytes) -> bytes | None:
        """The replacement of the line at this position."""
        ...


class _Event(msgspec.Struct):
    event_id: str | None = None


class _Line(msgspec.Struct):
    tenant_id: str = ""
    kind: str = ""
    event_id: str | None = None
    event_ids: list[str] = []
    event: _Event | None = None
    by: int = 0


_decode = msgspec.json.Decoder(_Line).decode


class _Removed:
    """What a record removed: sorted positions, and the keys of first deliveries."""

    def __init__(self, database: Database, by_seq: int) -> None:
        rows = fetch_columns(
            database,
            "SELECT seq, upper IS NOT NULL AS is_first, coalesce(upper, 0) AS upper,"
            " coalesce(lower, 0) AS lower, coalesce(fingerprint, 0) AS fingerprint FROM removed"
            " WHERE by_seq = ? AND NOT is_tombstone ORDER BY seq",
            [by_seq],
        )
        self.seqs: array[int] = array("Q", rows["seq"].astype("uint64").tobytes())
        self._is_first = rows["is_first"].astype(bool)
        self._upper, self._lower = rows["upper"].astype("uint64"), rows["lower"].astype("uint64")
        self._prints = rows["fingerprint"].astype("uint64")
        firsts = self._is_first.nonzero()[0]
        order = firsts[self._upper[firsts].argsort(kind="stable")]
        self._uppers: array[int] = array("Q", self._upper[order].tobytes())
        self._order: list[int] = order.tolist()

    def place_of(self, seq: int) -> int | None:
        """The place of a removed position."""
        i = bisect_left(self.seqs, seq)
        return i if i < len(self.seqs) and self.seqs[i] == seq else None

    def tombstone(self, line: bytes, place: int, by_seq: int) -> bytes:
        """The tombstone of a removed position, with its key where it was a first delivery."""
        seq = self.seqs[place]
        if not self._is_first[place]:
            return tombstone_for(line, seq, by_seq)
        key = (int(self._upper[place]) << _HALF | int(self._lower[place])).to_bytes(16, "big")
        return tombstone_for(line, seq, by_seq, key, int(self._prints[place]))

    def first_of(self, key: bytes) -> int | None:
        """The position of a removed key's first delivery."""
        upper, lower = int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")
        i = bisect_left(self._uppers, upper)
        while i < len(self._uppers) and self._uppers[i] == upper:
            place = self._order[i]
            if int(self._lower[place]) == lower:
                return self.seqs[place]
            i += 1
        return None


def removal_decider(database: Database, line: bytes) -> Decide:
    """What decides for an expiry or a reset, of a tenant or a project.

    Args:
        database: the store, which has applied the record; read only, while making the decider.
        line: the record's line in the journal.

    Raises:
        ValueError: the line is none of them.
    """
    change = read_change(line)
    if isinstance(change, Expiry):
        return _ExpiryDecider(database, change)
    if isinstance(change, ProjectReset):
        return _ProjectDecider(database, change)
    if isinstance(change, Reset):
        return _ResetDecider(database, change.tenant_id, change.seq)
    message = "Only expiries and resets remove records from the journal."
    raise ValueError(message)


def erasure_decider(
    database: Database, tenant_id: str, by_seqs: Sequence[int], identifiers: Collection[str]
) -> Decide:
    """What decides for the erasures of one person.

    Lines of the events that the records name lose the person; so do repeats and other lines of the
    tenant that name one of the identifiers.

    Args:
        database: the store, which has applied the records; keep it open while deciding.
        tenant_id: whose person it is.
        by_seqs: the seqs of the erase records.
        identifiers: what the person goes by.
    """
    return _ErasureDecider(database, tenant_id, by_seqs, identifiers)


def with_kept(line: bytes, kept: bytes) -> bytes:
    """An expiry's line with these sums."""
    return _with(line, "kept", kept)


def _with(line: bytes, name: str, value: bytes) -> bytes:
    """The line with another value of this name, as JSON."""
    record = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    record[name] = msgspec.Raw(value)
    return msgspec.json.encode(record) + (b"\n" if line.endswith(b"\n") else b"")


class _ExpiryDecider:
    """Tombstones for what an expiry removed; the expiry itself takes the sums that it keeps."""

    def __init__(self, database: Database, change: Expiry | ProjectReset) -> None:
        self._seq = change.seq
        self._removed = _Removed(database, change.seq)
        self._aside = seqs_aside(database, change.tenant_id)
        self._kept = _kept_of_tenant(database, change.tenant_id, change.seq)
        self._sums = sums_of_runs(database, change.tenant_id)
        self._tenant_id = change.tenant_id
        self._mark = _tenant_mark(change.tenant_id)

    def __call__(self, seq: int, line: bytes) -> bytes | None:
        if seq > self._seq:
            return None
        place = self._removed.place_of(seq)
        if place is not None:
            return self._removed.tombstone(line, place, self._seq)
        return self._of_tenant(seq, line) if self._mark in line else None

    def _of_tenant(self, seq: int, line: bytes) -> bytes | None:
        """What stands in for a line that stays, where it is the tenant's."""
        if seq in self._kept:
            return with_kept(line, self._kept[seq]) if seq == self._seq or b'"kept":' in line else None
        if _RERATES in line[:_HEAD_BYTES]:
            return self._rerating(seq, line)
        return tombstone_for(line, seq, self._seq) if self._repeats_removed(seq, line) else None

    def _rerating(self, seq: int, line: bytes) -> bytes | None:
        """A step of a rating run without the ratings of what is gone; its commit says what it changed."""
        if _decode(line).tenant_id != self._tenant_id:
            return None
        if seq in self._sums:
            return with_applied(line, self._sums[seq])
        return without_positions(line, lambda one: self._removed.place_of(one) is not None)

    def _repeats_removed(self, seq: int, line: bytes) -> bool:
        """Whether a line repeats a removed event, and nothing else shows it."""
        if seq in self._aside:
            return False
        try:
            found = _decode(line)
        except msgspec.DecodeError:
            return False
        event_id = found.event_id or (found.event.event_id if found.event else None)
        if found.tenant_id != self._tenant_id or event_id is None or found.kind != "usage":
            return False
        return self._is_removed(event_id, seq)

    def _is_removed(self, event_id: str, before_seq: int) -> bool:
        """Whether the event of this id that came before a line is one that was removed."""
        first = self._removed.first_of(event_key(self._tenant_id, event_id))
        return first is not None and first < before_seq


class _ProjectDecider(_ExpiryDecider):
    """Tombstones for what was in a project, and for whatever else is of it and counts nowhere.

    Voids lose the ids of its events. An expiry from before keeps the sums that are left. Lines of versions
    stay where their event was moved to another project, and those that a later record is to remove.
    """

    def __init__(self, database: Database, change: ProjectReset) -> None:
        super().__init__(database, change)
        self._project_id = change.project_id
        self._project_mark = project_mark(change.project_id)
        moved = fetch_columns(
            database,
            "SELECT coalesce(revised_seq, seq) AS seq FROM usage_history WHERE tenant_id = $tenant"
            " AND project_id = $project UNION SELECT seq FROM removed WHERE by_seq > $by ORDER BY seq",
            {"tenant": change.tenant_id, "project": change.project_id, "by": change.seq},
        )
        self._others: array[int] = array("Q", moved["seq"].astype("uint64").tobytes())

    def __call__(self, seq: int, line: bytes) -> bytes | None:
        return None if seq == self._seq else super().__call__(seq, line)

    def _of_tenant(self, seq: int, line: bytes) -> bytes | None:
        if self._project_mark in line and self._is_in_project(seq, line):
            return tombstone_for(line, seq, self._seq)
        return self._void(seq, line) if _VOIDS in line[:_HEAD_BYTES] else super()._of_tenant(seq, line)

    def _void(self, seq: int, line: bytes) -> bytes | None:
        """A void without the ids of events that are gone, or its tombstone where it names no others."""
        found = _decode(line)
        if found.tenant_id != self._tenant_id:
            return None
        left = [one for one in found.event_ids if not self._is_removed(one, seq)]
        if len(left) == len(found.event_ids):
            return None
        return (
            _with(line, "event_ids", msgspec.json.encode(left))
            if left
            else tombstone_for(line, seq, self._seq)
        )

    def _is_in_project(self, seq: int, line: bytes) -> bool:
        is_elsewhere = seq in self._aside or _holds(self._others, seq)
        if is_elsewhere or _decode(line).tenant_id != self._tenant_id:
            return False
        return project_of(line) == self._project_id


class _ResetDecider:
    """Tombstones for everything of a tenant, and for its earlier tombstones that bear keys."""

    def __init__(self, database: Database, tenant_id: str, by_seq: int) -> None:
        self._seq = by_seq
        self._tenant_id = tenant_id
        self._mark = _tenant_mark(tenant_id)
        self._expiries = set(_Removed(database, by_seq).seqs)

    def __call__(self, seq: int, line: bytes) -> bytes | None:
        if seq >= self._seq:
            return None
        is_stone = b'"kind":"%b"' % TOMBSTONE.encode() in line[:96]
        if self._mark not in line and not (is_stone and b'"key":' in line):
            return None
        try:
            found = _decode(line)
        except msgspec.DecodeError:
            return None
        is_of_tenant = found.by in self._expiries if is_stone else found.tenant_id == self._tenant_id
        return tombstone_for(line, seq, self._seq) if is_of_tenant else None


class _ErasureDecider:
    """Lines without the person."""

    def __init__(
        self, database: Database, tenant_id: str, by_seqs: Sequence[int], identifiers: Collection[str]
    ) -> None:
        self._database = database
        self._last = max(by_seqs)
        self._tenant_id = tenant_id
        self._mark = _tenant_mark(tenant_id)
        self._person = Person(identifiers) if identifiers else None
        self._removed = [_Removed(database, by_seq) for by_seq in by_seqs]
        self._tags = _erased_tags(database, by_seqs)
        self._kept = _kept_of_tenant(database, tenant_id, self._last)

    def __call__(self, seq: int, line: bytes) -> bytes | None:
        if seq >= self._last:
            return None
        for removed in self._removed:
            place = removed.place_of(seq)
            if place is not None:
                return removed.tombstone(line, place, self._last)
        if self._mark not in line:
            return None
        if seq in self._kept:
            return with_kept(line, self._kept[seq]) if b'"kept":' in line else None
        tags = self._tags.get(seq)
        if tags is None:
            tags = self._tags_of_other(seq, line)
        return None if tags is None else erased_line(line, tags)

    def _tags_of_other(self, seq: int, line: bytes) -> list[str] | None:
        """Of a line that no record names: a repeat of an event, or one that came too late to be named."""
        tags = names_person(line, self._person) if self._person else None
        if tags is None or _decode(line).tenant_id != self._tenant_id or self._is_counted(seq):
            return None
        return tags

    def _is_counted(self, seq: int) -> bool:
        """Whether the store shows this very line, so that only a record of its own may change it."""
        found = self._database.execute(
            "SELECT 1 FROM usage_events WHERE tenant_id = $tenant AND (seq = $seq OR revised_seq = $seq)"
            " UNION ALL"
            " SELECT 1 FROM usage_history WHERE tenant_id = $tenant AND (seq = $seq OR revised_seq = $seq)"
            " UNION ALL SELECT 1 FROM quarantine WHERE tenant_id = $tenant AND seq = $seq LIMIT 1",
            {"tenant": self._tenant_id, "seq": seq},
        ).fetchall()
        return bool(found)


def _erased_tags(database: Database, by_seqs: Sequence[int]) -> dict[int, list[str]]:
    """By position: the tags that go."""
    rows = database.execute(
        "SELECT seq, tags FROM erased WHERE by_seq IN (SELECT unnest(?::UBIGINT[]))", [list(by_seqs)]
    ).fetchall()
    found: dict[int, list[str]] = {}
    for seq, tags in rows:
        found[int(seq)] = sorted({*found.get(int(seq), []), *tags})
    return found


def seqs_aside(database: Database, tenant_id: str) -> frozenset[int]:
    """Positions of a tenant's quarantined records, which stay until the quarantine's own retention ends."""
    rows = database.execute(
        "SELECT seq FROM quarantine WHERE tenant_id = ?"
        " UNION ALL SELECT seq FROM quarantine_drops WHERE tenant_id = ?",
        [tenant_id, tenant_id],
    ).fetchall()
    return frozenset(int(row[0]) for row in rows)


def _kept_of_tenant(database: Database, tenant_id: str, up_to: int) -> dict[int, bytes]:
    """The sums that each expiry of a tenant and its projects keeps by now, as JSON."""
    rows = database.execute(
        "SELECT seq FROM horizons WHERE tenant_id = ? AND seq <= ? AND what IN (?, ?, ?)",
        [tenant_id, up_to, EVENTS, ROLLUPS, PROJECT_EXPIRY],
    ).fetchall()
    seqs = [int(row[0]) for row in rows]
    return {seq: msgspec.json.encode(read_kept(database, seq)) for seq in seqs}


def _holds(seqs: array[int], seq: int) -> bool:
    """Whether a sorted array has a position."""
    i = bisect_left(seqs, seq)
    return i < len(seqs) and seqs[i] == seq


def _tenant_mark(tenant_id: str) -> bytes:
    return b'"tenant_id":' + msgspec.json.encode(tenant_id)
