"""Headers of every answer that tell a browser what it must not do with it.

An API's answers are data: nothing may run, load or be framed. A page brings a `Content-Security-Policy` of
its own (`page_policy`), which is then left as it is. `Strict-Transport-Security` is sent where the client
speaks TLS, and only there: over plain HTTP browsers must ignore it. See docs/how-to/harden.md.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Only browsers that know no Content-Security-Policy act on it.
    (b"x-xss-protection", b"1; mode=block"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
UNCACHED = (b"cache-control", b"no-store")
"""For answers that say nothing of their own about it."""
DATA_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
"""For answers that are no pages."""
HSTS = (b"strict-transport-security", b"max-age=31536000")
"""One year, of this host alone: what other hosts of its domain speak is not ours to say."""
_UNLESS_GIVEN = (UNCACHED, DATA_POLICY)


def safety_headers(given: Iterable[tuple[bytes, bytes]], *, is_secure: bool) -> list[tuple[bytes, bytes]]:
    """What an answer with the given headers gets beside them."""
    names = {name.lower() for name, _ in given}
    chosen = [header for header in _UNLESS_GIVEN if header[0] not in names]
    return [*ALWAYS, *chosen, HSTS] if is_secure else [*ALWAYS, *chosen]


def end_of_head(*, is_secure: bool) -> bytes:
    """The same for an answer that gives none of them, as bytes up to the empty line and with it."""
    return b"".join(b"%b: %b\r\n" % header for header in safety_headers((), is_secure=is_secure)) + b"\r\n"


def with_safety_headers(app: ASGIApp, *, is_secure: bool) -> ASGIApp:
    """The app with these headers on its answers; for the few that don't pass through the frame."""

    async def safe(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [*message["headers"]]
                message = {**message, "headers": [*given, *safety_headers(given, is_secure=is_secure)]}
            await send(message)

        await app(scope, receive, send_safely)

    return safe


def page_policy(inline_scripts: Sequence[bytes] = ()) -> str:
    """The policy of a page: everything from this server, no script but its files and exactly these.

    Styles may stand in the page, for both pages of the documentation write them as they draw; ReDoc searches
    in a worker that it makes of a text.
    """
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode("ascii") for script in inline_scripts]
    scripts = " ".join(["script-src 'self'", *(f"'sha256-{one}'" for one in hashes)])
    return (
        f"default-src 'self'; {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
