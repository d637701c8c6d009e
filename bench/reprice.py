"""Re-pricing: a million events are rated again at a discount, beside a stream and without one.

The first run comes into force beside a stream, whose answers must not wait for it; the second one, after
the discount is withdrawn, has the machine for itself and leaves the events as they were.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.filling import filled_folder
from bench.options import Options, say
from bench.paced import PacedSender
from bench.report import Line, Report, at_least, at_most, percentile
from bench.server import BenchServer
from bursar import clock

if TYPE_CHECKING:
    import httpx

EVENTS = 1_000_000
EVENTS_PER_SECOND = 2_000
LIMIT_SECONDS = at_most(30)
P99_MILLIS, PACE = at_most(250), at_least(0.98 * EVENTS_PER_SECOND)
LOOK_SECONDS = 0.1
DISCOUNT = {"kind": "discount", "percent": "12", "valid_from": "2020-01-01T00:00:00Z"}


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the job."""

    result: dict[str, Any]
    seconds: float
    cpu: float


def run(options: Options, report: Report) -> None:
    """Rate what is stored at a discount, and back."""
    folder = filled_folder(options)
    with BenchServer(folder) as server, server.client() as client:
        made = client.post("/api/v1/prices", json=DISCOUNT).raise_for_status().json()
        say(f"reprice: {int(server.status()['applied_seq']):,} events, {EVENTS_PER_SECOND:,} more a second")
        look = _reprice(server, client, dry_run=True)
        _add(report, "a look", look)
        with PacedSender(server.port, EVENTS_PER_SECOND) as sender:
            beside = _reprice(server, client, dry_run=False)
        _add(report, f"in force, beside {EVENTS_PER_SECOND:,} events/s", beside)
        kept = sender.kept
        report.add(Line("re-pricing: pace of the stream", [kept.per_second], "events/s", PACE))
        title = "re-pricing: p99 of the stream's bodies"
        report.add(Line(title, [percentile(kept.latencies, 0.99) * 1000], "ms", P99_MILLIS))
        client.delete(f"/api/v1/prices/overrides/{made['id']}", params={"reason": "measured"})
        _add(report, "in force, alone", _reprice(server, client, dry_run=False))
        report.add(Line("re-pricing: anonymous memory, peak", [server.peak_memory_bytes / 2**20], "MiB"))
        if kept.refused or look.result["changed"] != beside.result["applied"]:
            report.fault(f"{kept.refused} events refused; {look.result['changed']} to change, not so applied")


def _add(report: Report, title: str, one: _Run) -> None:
    events, changed = one.result["events"], one.result["changed"]
    per_million = one.seconds * EVENTS / max(1, events)
    cpu = f"{one.cpu / max(1, events) * 1e6:.1f} µs/event"
    note = f"{events:,} events, {changed:,} of them cost something else"
    report.add(Line(f"re-pricing a million, {title}", [per_million], "s", LIMIT_SECONDS, cpu, note))


def _reprice(server: BenchServer, client: httpx.Client, *, dry_run: bool) -> _Run:
    started, cpu = clock.monotonic(), server.cpu_seconds()
    body = {"window": "all", "reason": "a benchmark", "dry_run": dry_run}
    url = client.post("/api/v1/reprice", json=body).raise_for_status().json()["run"]["url"]
    while (ended := client.get(url).raise_for_status().json())["finished_at"] is None:
        time.sleep(LOOK_SECONDS)
    if ended["state"] != "succeeded":
        message = f"The run ended as {ended['state']}: {ended['error']}"
        raise RuntimeError(message)
    return _Run(ended["result"], clock.monotonic() - started, server.cpu_seconds() - cpu)
