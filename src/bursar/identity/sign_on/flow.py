"""One login on its way through the provider, bound to the browser that began it by a signed cookie.

The cookie holds what only this browser may bring back: the `state` that the callback must repeat, the
`nonce` that the ID token must, and the PKCE verifier without which nobody can redeem the code (RFC 7636). It
counts for ten minutes. What is signed here counts nowhere else, although the same secret signs access tokens.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from bursar import clock
from bursar.errors import Invalid, Reason, SignOnFailed

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.logins.access_token import SigningKeys

FLOW_FOR = timedelta(minutes=10)
"""As long as somebody may take to log in there; as long as RFC 6749 (4.1.2) lets a code count at most."""
SEALED_LIMIT = 4096
"""Browsers keep no larger cookie."""
PATH_LIMIT = 1024
_PURPOSE = b"bursar sign-on v1"
_RANDOM_BYTES = 32
# After the first slash another one, or a backslash, would begin a host for a browser.
_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")
_AGAIN = "Begin the login again, in the same browser."


class Flow(msgspec.Struct, frozen=True):
    """What a callback is compared with."""

    state: str
    nonce: str
    verifier: str
    started_at: int
    """Seconds since 1970."""
    next_path: str | None = None
    """Where the browser wants to be afterwards."""


def begin_flow(next_path: str | None, now: datetime) -> Flow:
    """A new login, unlike any other.

    Raises:
        Invalid: the path leads to another server, or can't be read as a path.
    """
    if next_path is not None:
        refuse_foreign_path(next_path)
    state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
    return Flow(state, nonce, verifier, clock.to_micros(now) // 1_000_000, next_path)


def refuse_foreign_path(path: str) -> None:
    """Let only paths of this very server pass.

    Raises:
        Invalid: it is none.
    """
    if len(path) > PATH_LIMIT or _PATH.fullmatch(path) is None:
        message = "must be a path of this server, such as /docs: no other host, no backslash, ASCII only"
        raise Invalid(f"next {message}.", reasons=(Reason("next", "foreign_path", message),))


def seal_flow(keys: SigningKeys, flow: Flow) -> str:
    """The flow as a cookie's value that nobody can change."""
    content = base64.urlsafe_b64encode(msgspec.json.encode(flow)).rstrip(b"=")
    return f"{content.decode()}.{_signature(keys.current, content)}"


def open_flow(keys: SigningKeys, sealed: str | None, now: datetime) -> Flow:
    """The flow of a cookie.

    Raises:
        SignOnFailed: there is none, it isn't ours, or it is too old.
    """
    content, _, signature = (sealed or "").partition(".")
    raw = content.encode("ascii", "replace")
    given = signature.encode("ascii", "replace")
    counts = [
        hmac.compare_digest(_signature(key, raw).encode(), given) for key in (keys.current, *keys.previous)
    ]
    if not sealed or len(sealed) > SEALED_LIMIT or not any(counts):
        message = f"This browser has begun no login here, or its cookie was lost. {_AGAIN}"
        raise SignOnFailed(message)
    flow = msgspec.json.decode(base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4)), type=Flow)
    began_at = clock.from_micros(flow.started_at * 1_000_000)
    if not began_at <= now < began_at + FLOW_FOR:
        message = f"This login was begun too long ago. {_AGAIN}"
        raise SignOnFailed(message)
    return flow


def refuse_other_state(flow: Flow, state: str | None) -> None:
    """Refuse a callback that doesn't belong to this browser's login.

    Raises:
        SignOnFailed: its state is another one.
    """
    if not hmac.compare_digest(flow.state.encode(), (state or "").encode("utf-8", "replace")):
        message = f"This answer belongs to another login than the one that this browser began. {_AGAIN}"
        raise SignOnFailed(message)


def _signature(key: bytes, content: bytes) -> str:
    return hmac.digest(hmac.digest(key, _PURPOSE, "sha256"), content, "sha256").hex()
