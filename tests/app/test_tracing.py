"""Spans: nothing while tracing is off; when it is on, a real OTLP request reaches a real collector socket."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bursar import clock
from bursar.app.tracing import request_span, start_tracing
from bursar.settings import Settings
from bursar.tracing import current_destination, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"


class Collector:
    """A listening OTLP/HTTP endpoint that keeps what it was sent."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.spans: dict[str, Span] = {}
        collector = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.keep(self.path, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def keep(self, path: str, body: bytes) -> None:
        self.paths.append(path)
        request = ExportTraceServiceRequest.FromString(body)
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                self.spans |= {found.name: found for found in scope_spans.spans}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.02,))
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


def test_without_an_endpoint_no_span_is_made_and_no_library_loaded() -> None:
    program = """
import sys
from bursar.app.tracing import request_span, start_tracing
from bursar.settings import Settings
from bursar.tracing import current_destination, span
stop = start_tracing(Settings())
with span("journal.sync", records=3), request_span("GET /ping", None):
    assert current_destination() is None
stop()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_while_tracing_is_off_no_span_is_made() -> None:
    with span("journal.sync", records=3) as first:
        assert first is None
    assert span("journal.sync", records=3) is span("applier.batch")


def test_spans_reach_the_collector_nested_and_with_their_attributes(collector: Collector) -> None:
    stop = start_tracing(Settings(otlp_endpoint=collector.endpoint))
    with span("applier.batch", records=3), span("store.apply", engine="duckdb"):
        pass
    stop()
    assert set(collector.paths) == {"/v1/traces"}
    outer, inner = collector.spans["applier.batch"], collector.spans["store.apply"]
    assert inner.parent_span_id == outer.span_id
    assert [(item.key, item.value.int_value) for item in outer.attributes] == [("records", 3)]
    assert current_destination() is None


def test_a_request_continues_its_callers_trace(collector: Collector) -> None:
    stop = start_tracing(Settings(otlp_endpoint=collector.endpoint + "/"))
    with request_span("POST /api/v1/events", f"00-{TRACE_ID}-{PARENT_ID}-01", method="POST"):
        pass
    with request_span("GET /ping", None):
        pass
    stop()
    continued, fresh = collector.spans["POST /api/v1/events"], collector.spans["GET /ping"]
    assert (continued.trace_id.hex(), continued.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    assert fresh.trace_id.hex() != TRACE_ID
    assert not fresh.parent_span_id


def test_an_error_shows_as_its_kind_and_never_as_its_message(collector: Collector) -> None:
    stop = start_tracing(Settings(otlp_endpoint=collector.endpoint))

    def fail() -> None:
        with span("query"):
            raise ValueError("the caller's own words")

    with pytest.raises(ValueError, match="own words"):
        fail()
    stop()
    failed = collector.spans["query"]
    assert (failed.status.code, failed.status.message) == (2, "ValueError")
    assert not failed.events
    assert b"own words" not in failed.SerializeToString()


def test_a_dead_collector_does_not_hold_up_the_stop() -> None:
    stop = start_tracing(Settings(otlp_endpoint="http://127.0.0.1:1"))
    with span("query"):
        pass
    start = clock.monotonic()
    stop()
    assert clock.monotonic() - start < 8
