"""Sends spans to a real Arize Phoenix server, in Phoenix's own environment; prints one JSON object.

Phoenix starts on a scratch folder with its default store, SQLite, and takes bodies of 1,000 spans over 8
connections, made before the clock starts. Run by `bench/peer_programs.py`, never by hand.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

PER_BODY = 1_000
CONNECTIONS = 8
TIMEOUT_SECONDS = 900.0
COUNT = b'{"query": "{ projects { edges { node { recordCount } } } }"}'
JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def main(spans: int) -> None:
    """Time spans until all are taken, and until all are counted."""
    folder = tempfile.mkdtemp(prefix="bench-phoenix-")
    port, other = _free_port(), _free_port()
    environment = {
        **os.environ,
        "PHOENIX_WORKING_DIR": folder,
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(other),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    command = [str(Path(sys.executable).parent / "phoenix"), "serve"]
    with (Path(folder) / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_until(lambda: _get(port, "/healthz") is not None)
            print(json.dumps(_measure(port, server.pid, spans)))
        finally:
            server.terminate()
            server.wait(60)
            shutil.rmtree(folder, ignore_errors=True)


def _measure(port: int, process: int, spans: int) -> dict[str, float]:
    bodies = [_body(seed) for seed in range(spans // PER_BODY)]
    refused: list[int] = []
    threads = [
        threading.Thread(target=_send, args=(port, bodies[i::CONNECTIONS], refused))
        for i in range(CONNECTIONS)
    ]
    cpu, started = _cpu_seconds(process), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.monotonic() - started
    sent = len(bodies) * PER_BODY
    _wait_until(lambda: _count(port) >= sent - len(refused) * PER_BODY)
    seconds = time.monotonic() - started
    cpu = _cpu_seconds(process) - cpu
    return {
        "spans": sent,
        "refused": len(refused) * PER_BODY,
        "acknowledged_per_second": (sent - len(refused) * PER_BODY) / taken,
        "applied_per_second": (sent - len(refused) * PER_BODY) / seconds,
        "cpu_micros": cpu / sent * 1e6,
    }


def _body(seed: int) -> bytes:
    trace = importlib.import_module("opentelemetry.proto.trace.v1.trace_pb2")
    service = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    chance = random.Random(seed)
    scope = trace.ScopeSpans()
    now = time.time_ns()
    for _ in range(PER_BODY):
        start = now - chance.randrange(30 * 86_400) * 10**9
        span = scope.spans.add(
            trace_id=chance.randbytes(16),
            span_id=chance.randbytes(8),
            name="chat",
            start_time_unix_nano=start,
            end_time_unix_nano=start + chance.randrange(10**10),
        )
        _describe(span, chance)
    resource = trace.ResourceSpans(scope_spans=[scope])
    return service.ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()


def _describe(span: Any, chance: random.Random) -> None:  # noqa: ANN401 - not installed here
    texts = {
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.model_name": chance.choice(("gpt-5", "gpt-5-mini", "gpt-4o-mini")),
        "user.id": f"user-{chance.randrange(20_000)}",
        "session.id": f"session-{chance.getrandbits(40):010x}",
        "tag.team": f"team-{chance.randrange(9)}",
    }
    counts = {
        "llm.token_count.prompt": chance.randrange(50, 20_000),
        "llm.token_count.completion": chance.randrange(1, 2_000),
    }
    for key, text in texts.items():
        span.attributes.add(key=key).value.string_value = text
    for key, count in counts.items():
        span.attributes.add(key=key).value.int_value = count


def _send(port: int, bodies: list[bytes], refused: list[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    for body in bodies:
        _send_until_taken(connection, body, refused)


def _send_until_taken(connection: http.client.HTTPConnection, body: bytes, refused: list[int]) -> None:
    """Phoenix answers 503 when its queue is full; a client then sends again, as an exporter would."""
    deadline = time.monotonic() + TIMEOUT_SECONDS / 3
    while time.monotonic() < deadline:
        connection.request("POST", "/v1/traces", body, PROTOBUF)
        answer = connection.getresponse()
        answer.read()
        if answer.status == http.client.OK:
            return
        time.sleep(0.05)
    refused.append(1)


def _count(port: int) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", COUNT, JSON)
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        edges = json.load(answer)["data"]["projects"]["edges"]
    return sum(edge["node"]["recordCount"] for edge in edges)


def _get(port: int, path: str) -> bytes | None:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer,
    ):
        return answer.read()
    return None


def _wait_until(is_so: Any) -> None:  # noqa: ANN401 - a plain function
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if is_so():
            return
        time.sleep(0.2)
    message = "Phoenix did not get there in time."
    raise RuntimeError(message)


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    main(int(sys.argv[1]))
