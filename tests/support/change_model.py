"""What changes do, in plain Python: one dictionary of events, read like decision 7.

The oracle for `tests/storage/test_changes.py`. It knows no SQL, no index and no batches; totals are
sums over lists.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bursar.usage.applying import event_key

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3_600_000_000
DAY = 24 * HOUR


@dataclass(frozen=True)
class Version:
    """One version of an event, as far as the tests look."""

    seq: int
    place: int
    tenant: str
    event_id: str
    time: int
    user: str | None
    project: str | None
    cost: Decimal | None
    latency: float | None
    tags: tuple[tuple[str, str], ...]
    named: str | None = None
    """Whom the provider's own usage object names."""

    def shown(self) -> tuple[Any, ...]:
        """As the store's row shows it."""
        revised = None if self.place == self.seq else self.place
        return (
            self.seq,
            revised,
            self.tenant,
            self.event_id,
            self.time,
            self.user,
            self.project,
            self.cost,
            self.tags,
        )

    def without(self, person: str) -> Version:
        """Without a person, if it names them."""
        kept = tuple((name, value) for name, value in self.tags if value != person)
        if person not in (self.user, self.named) and kept == self.tags:
            return self
        return replace(self, user=None, tags=kept, named=None)


@dataclass
class Run:
    """A rating run that hasn't come into force."""

    run_id: str
    began: int
    chunks: int = 0
    ratings: dict[int, tuple[int, Decimal | None]] = field(
        default_factory=dict[int, "tuple[int, Decimal | None]"]
    )
    """By position: as of when it was rated, and the cost."""


@dataclass
class Model:
    """Everything that the journal says."""

    keys: dict[tuple[str, str], tuple[int, int]] = field(
        default_factory=dict[tuple[str, str], tuple[int, int]]
    )
    current: dict[int, Version] = field(default_factory=dict[int, Version])
    history: list[tuple[Version, int, str]] = field(default_factory=list[tuple[Version, int, str]])
    kept: list[Version] = field(default_factory=list[Version])
    aside: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    horizons: list[tuple[str, str, int, int]] = field(default_factory=list[tuple[str, str, int, int]])
    project_horizons: list[tuple[str, str, str, int, int]] = field(
        default_factory=list[tuple[str, str, str, int, int]]
    )
    open: dict[str, Run] = field(default_factory=dict[str, Run])
    earlier: list[tuple[int, int, str, Decimal | None, int]] = field(
        default_factory=list["tuple[int, int, str, Decimal | None, int]"]
    )
    """Position, version, tenant, cost, and which run replaced it."""
    runs: dict[int, str] = field(default_factory=dict[int, str])
    """Tenants of the runs that came into force and changed something, by position."""

    def deliver(self, seq: int, record: dict[str, Any]) -> None:
        """A usage record: first, repeat, or conflict."""
        key = (record["tenant_id"], record["event"]["event_id"])
        known = self.keys.get(key)
        if known is None:
            self.keys[key] = (seq, record["fingerprint"])
            self.current[seq] = _version(seq, seq, record)
        elif known[1] != record["fingerprint"]:
            self.aside.append((seq, key[0], record["received"]))

    def correct(self, seq: int, record: dict[str, Any]) -> None:
        """A correction: the old version ends, the new one takes its place."""
        first = self._current_seq(record["tenant_id"], record["event_id"])
        if first is None:
            self.aside.append((seq, record["tenant_id"], record["received"]))
            return
        self.history.append((self.current[first], seq, "correction"))
        self.current[first] = _version(first, seq, record["usage"])

    def void(self, seq: int, record: dict[str, Any]) -> None:
        """A void: the events end."""
        for event_id in record["event_ids"]:
            first = self._current_seq(record["tenant_id"], event_id)
            if first is not None:
                self.history.append((self.current.pop(first), seq, "void"))

    def rate(self, seq: int, record: dict[str, Any]) -> None:
        """Ratings of a run, which wait."""
        tenant, number = record["tenant_id"], record.get("number", 0)
        if number == 0:
            self.open[tenant] = Run(record["run_id"], seq)
        run = self.open.get(tenant)
        if run is None or (run.run_id, run.chunks) != (record["run_id"], number):
            return
        run.chunks += 1
        for place, picos in zip(record["seqs"], record["picos"], strict=True):
            cost = None if picos is None else Decimal(picos).scaleb(-12)
            run.ratings[place] = (record["as_of"], cost)

    def commit(self, seq: int, record: dict[str, Any]) -> None:
        """The run comes into force, if all its ratings are there: events that changed since stay."""
        tenant = record["tenant_id"]
        run = self.open.get(tenant)
        if run is None or (run.run_id, run.chunks) != (record["run_id"], record.get("number", 0)):
            return
        del self.open[tenant]
        for first, (as_of, cost) in run.ratings.items():
            one = self.current.get(first)
            if one is None or one.tenant != tenant or one.place > as_of or first >= run.began:
                continue
            self.earlier.append((first, one.place, tenant, one.cost, seq))
            self.current[first] = replace(one, cost=cost)
            self.runs[seq] = tenant

    def abandon(self, record: dict[str, Any]) -> None:
        """The run won't come into force."""
        run = self.open.get(record["tenant_id"])
        if run is not None and run.run_id == record["run_id"]:
            del self.open[record["tenant_id"]]

    def expire(self, seq: int, record: dict[str, Any]) -> None:
        """An expiry: events go with their history and their key, their sums stay; or the sums go too.

        Of a tenant, or of what is in one project of it by its last version.
        """
        tenant, what, before = record["tenant_id"], record["what"], record["before"]
        project = record.get("project_id")
        self.horizons.append((tenant, "project_expiry" if project else what, before, seq))
        if project:
            self.project_horizons.append((tenant, project, what, before, seq))

        def is_old(one: Version) -> bool:
            return one.tenant == tenant and one.time < before and project in (None, one.project)

        if what == "quarantine":
            self.aside = [one for one in self.aside if one[1] != tenant or one[2] >= before]
            return
        old = [one for one in self.current.values() if is_old(one)]
        self.kept += old
        ended = {one.seq for one, _, kind in self.history if kind == "void" and is_old(one)}
        self._remove({one.seq for one in old} | ended)
        if what == "rollups":
            self.kept = [one for one in self.kept if not is_old(one)]

    def erase(self, tenant: str, person: str) -> None:
        """An erasure of everything that names a person."""
        self.current = {
            seq: one.without(person) if one.tenant == tenant else one for seq, one in self.current.items()
        }
        self.history = [
            (one.without(person) if one.tenant == tenant else one, seq, kind)
            for one, seq, kind in self.history
        ]
        self.kept = [
            replace(one, user=None) if (one.tenant, one.user) == (tenant, person) else one
            for one in self.kept
        ]

    def reset(self, tenant: str) -> None:
        """Everything of a tenant goes."""
        gone = {one.seq for one in self.current.values() if one.tenant == tenant}
        self._remove(gone | {one.seq for one, _, _ in self.history if one.tenant == tenant})
        self.kept = [one for one in self.kept if one.tenant != tenant]
        self.aside = [one for one in self.aside if one[1] != tenant]
        self.horizons = [one for one in self.horizons if one[0] != tenant]
        self.project_horizons = [one for one in self.project_horizons if one[0] != tenant]
        self.open.pop(tenant, None)
        self.runs = {seq: of for seq, of in self.runs.items() if of != tenant}

    def reset_project(self, seq: int, record: dict[str, Any]) -> None:
        """The events that are in a project go with their history, and so do its kept sums."""
        is_in = record["tenant_id"], record["project_id"]
        self.horizons.append((is_in[0], "project", record["received"], seq))
        last = [*self.current.values(), *(one for one, _, kind in self.history if kind == "void")]
        self._remove({one.seq for one in last if (one.tenant, one.project) == is_in})
        self.kept = [one for one in self.kept if (one.tenant, one.project) != is_in]
        self.project_horizons = [one for one in self.project_horizons if one[:2] != is_in]

    def rows(self) -> list[tuple[Any, ...]]:
        """Current versions."""
        return sorted((one.shown() for one in self.current.values()), key=repr)

    def ended(self) -> list[tuple[Any, ...]]:
        """Versions that ended, by which record and kind."""
        return sorted(((*one.shown(), seq, kind) for one, seq, kind in self.history), key=repr)

    def by_hour(self) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Events, cost and latency by hour, tenant and project."""
        return self._sums(lambda one: (one.time // HOUR * HOUR, one.tenant, one.project))

    def by_user_day(self) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """The same by day, tenant, project and user."""
        return self._sums(lambda one: (one.time // DAY * DAY, one.tenant, one.project, one.user))

    def index(self) -> list[tuple[bytes, int, int]]:
        """What the key index must hold."""
        return sorted((event_key(*key), *value) for key, value in self.keys.items())

    def _current_seq(self, tenant: str, event_id: str) -> int | None:
        seq, _ = self.keys.get((tenant, event_id), (0, 0))
        return seq if seq in self.current else None

    def _remove(self, seqs: set[int]) -> None:
        self.current = {seq: one for seq, one in self.current.items() if seq not in seqs}
        self.history = [one for one in self.history if one[0].seq not in seqs]
        self.earlier = [one for one in self.earlier if one[0] not in seqs]
        self.keys = {key: value for key, value in self.keys.items() if value[0] not in seqs}

    def _sums(self, key_of: Callable[[Version], tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        groups: defaultdict[tuple[Any, ...], list[Version]] = defaultdict(list)
        for one in [*self.current.values(), *self.kept]:
            groups[key_of(one)].append(one)
        return {
            key: (
                len(group),
                sum((one.cost for one in group if one.cost is not None), Decimal(0)),
                sum((Decimal(str(one.latency)) for one in group if one.latency is not None), Decimal(0)),
            )
            for key, group in groups.items()
        }


def _version(seq: int, place: int, record: dict[str, Any]) -> Version:
    event = record["event"]
    return Version(
        seq,
        place,
        record["tenant_id"],
        event["event_id"],
        record["time"],
        event.get("user_id"),
        event.get("project_id"),
        Decimal(record["cost"]),
        event.get("latency_ms"),
        tuple(sorted(event.get("tags", {}).items())),
        event.get("usage", {}).get("user"),
    )
