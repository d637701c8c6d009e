"""HTTP connections that refuse a flood themselves, late where it goes on, and never read its bodies.

Before a request begins, `flood_gate.py` is asked about its head. Its refusal is one write. Where it is to be
told late, nothing is read from the connection meanwhile, and what was sent behind the refused request is
dropped: the answer then closes the connection. So a flood holds no more memory than its connections do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from bursar import clock
from bursar.app.bounded_protocol import BoundedProtocol
from bursar.app.flood_gate import STATUS

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Scope
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from bursar.app.flood_gate import FloodGate
    from bursar.identity.limits.refusals import Refused

PASSED_OVER_BYTES = 65_536
"""The body of a refused request is passed over if it isn't longer; else the connection is closed."""
LINGER_SECONDS = 2.0
"""A connection that is closed before its request was read stays open so long, so that the refusal arrives:
closing it at once would reset it."""
LINGER_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class _HeldBack:
    """A refusal that is told late."""

    cycle: RequestResponseCycle
    refused: Refused
    since: float
    handle: asyncio.TimerHandle


class GatedProtocol(BoundedProtocol):
    """One connection."""

    def __init__(self, gate: FloodGate | None, **given: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        """`given` is what uvicorn makes its protocols with."""
        super().__init__(**given)
        self._gate = gate
        self._held_back: _HeldBack | None = None
        """The refusal that will be told late."""
        self._drops = False
        """Whether more than the refused request was sent meanwhile, which nobody reads."""
        self._lingers = False
        self._passed_over = 0

    def data_received(self, data: bytes) -> None:
        """Take what was sent."""
        if self._lingers:
            self._passed_over += len(data)
            if self._passed_over > LINGER_BYTES:
                self.transport.close()
        if not self._drops:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever was to be refused has left."""
        self._release()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops, and holds nothing back."""
        if self._held_back is not None:
            self._held_back.cycle.keep_alive = False
            self._tell_late()
        super().shutdown()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._drops = self._drops or self._lingers or self._held_back is not None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        if not self._drops:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        if self._held_back is None and not self._drops:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        if self._lingers:
            self.transport.close()
        if not self._drops:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # Another app than ours refuses: there are too many connections.
        if app is not self._app:
            super()._start_asgi_task(cycle, app)
        elif not self._refuses(cycle):
            self._begin(cycle)

    def _begin(self, cycle: RequestResponseCycle) -> None:
        super()._start_asgi_task(cycle, self._app)

    def _refuses(self, cycle: RequestResponseCycle) -> bool:
        # Who doesn't read has to wait before more is written, which only a task can.
        if self._gate is None or self.flow.write_paused:
            return False
        refused = self._gate.find(cast("Scope", cycle.scope))
        if refused is None:
            return False
        cycle.body.clear()
        seconds = self._gate.hold(refused)
        if not seconds:
            self._tell(cycle, refused, 0.0)
            return True
        self.flow.pause_reading()
        self._drops = bool(self.pipeline)
        self.pipeline.clear()
        handle = self.loop.call_later(seconds, self._tell_late)
        self._held_back = _HeldBack(cycle, refused, clock.monotonic(), handle)
        return True

    def _tell_late(self) -> None:
        held = self._release()
        if held is not None and not self.transport.is_closing():
            self._tell(held.cycle, held.refused, clock.monotonic() - held.since)

    def _release(self) -> _HeldBack | None:
        held, self._held_back = self._held_back, None
        if held is not None and self._gate is not None:
            held.handle.cancel()
            self._gate.release(held.refused)
        return held

    def _tell(self, cycle: RequestResponseCycle, refused: Refused, seconds: float) -> None:
        gate = self._gate
        if gate is None:
            return
        is_too_much = cycle.more_body and _may_be_long(cycle)
        if self._drops or is_too_much or gate.is_crowded:
            cycle.keep_alive = False
        self._lingers = not cycle.keep_alive and (self._drops or cycle.more_body)
        self._write_whole(cycle, STATUS, gate.answer(cast("Scope", cycle.scope), refused, seconds))

    def _write_whole(self, cycle: RequestResponseCycle, status: int, answer: bytes) -> None:
        """Answer with what stands behind the status line, and go on with what was sent next."""
        parts = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(answer)
        self.transport.write(b"".join(parts))
        cycle.response_started = cycle.response_complete = True
        if self._lingers:
            self.pipeline.clear()
            self.flow.resume_reading()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)
            return
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


def _may_be_long(cycle: RequestResponseCycle) -> bool:
    """Whether more than `PASSED_OVER_BYTES` may follow the head."""
    for name, value in cycle.scope["headers"]:
        if name == b"content-length":
            return int(value) > PASSED_OVER_BYTES
        if name == b"transfer-encoding":
            return True
    return False
