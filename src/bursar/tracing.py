"""Spans: `with span("journal.sync", records=3):` around work worth seeing in a trace.

Usable from every layer, since this module knows no tracing library. `app/tracing.py` decides at start
whether spans go anywhere; until it does, a span is one shared object that does nothing. Attributes are
few and about amounts and kinds, never a key, a prompt or a body.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    OpenSpan = Callable[[str, dict[str, str | int | float | bool]], AbstractContextManager[None]]

_NOTHING: AbstractContextManager[None] = nullcontext()


class _Destination:
    """Where this process's spans go: one per process, as there is one trace context per thread."""

    def __init__(self) -> None:
        self.open_span: OpenSpan | None = None


_destination = _Destination()


def span(name: str, **attributes: str | float | bool) -> AbstractContextManager[None]:
    """A span over the `with` block; when tracing is off, nothing at next to no cost."""
    open_span = _destination.open_span
    return _NOTHING if open_span is None else open_span(name, attributes)


def send_spans(open_span: OpenSpan | None) -> None:
    """From now on spans are opened by `open_span`; None turns tracing off."""
    _destination.open_span = open_span


def current_destination() -> OpenSpan | None:
    """What opens spans now, or None when tracing is off."""
    return _destination.open_span
