"""Reading request bodies with every size bounded: as sent, as inflated, and in memory at once.

What can't be taken is refused before it is decoded. Memory for a body is reserved by its size, so
that many large bodies at once get a 503 instead of the process getting killed. A tenant may use all of
it while nobody else wants any, and half of it otherwise: who floods shuts no other tenant out.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import zstandard
from isal import isal_zlib
from starlette.requests import ClientDisconnect

from bursar import clock
from bursar.errors import Malformed, Overloaded, TooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from starlette.types import Receive

_igzip: Any = isal_zlib
"""isal's stubs leave its signatures open; it has zlib's."""
BODY_SECONDS = 60.0
"""A body of the largest size arrives in this time over 2 Mbit/s; a stalled one holds memory no longer."""
ALWAYS_TAKEN_BYTES = 16 * 1024
"""Bodies up to this size are taken however much larger ones hold, so that those never shut out small posts.
Connections are bounded, so this is too."""
OFF_LOOP_BYTES = 64 * 1024
"""Bodies above this are inflated in a thread; isal and zstandard release the GIL."""
MEMORY_FACTOR = 4
"""Decoded events take about four times their JSON (measured on 400-byte events)."""
WAITING_SECONDS = 5.0
"""For so long after a refusal memory is kept free for whoever was refused: `Retry-After` says 1."""
_GZIP_WINDOW = 31
"""zlib's window bits for a gzip header."""
_CHUNK_BYTES = 1024 * 1024


@dataclass(slots=True)
class MemoryBudget:
    """Bytes of memory that bodies in flight may take together."""

    limit: int
    taken: int = 0
    _held: dict[str, int] = field(default_factory=dict[str, int])
    """By tenant, for those that hold any."""
    _refused: dict[str, float] = field(default_factory=dict[str, float])
    """By tenant, when it was last refused: until it has had time to come again, it waits."""

    def reserve(self, tenant_id: str, size: int, *, own: int = 0) -> None:
        """Take memory for `size` more bytes of a body; give it back with `release`.

        Args:
            tenant_id: whose body it is.
            size: bytes of JSON.
            own: how many bytes the same body has taken already; one that is alone may always go on.

        Raises:
            Overloaded: it doesn't fit beside what is in flight, and the body isn't a small one.
        """
        need = size * MEMORY_FACTOR
        is_small = own + size <= ALWAYS_TAKEN_BYTES
        if not (is_small or self._fits(tenant_id, need, own * MEMORY_FACTOR)):
            self._refused[tenant_id] = clock.monotonic()
            message = "Too many large bodies are being read at once; try again shortly."
            raise Overloaded(message)
        self.taken += need
        self._held[tenant_id] = self._held.get(tenant_id, 0) + need

    def release(self, tenant_id: str, size: int) -> None:
        """Give memory back."""
        self.taken -= size * MEMORY_FACTOR
        held = self._held.pop(tenant_id, 0) - size * MEMORY_FACTOR
        if held:
            self._held[tenant_id] = held

    def _fits(self, tenant_id: str, need: int, own: int) -> bool:
        if self.taken == own:
            return True
        held = self._held.get(tenant_id, 0)
        if held > own and held + need > self.limit // 2 and self._is_wanted_by_another(tenant_id):
            return False
        return self.taken + need <= self.limit

    def _is_wanted_by_another(self, tenant_id: str) -> bool:
        if self.taken > self._held.get(tenant_id, 0):
            return True
        before = clock.monotonic() - WAITING_SECONDS
        self._refused = {name: when for name, when in self._refused.items() if when > before}
        return any(name != tenant_id for name in self._refused)


@dataclass(slots=True)
class Reservation:
    """What one request has taken of the budget; given back when the `with` block ends."""

    budget: MemoryBudget
    tenant_id: str
    sizes: list[int] = field(default_factory=list[int])
    total: int = 0

    def __enter__(self) -> Self:
        """Start with nothing taken."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back."""
        for size in self.sizes:
            self.budget.release(self.tenant_id, size)

    def take(self, size: int) -> None:
        """Take memory for this request too."""
        self.budget.reserve(self.tenant_id, size, own=self.total)
        self.total += size
        self.sizes.append(size)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be."""

    max_bytes: int
    max_inflated_bytes: int


async def read_body(receive: Receive, declared: str | None, limits: BodyLimits, memory: Reservation) -> bytes:
    """The body as sent. Memory is taken as it arrives, so that a claim alone takes none.

    Raises:
        TooLarge: it is over the limit; the rest is not read.
        Malformed: it took longer than `BODY_SECONDS` to arrive.
        ClientDisconnect: the client left before the end.
    """
    if declared is not None and declared.isdigit():
        _check_size(int(declared), limits.max_bytes)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                if chunk := message.get("body", b""):
                    size += len(chunk)
                    _check_size(size, limits.max_bytes)
                    memory.take(len(chunk))
                    chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError as error:
        raise Malformed(f"The body did not arrive within {BODY_SECONDS:.0f} s.") from error


async def inflate_body(body: bytes, encoding: str, limits: BodyLimits, memory: Reservation) -> bytes:
    """The body with its content encoding undone.

    Raises:
        UnsupportedMedia: an encoding that isn't taken.
        Malformed: not what the encoding says.
        TooLarge: it inflates beyond the limit.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "zstd"}:
        message = f"Content-Encoding '{encoding[:32]}' is not accepted; use identity, gzip or zstd."
        raise UnsupportedMedia(message)
    inflate = _inflate_zstd if encoding == "zstd" else _inflate_gzip
    if len(body) <= OFF_LOOP_BYTES // 8:
        inflated = inflate(body, limits.max_inflated_bytes)
    else:
        inflated = await asyncio.to_thread(inflate, body, limits.max_inflated_bytes)
    memory.take(len(inflated))
    return inflated


def _inflate_gzip(body: bytes, limit: int) -> bytes:
    """All members of a gzip body (RFC 1952 allows several)."""
    parts: list[bytes] = []
    size, rest = 0, body
    try:
        while rest:
            inflater = _igzip.decompressobj(_GZIP_WINDOW)
            while not inflater.eof:
                part: bytes = inflater.decompress(rest, _CHUNK_BYTES)
                rest = inflater.unconsumed_tail
                size += len(part)
                _check_inflated(size, limit)
                parts.append(part)
                if not part and not rest:
                    raise Malformed("The gzip body ends too early.")
            rest = inflater.unused_data
    except (_igzip.error, zlib.error) as error:
        raise Malformed(f"The body is not valid gzip: {error}.") from error
    return b"".join(parts)


def _inflate_zstd(body: bytes, limit: int) -> bytes:
    """All frames of a zstd body."""
    parts: list[bytes] = []
    size, place = 0, 0
    try:
        while place < len(body):
            # A frame may ask for a window of gigabytes; 8 MiB is what RFC 8878 says to support.
            inflater = zstandard.ZstdDecompressor(max_window_size=8 * 2**20).decompressobj()
            while place < len(body) and not inflater.eof:
                part = inflater.decompress(body[place : place + _INPUT_BYTES])
                place += _INPUT_BYTES
                size += len(part)
                _check_inflated(size, limit)
                parts.append(part)
            if not inflater.eof:
                raise Malformed("The zstd body ends too early.")
            place = min(place, len(body)) - len(inflater.unused_data)
    except zstandard.ZstdError as error:
        raise Malformed(f"The body is not valid zstd: {error}.") from error
    return b"".join(parts)


_INPUT_BYTES = 512
"""Compressed bytes fed at once: a block of zstd may be 4 bytes and hold 128 KiB, so 16 MiB between checks."""


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        message = f"The body is larger than {limit} bytes; send smaller batches or compress them."
        raise TooLarge(message)


def _check_inflated(size: int, limit: int) -> None:
    if size > limit:
        message = f"The body inflates to more than {limit} bytes; send smaller batches."
        raise TooLarge(message)
