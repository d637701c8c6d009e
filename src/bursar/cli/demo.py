"""`bursar demo`: a server with invented usage, loaded through its own HTTP door, to look around in."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Generator

    from bursar.cli.demo_usage.generator import DemoPlan
    from bursar.settings import Settings
    from bursar_client import BursarClient

EXAMPLES = examples(
    "bursar demo", "bursar demo --port 9000 --days 7 --events 5000", "bursar demo --data demo-data"
)
EVENTS_PER_STEP = 1_000
POLL_SECONDS = 0.1
INTRODUCED_WINDOW = "all"
"""Of the printed totals and of the request that shows them by model, so that they agree."""
OLDEST_DAYS = 34
"""The native door takes 35 days; the day between is for a load that starts before midnight."""


def demo(
    *,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on; 0 picks a free one. [default: BURSAR_PORT, else 8000]"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="Keep the data here. [default: a folder that goes away at the end]"
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=OLDEST_DAYS, help="Days of usage, ending now.")] = 30,
    events: Annotated[int, typer.Option(min=1, max=2_000_000, help="How many events.")] = 60_000,
    seed: Annotated[int, typer.Option(help="Another seed, another company.")] = 1,
    exit_after_load: Annotated[
        bool, typer.Option("--exit-after-load", help="Stop when everything is loaded.")
    ] = False,
) -> None:
    """Serve 30 days of invented usage: several providers, teams, errors, and one spike to find.

    Prints the address, a key and requests to try, and serves until Ctrl-C.
    """
    from bursar import clock
    from bursar.cli.demo_usage.generator import DemoPlan

    plan = DemoPlan(clock.now(), days=days, events=events, seed=seed)
    with _stopping_on_signals() as stop, _settings_for(port, data) as settings:
        _run(settings, plan, stop=stop, exit_after_load=exit_after_load, is_kept=data is not None)


def _run(
    settings: Settings, plan: DemoPlan, *, stop: threading.Event, exit_after_load: bool, is_kept: bool
) -> None:
    from bursar.cli.connection import client_of_socket, socket_of
    from bursar.cli.local_server import serving_address
    from bursar_client import BursarClient

    with serving_address(settings) as serving, client_of_socket(socket_of(settings)) as operator:
        url = str(serving.url)
        key = serving.generated_key or _make_key(operator)
        with BursarClient(url, key) as client:
            _load(client, plan, stop)
            if stop.is_set():
                _keep_key(serving.generated_key)
                return
            _introduce(client, url, key, is_operators=serving.generated_key is not None)
            _name_folder(settings.data_dir, is_kept=is_kept)
        if not exit_after_load:
            print("\nServing until Ctrl-C.", flush=True)
            while not stop.is_set() and serving.is_running:
                stop.wait(1.0)


@contextmanager
def _settings_for(port: int | None, data: Path | None) -> Generator[Settings]:
    """Settings for the folder named, or for one that goes away when the block is left."""
    import tempfile

    from bursar.settings import load_settings

    if data is not None:
        yield load_settings(port=port, data_dir=data)
        return
    with tempfile.TemporaryDirectory(prefix="bursar-demo-") as folder:
        yield load_settings(port=port, data_dir=Path(folder))


@contextmanager
def _stopping_on_signals() -> Generator[threading.Event]:
    """An event that is set on Ctrl-C and SIGTERM, so that the server always stops in order."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def ask_to_stop(_number: int, _frame: object) -> None:
        stop.set()

    before = [signal.signal(number, ask_to_stop) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _keep_key(generated: str | None) -> None:
    """Show a key that can't be read again, where the introduction that would show it isn't reached."""
    from bursar.cli.printing import say

    if generated is not None:
        say(f"Admin key, shown only this once: {generated}")


def _make_key(operator: BursarClient) -> str:
    body = {"label": "demo", "scopes": ["ingest", "read"]}
    return str(operator.request("POST", "/api/v1/keys", body=body)["key"])


def _load(client: BursarClient, plan: DemoPlan, stop: threading.Event) -> None:
    """Send the plan's events through the HTTP door, unless the folder holds a demo already."""
    from bursar.cli.printing import progress_of, say

    if held := _demo_events(client):
        say(f"The folder holds {held:,} demo events already; nothing was added.")
        return
    say(f"Loading {plan.events:,} events of the last {plan.days} days through the HTTP door …")
    began = time.monotonic()
    with progress_of("loading", plan.events) as advance:
        for step in _steps(plan):
            if stop.is_set():
                return
            client.send(step).raise_for_rejected()
            advance(len(step))
    taken = time.monotonic() - began
    while not stop.is_set() and _demo_events(client) < plan.events:
        time.sleep(POLL_SECONDS)
    say(
        f"Loaded in {taken:.1f} s, {plan.events / taken:,.0f} events a second,"
        " each of them on disk before it was acknowledged."
    )


def _steps(plan: DemoPlan) -> Generator[list[dict[str, Any]]]:
    from bursar.cli.demo_usage.generator import generate_usage

    step: list[dict[str, Any]] = []
    for event in generate_usage(plan):
        step.append(event)
        if len(step) == EVENTS_PER_STEP:
            yield step
            step = []
    if step:
        yield step


def _demo_events(client: BursarClient) -> int:
    """How many events of a demo the store holds."""
    filters = {"event_id": {"prefix": "demo-"}}
    return int(_totals(client, ["events"], filters=filters, window="all")["events"])


def _totals(client: BursarClient, measures: list[str], **asked: object) -> dict[str, Any]:
    totals: dict[str, Any] = client.query(measures, **asked).document["totals"]
    return totals


def _introduce(client: BursarClient, url: str, key: str, *, is_operators: bool) -> None:
    totals = _totals(client, ["cost", "events", "unpriced_events", "errors"], window=INTRODUCED_WINDOW)
    spend = " and ".join(f"{one['amount']} {one['currency']}" for one in totals["cost"] if one["amount"])
    ask = f"curl -s -H 'X-API-Key: {key}'"
    may = "may do everything; shown only this once" if is_operators else "may record and ask"
    post = f"{ask} -H 'Content-Type: application/json'"
    counted = f"{totals['events']:,} events, {spend}"
    faults = f"{totals['unpriced_events']:,} without a known price, {totals['errors']:,} errors"
    print(
        f"""
{counted}; {faults}.

Address  {url}   (documentation at {url}/docs)
Key      {key}   ({may})

Three requests to try:

  # what each model cost, and all of them together as above
  {ask} '{url}/api/v1/cost/breakdown?group_by=model&window={INTRODUCED_WINDOW}'

  # spend per project and day: find the spike
  {post} {url}/api/v1/query \\
    -d '{{"measures":["cost","events"],"dimensions":["project_id"],"grain":"day","order":"-cost","limit":5}}'

  # record a call and see what it costs
  {post} '{url}/api/v1/events?wait=applied' \\
    -d '{{"provider":"anthropic","model":"claude-sonnet-5","input_tokens":1200,"output_tokens":340}}'
""".rstrip(),
        flush=True,
    )


def _name_folder(folder: Path, *, is_kept: bool) -> None:
    """Say how commands reach this ledger: not by the folder that they go to by themselves."""
    called = Path(sys.argv[0])
    program = called if called.name == "bursar" else "bursar"
    print(
        f"""
Commands need no key beside it, only its folder{"" if is_kept else ", which goes away at the end"}:

  {program} query --by model --order -cost --data {shlex.quote(str(folder))}
""".rstrip(),
        flush=True,
    )
