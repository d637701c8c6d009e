"""Every number that Bursar tells Prometheus about itself, declared in one place.

What happens at the edge (requests, queries) is counted here as it happens. The parts below `app` know
nothing of Prometheus: they count for themselves, and `Readings` takes their counts at the moment of a
scrape. Labels come from small closed sets only (method, route template, status, door); never a
tenant, a key, a model or a path as it was asked for. `docs/reference/metrics.md` is written from
`Metrics.reference`, the endpoint is in `health.py`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

import bursar
from bursar.identity.limits.policy import Counted, Use

MEDIA_TYPE = CONTENT_TYPE_LATEST
"""The text exposition format that `Metrics.text` writes."""
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""In seconds, from a cached answer to the longest query allowed."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series as the reference page shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def _counts(name: str, meaning: str) -> dict[str, Series]:
    return {"series": Series(f"{name}_total", "counter", (), meaning)}


def _counts_by_door(name: str, meaning: str) -> dict[str, Series]:
    return {"series": Series(f"{name}_total", "counter", ("door",), meaning)}


def _level(name: str, meaning: str) -> dict[str, Series]:
    return {"series": Series(name, "gauge", (), meaning)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the parts below count for themselves, as read for one scrape."""

    ingest_accepted: Mapping[str, int] = field(
        metadata=_counts_by_door("bursar_ingest_events_accepted", "Events made durable and acknowledged")
    )
    ingest_rejected: Mapping[str, int] = field(
        metadata=_counts_by_door("bursar_ingest_events_rejected", "Events refused, with their reasons")
    )
    ingest_unpriced: Mapping[str, int] = field(
        metadata=_counts_by_door(
            "bursar_ingest_events_unpriced", "Accepted events that no price was found for"
        )
    )
    quota_refused: int = field(
        metadata=_counts("bursar_quota_events_refused", "Events refused because a quota was used up")
    )
    quotas: Mapping[str, int] = field(
        metadata={
            "series": Series(
                "bursar_quotas",
                "gauge",
                ("state",),
                "Quotas of all tenants and projects, by whether they have something left this month",
            )
        }
    )
    redactions: Mapping[str, int] = field(
        metadata={
            "series": Series(
                "bursar_redactions_total",
                "counter",
                ("rule",),
                "What privacy rules took out of events, by detector; `own` are tenants' own patterns",
            )
        }
    )
    duplicates: int = field(
        metadata=_counts("bursar_ingest_events_duplicate", "Applied deliveries whose id was counted before")
    )
    conflicts: int = field(
        metadata=_counts(
            "bursar_ingest_events_conflict", "Applied deliveries whose id came before with other content"
        )
    )
    journal_written: int = field(
        metadata=_counts("bursar_journal_written_bytes", "Bytes written to the journal")
    )
    journal_records: int = field(metadata=_counts("bursar_journal_records", "Records written to the journal"))
    journal_commits: int = field(
        metadata=_counts("bursar_journal_commits", "Group commits: one write, one fdatasync")
    )
    journal_sync_seconds: float = field(
        metadata=_counts("bursar_journal_fdatasync_seconds", "Time spent waiting for fdatasync")
    )
    journal_failures: int = field(
        metadata=_counts("bursar_journal_failures", "Writes or syncs of the journal that failed")
    )
    journal_pending_bytes: int = field(
        metadata=_level("bursar_journal_pending_bytes", "Accepted bytes in memory that are not durable yet")
    )
    journal_bytes: int = field(metadata=_level("bursar_journal_bytes", "Bytes of the plain segments on disk"))
    journal_segments: int = field(metadata=_level("bursar_journal_segments", "Plain segments on disk"))
    archive_bytes: int = field(
        metadata=_level("bursar_journal_archive_bytes", "Bytes of the archived segments, compressed")
    )
    archive_raw_bytes: int = field(
        metadata=_level("bursar_journal_archive_raw_bytes", "Bytes of the archived segments' content")
    )
    archive_files: int = field(
        metadata=_level("bursar_journal_archive_files", "Archived segments of the journal")
    )
    applier_records: int = field(
        metadata=_counts("bursar_applier_records", "Journal records applied to the usage store")
    )
    applier_batches: int = field(
        metadata=_counts("bursar_applier_batches", "Transactions committed by the applier")
    )
    applier_seconds: float = field(
        metadata=_counts("bursar_applier_seconds", "Time the applier spent in its transactions")
    )
    applier_held_seconds: float = field(
        metadata=_counts("bursar_applier_held_seconds", "Time in which other work let no transaction begin")
    )
    compaction_steps: int = field(
        metadata=_counts("bursar_compaction_steps", "Transactions that replaced rollup rows by their sums")
    )
    compaction_seconds: float = field(
        metadata=_counts("bursar_compaction_seconds", "Time spent in them; the applier waits meanwhile")
    )
    compaction_rows_saved: int = field(
        metadata=_counts("bursar_compaction_rows_saved", "Rollup rows that they made superfluous")
    )
    applier_errors: int = field(
        metadata=_counts("bursar_applier_errors", "Batches that failed and are tried again")
    )
    applier_lag_records: int = field(
        metadata=_level("bursar_applier_lag_records", "Durable records that are not in the usage store yet")
    )
    applier_lag_seconds: float = field(
        metadata=_level("bursar_applier_lag_seconds", "How long the usage store has been behind the journal")
    )
    quarantined: int = field(
        metadata=_counts("bursar_quarantine_added", "Records put into quarantine since the start")
    )
    quarantine_dropped: int = field(
        metadata=_counts(
            "bursar_quarantine_dropped", "Records not kept because a tenant's quarantine was full"
        )
    )
    quarantine_records: int = field(metadata=_level("bursar_quarantine_records", "Records in quarantine"))
    key_index_entries: int = field(
        metadata=_level("bursar_key_index_entries", "Event ids remembered for deduplication")
    )
    rebuilding: int = field(
        metadata=_level(
            "bursar_rebuild_running", "1 while a new usage store is derived beside the one in use"
        )
    )
    rebuilds: int = field(metadata=_counts("bursar_rebuilds", "Usage stores rebuilt beside the one in use"))
    rebuild_held_seconds: float = field(
        metadata=_counts("bursar_rebuild_held_seconds", "How long rebuilds have held the applier")
    )


READING_SERIES: dict[str, Series] = {one.name: one.metadata["series"] for one in fields(Readings)}


class _Reader(Collector):
    """Turns fresh readings into samples."""

    def __init__(self, read: Callable[[], Readings]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Nothing: reading at the moment of registration would be too early."""
        return ()

    def collect(self) -> Iterable[Metric]:
        readings = self._read()
        for name, series in READING_SERIES.items():
            kind = CounterMetricFamily if series.kind == "counter" else GaugeMetricFamily
            family = kind(series.name, series.meaning, labels=series.labels)
            value: float | Mapping[str, int] = getattr(readings, name)
            by_label = value.items() if isinstance(value, Mapping) else [(None, value)]
            for label, number in by_label:
                family.add_metric([] if label is None else [label], number)
            yield family


class _Declaration:
    """Makes series on one registry and remembers them for the reference page."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.series: list[Series] = []

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        self.series.append(Series(f"{name}_total", "counter", labels, meaning))
        return Counter(name, meaning, labels, registry=self._registry)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        self.series.append(Series(name, "gauge", labels, meaning))
        return Gauge(name, meaning, labels, registry=self._registry)

    def histogram(self, name: str, meaning: str, *labels: str) -> Histogram:
        self.series.append(Series(name, "histogram", labels, meaning))
        return Histogram(name, meaning, labels, registry=self._registry, buckets=DURATION_BUCKETS)


class HttpMetrics:
    """Requests as they were answered, by route template."""

    def __init__(self, declare: _Declaration) -> None:
        self.requests = declare.counter(
            "bursar_http_requests", "Requests answered, by route template", "method", "route", "status"
        )
        self.seconds = declare.histogram(
            "bursar_http_request_duration_seconds",
            "Time from the request's head to the end of its answer",
            "method",
            "route",
        )
        self.in_flight = 0
        """Requests being answered now; a plain number, which only the event loop changes."""
        shown = declare.gauge("bursar_http_requests_in_flight", "Requests being answered now")
        shown.set_function(lambda: self.in_flight)
        self.abandoned = declare.counter(
            "bursar_http_requests_abandoned", "Requests whose client left before the answer"
        )
        self.ingest_bytes = declare.counter("bursar_ingest_bytes", "Bytes of event bodies received, as sent")
        self._by_labels: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; every label must come from a closed set."""
        labels = (method, route, status)
        counted = self._by_labels.get(labels)
        if counted is None:
            # Looking children up by their labels takes prometheus-client 3 µs, each time.
            counted = (self.requests.labels(*labels), self.seconds.labels(method, route))
            self._by_labels[labels] = counted
        counted[0].inc()
        counted[1].observe(seconds)


class QueryMetrics:
    """Questions put to the usage store."""

    def __init__(self, declare: _Declaration) -> None:
        self.seconds = declare.histogram(
            "bursar_query_duration_seconds", "Time from asking the usage store to the end of the question"
        )
        self.overloads = declare.counter(
            "bursar_query_overloads", "Queries refused because all threads were busy"
        )
        self.timeouts = declare.counter("bursar_query_timeouts", "Queries interrupted at their time limit")
        self.cancelled = declare.counter(
            "bursar_query_cancelled", "Queries interrupted because the client left"
        )


class LimitMetrics:
    """What rate limits did."""

    def __init__(self, declare: _Declaration) -> None:
        self.refused = declare.counter(
            "bursar_rate_limited",
            "Requests refused with 429, by what they were for and whose bucket was empty",
            "use",
            "counted",
        )
        for use, counted in product(Use, Counted):
            # Known from the start, so that a first refusal is seen as a rise.
            self.refused.labels(use, counted)
        self.redis_failures = declare.counter(
            "bursar_rate_limit_redis_failures", "Questions about rate limits that Redis didn't answer"
        )
        self.counted_alone = declare.counter(
            "bursar_rate_limit_counted_alone",
            "Requests that this server counted by itself because Redis was away",
        )
        self.held = 0
        """Refusals that wait to be told; a plain number, which only the event loop changes."""
        held = declare.gauge(
            "bursar_rate_limit_held", "Refusals held back for a moment, of callers that keep asking too often"
        )
        held.set_function(lambda: self.held)


class Metrics:
    """One process's metrics, on a registry of their own."""

    def __init__(self) -> None:
        # Every counter would come with a `_created` gauge, which nobody reads and which doubles the page.
        disable_created_metrics()
        self.registry = CollectorRegistry()
        declare = _Declaration(self.registry)
        self.http = HttpMetrics(declare)
        self.query = QueryMetrics(declare)
        self.limits = LimitMetrics(declare)
        self.applier_delay = declare.histogram(
            "bursar_applier_delay_seconds",
            "Time from durable to queryable, of the oldest record of each transaction",
        )
        build = declare.gauge("bursar_build_info", "Always 1; the labels say what runs", "version", "python")
        build.labels(version=bursar.__version__, python=platform.python_version()).set(1)
        ProcessCollector(registry=self.registry)
        self.series = (*declare.series, *READING_SERIES.values())

    def watch(self, read: Callable[[], Readings]) -> None:
        """Ask `read` at every scrape for what the parts below have counted; it may take milliseconds."""
        self.registry.register(_Reader(read))

    def text(self) -> bytes:
        """All series in the Prometheus text format (`MEDIA_TYPE`)."""
        return generate_latest(self.registry)

    def reference(self) -> str:
        """The reference page of all series, in Markdown."""
        rows = [_row(one) for one in sorted(self.series, key=lambda one: one.name)]
        return _REFERENCE_HEAD + "\n".join(rows) + "\n" + _REFERENCE_TAIL


def _row(series: Series) -> str:
    labels = ", ".join(f"`{label}`" for label in series.labels) or "none"
    return f"| `{series.name}` | {series.kind} | {labels} | {series.meaning} |"


_REFERENCE_HEAD = """\
# Metrics

`GET /metrics` answers in the Prometheus text format. It needs a key with `system:read`, sent as
`Authorization: Bearer <key>` or `X-API-Key: <key>`. This page is written by `make docs` from
`src/bursar/app/metrics.py`; a test fails when it is stale.

Labels come from closed sets: `route` is the template of the route (`/api/v1/events/{event_id}`, or
`unmatched`), `door` the way an event came in. No label holds a tenant, a key, a model or a user.

| Series | Kind | Labels | Meaning |
|---|---|---|---|
"""
_REFERENCE_TAIL = """
A histogram `x` has the usual `x_bucket`, `x_sum` and `x_count`. The process's own numbers
(`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds`, …) come with them on Linux.
"""
