"""Sends spans to an OpenTelemetry collector, if one is configured; otherwise nothing is even imported.

`bursar.tracing.span` is what the rest of the program calls. Here it is decided where spans go, and a
request's incoming trace (W3C `traceparent`) is taken up, so that a caller's trace leads into ours.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import bursar
from bursar import tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

    from bursar.settings import Settings

    Attributes = dict[str, str | int | float | bool]

EXPORT_TIMEOUT_SECONDS = 2.0
"""A stopping server waits this long for the collector: SIGTERM promises an exit within 10 s."""


def start_tracing(settings: Settings) -> Callable[[], None]:
    """Spans go to `settings.otlp_endpoint` from now on; call the answer to send the rest and stop.

    Without an endpoint nothing is started.
    """
    if settings.otlp_endpoint is None:
        return _nothing_to_stop
    tracer, stop = _connect(settings.otlp_endpoint)
    tracing.send_spans(_Opener(tracer))

    def stop_tracing() -> None:
        tracing.send_spans(None)
        stop()

    return stop_tracing


def request_span(
    name: str, traceparent: str | None, **attributes: str | float | bool
) -> AbstractContextManager[None]:
    """The span of a request, as a child of the trace that its `traceparent` header names."""
    open_span = tracing.current_destination()
    if isinstance(open_span, _Opener):
        return open_span.within(traceparent, name, attributes)
    return tracing.span(name, **attributes)


class _Opener:
    """Opens spans of one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def __call__(self, name: str, attributes: Attributes) -> AbstractContextManager[None]:
        return _open(self._tracer, name, attributes, None)

    def within(
        self, traceparent: str | None, name: str, attributes: Attributes
    ) -> AbstractContextManager[None]:
        """A span below the caller's own."""
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 -- see the module's head
            TraceContextTextMapPropagator,
        )

        carrier = {"traceparent": traceparent} if traceparent else {}
        return _open(self._tracer, name, attributes, TraceContextTextMapPropagator().extract(carrier))


@contextmanager
def _open(tracer: Tracer, name: str, attributes: Attributes, parent: Context | None) -> Generator[None]:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 -- see the module's head

    # Only the kind of an error is recorded: its message or its traceback could quote a body.
    with tracer.start_as_current_span(
        name, parent, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def _connect(endpoint: str) -> tuple[Tracer, Callable[[], None]]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 -- 0.3 s, seldom needed
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- see above

    resource = Resource.create({"service.name": "bursar", "service.version": bursar.__version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint.rstrip("/") + "/v1/traces", timeout=EXPORT_TIMEOUT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider.get_tracer("bursar", bursar.__version__), provider.shutdown


def _nothing_to_stop() -> None:
    """Tracing was off."""
