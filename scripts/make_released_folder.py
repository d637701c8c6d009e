"""Makes the data folders of a released Bursar that `tests/storage/test_released_folders.py` opens.

Run it once per release, with that release's own `bursar`, and commit what it writes. It knows Bursar only
by its command line and its HTTP API, so it needs nothing of the version that it runs:

    python scripts/make_released_folder.py tests/released/0.1.0 /path/to/bursar

It writes `stopped.tar.zst` (a server stopped in order), `killed.tar.zst` (the same folder a little later,
after `kill -9` and with half a frame behind the last good one) and `expected.json` (what is in each).
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import zstandard

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

OPERATOR_KEY = "bur_operator-of-released-folders"
TENANT_KEY = "bur_default-tenant-of-released-folders"
TENANTS = ("acme", "globex")
LEFT_OUT = frozenset(("tmp", "bursar.sock", "LOCK", "lock.mdb", "state.db.lock"))
"""What a start makes again, and what names processes of another machine."""
_MODELS = (
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.0-flash"),
)
_USAGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "openai",
        "gpt-4o-mini",
        {
            "prompt_tokens": 2000,
            "completion_tokens": 300,
            "total_tokens": 2300,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 100, "audio_tokens": 0},
        },
    ),
    (
        "anthropic",
        "claude-sonnet-4-5",
        {
            "input_tokens": 400,
            "output_tokens": 250,
            "cache_read_input_tokens": 9000,
            "cache_creation_input_tokens": 700,
            "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
        },
    ),
)
_DICE = random.Random(10)  # noqa: S311 - invented usage


def main(target: Path, command: Sequence[str]) -> None:
    """Fill a folder and pack it twice."""
    target.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Any] = {"tenant_keys": {}}
    with tempfile.TemporaryDirectory(prefix="released-") as place:
        folder = Path(place) / "data"
        with serving(folder, command) as (url, process):
            expected["tenant_keys"] = make_tenants(url)
            send_everything(url, expected["tenant_keys"], "first")
            expected["stopped"] = read_totals(url)
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        pack(folder, target / "stopped.tar.zst")
        with serving(folder, command) as (url, process):
            send_everything(url, expected["tenant_keys"], "second", share=0.3)
            expected["killed"] = read_totals(url)
            process.kill()
            process.wait(30)
        tear_tail(folder)
        pack(folder, target / "killed.tar.zst")
    (target / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


@contextmanager
def serving(folder: Path, command: Sequence[str]) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """The released server on this folder: its address and its process."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
    environ |= {
        "BURSAR_ADMIN_KEY": OPERATOR_KEY,
        "BURSAR_API_KEY": TENANT_KEY,
        "BURSAR_SEGMENT_BYTES": "64KiB",
        "BURSAR_LOG_LEVEL": "warning",
    }
    arguments = [*command, "serve", "--port", "0", "--data", str(folder)]
    process = subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        for line in process.stdout:
            if found := re.search(r"serves (http://\S+)", line):
                yield found[1], process
                break
    finally:
        process.kill()
        process.communicate()


def client_of(url: str, key: str = OPERATOR_KEY) -> httpx.Client:
    """A client that presents the key."""
    return httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=60)


def make_tenants(url: str) -> dict[str, str]:
    """Two tenants with projects and keys, one of them revoked; answers the keys that stay."""
    keys: dict[str, str] = {}
    with client_of(url) as client:
        for tenant in TENANTS:
            ask(
                client,
                "POST",
                "/api/v1/tenants",
                {"id": tenant, "name": tenant.title(), "zone": "Europe/Berlin"},
            )
            for project in ("search", "support"):
                ask(client, "POST", "/api/v1/projects", {"id": project, "name": project, "tenant_id": tenant})
            made = [
                ask(client, "POST", "/api/v1/keys", {"label": label, "scopes": scopes, "tenant_id": tenant})
                for label, scopes in (("app", ["ingest", "read"]), ("gone", ["read"]))
            ]
            keys[tenant] = made[0]["key"]
            client.delete(f"/api/v1/keys/{made[1]['id']}?tenant_id={tenant}").raise_for_status()
    return keys


def ask(client: httpx.Client, method: str, path: str, body: object = None) -> dict[str, Any]:
    """The answer of a request that must succeed."""
    answer = client.request(method, path, json=body)
    if not answer.is_success:
        raise SystemExit(f"{method} {path}: {answer.text}")
    return answer.json()


def send_everything(url: str, keys: dict[str, str], name: str, share: float = 1.0) -> None:
    """Every kind of event that this version takes, in many commits, with repeats and conflicts."""
    for tenant, key in keys.items():
        with client_of(url, key) as client:
            events = make_events(f"{name}-{tenant}", share)
            for start in range(0, len(events), 25):
                ask(client, "POST", "/api/v1/events?wait=applied", events[start : start + 25])
            again = [*events[:5], {**events[6], "input_tokens": 999_999, "units": None, "usage": None}]
            again = [{k: v for k, v in event.items() if v is not None} for event in again]
            ask(client, "POST", "/api/v1/events?wait=applied", again)


def make_events(name: str, share: float) -> list[dict[str, Any]]:
    """Priced, unpriced, client-reported and failed calls; provider usage, units of all kinds, free tags."""
    plain = [{**a_call(f"{name}-{i}"), **counted(i)} for i in range(int(300 * share))]
    told = [
        {**a_call(f"{name}-usage-{provider}-{i}"), "provider": provider, "model": model, "usage": usage}
        for i in range(int(20 * share))
        for provider, model, usage in _USAGES
    ]
    odd: list[dict[str, Any]] = [
        {**a_call(f"{name}-mystery"), "provider": "acme", "model": "none", "input_tokens": 10},
        {**a_call(f"{name}-nothing"), "provider": None, "model": None},
        {
            **a_call(f"{name}-reported"),
            "provider": "acme",
            "model": "house-model",
            "output_tokens": 5,
            "cost": {"amount": "0.123456789012", "currency": "EUR"},
        },
        {**a_call(f"{name}-units"), "units": {"pages": 3, "seconds": "1.250000", "widgets": "2.5"}},
        {
            **a_call(f"{name}-failed"),
            "input_tokens": 50,
            "status": "error",
            "error_code": "rate_limited",
            "message": "try again",
            "retry_count": 2,
        },
    ]
    events = [*plain, *told, *odd]
    return [{field: value for field, value in event.items() if value is not None} for event in events]


def a_call(event_id: str) -> dict[str, Any]:
    """What all events have in common."""
    ago = timedelta(minutes=_DICE.randint(1, 30 * 24 * 60))
    return {
        "event_id": event_id,
        "time": (datetime.now(UTC) - ago).isoformat(),  # noqa: TID251 - a program, not the ledger
        "project_id": _DICE.choice(("search", "support", None)),
        "user_id": _DICE.choice(("ada", "bob", "eve", None)),
        "operation": _DICE.choice(("chat", "embeddings")),
        "latency_ms": _DICE.choice((None, _DICE.randint(1, 90_000) / 10)),
        "tags": {"team": _DICE.choice(("red", "blue")), "who": _DICE.choice(("ada@acme.test", "x"))},
        "metadata": {"note": "ä" * 40, "n": [1, 2.5, None]},
        "provider": "openai",
        "model": "gpt-4o-mini",
    }


def counted(number: int) -> dict[str, Any]:
    """A model and token counts."""
    provider, model = _MODELS[number % len(_MODELS)]
    return {
        "provider": provider,
        "model": model,
        "input_tokens": 2_000 + _DICE.randint(0, 9_000),
        "cached_tokens": _DICE.choice((0, 1_000)),
        "output_tokens": _DICE.randint(0, 2_000),
    }


def read_totals(url: str) -> dict[str, Any]:
    """What this version says is in the folder."""
    with client_of(url) as client:
        answer = client.post("/control/verify").raise_for_status()
        recount = json.loads(answer.text.splitlines()[-1])["result"]
        question = {
            "measures": ["events", "errors", "input_tokens", "cached_tokens", "output_tokens", "cost"],
            "dimensions": ["provider", "model", "cost_status", "project_id"],
            "window": "all",
            "limit": 1000,
        }
        totals = {
            tenant: ask(client, "POST", f"/api/v1/query?tenant_id={tenant}", question)["rows"]
            for tenant in TENANTS
        }
        keys = {tenant: ask(client, "GET", f"/api/v1/keys?tenant_id={tenant}")["items"] for tenant in TENANTS}
    kept = ("events", "journal_events", "quarantined", "unpriced", "cost", "position")
    return {
        "recount": {name: recount[name] for name in kept},
        "totals": totals,
        "key_states": {
            tenant: {one["label"]: one["state"] for one in items} for tenant, items in keys.items()
        },
    }


def tear_tail(folder: Path) -> None:
    """Append the first half of the last segment's first frame, as a crash in a write leaves it."""
    last = max((folder / "journal").glob("*.journal"))
    content = last.read_bytes()
    start = content.index(b"~F1 ")
    with last.open("ab") as file:
        file.write(content[start : start + 700])


def pack(folder: Path, target: Path) -> None:
    """One compressed file of everything but what every start makes again."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.name not in LEFT_OUT and "tmp" not in path.relative_to(folder).parts:
                tar.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=_nobody)
    target.write_bytes(zstandard.ZstdCompressor(level=19).compress(packed.getvalue()))


def _nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = int(time.mktime((2026, 11, 21, 0, 0, 0, 0, 0, 0)))
    return entry


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
