"""Sessions of browsers: the cookies that carry them, and what shows that a request comes from our own page.

A browser adds cookies to every request, also to one that another site's page makes it send. So whoever is
known by a cookie alone and wants to change something also sends `X-CSRF-Token`: a signature of the session's
id, which our own pages read from a cookie that other sites can't. Tokens are in cookies that no script can
read. Which request is looked at is decided in `app/auth.py`; keys and tokens in headers need none of this.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.errors import ForgedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.identity.logins.access_token import SigningKeys
    from bursar.identity.logins.session import Issued

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""They change nothing (RFC 9110, 9.2.1)."""
CSRF_HEADER = b"x-csrf-token"
SITE_HEADER = b"sec-fetch-site"
_FOREIGN = frozenset({b"cross-site", b"same-site"})
"""What browsers say of requests by other sites' pages (Fetch Metadata); scripts can't change it."""
_PURPOSE = b"bursar csrf v1\n"
_AUTH_PATH = "/api/v1/auth"


@dataclass(frozen=True, slots=True)
class CookieNames:
    """What the cookies are called.

    Over TLS the names have prefixes by which browsers take them from this very host only, and over TLS only:
    no page of a neighbouring host can plant one.
    """

    session: str
    refresh: str
    csrf: str


PLAIN = CookieNames("bursar_session", "bursar_refresh", "bursar_csrf")
SECURE = CookieNames("__Host-bursar_session", "__Secure-bursar_refresh", "__Host-bursar_csrf")


def names_for(*, is_secure: bool) -> CookieNames:
    """The names that count on a connection that is encrypted, or isn't."""
    return SECURE if is_secure else PLAIN


def read_cookie(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """The value of a cookie; None where there is none, or several that differ."""
    wanted = f"{name}=".encode()
    pieces = (piece.strip() for key, line in headers if key == b"cookie" for piece in line.split(b";"))
    found = {piece[len(wanted) :] for piece in pieces if piece.startswith(wanted)}
    value = found.pop().decode("latin-1") if len(found) == 1 else ""
    return value or None


def csrf_token(keys: SigningKeys, session_id: str) -> str:
    """What our own pages send beside the cookies of a session."""
    return _signed(keys.current, session_id)


def set_cookies(keys: SigningKeys, issued: Issued, *, is_secure: bool) -> list[str]:
    """The `Set-Cookie` lines that carry a login in a browser."""
    names = names_for(is_secure=is_secure)
    session = issued.session
    lasts = max(int((session.expires_at - issued.issued_at).total_seconds()), 0)
    more = "; Secure" if is_secure else ""
    private, strict = "HttpOnly; SameSite", "SameSite=Strict"
    soon = issued.access_seconds
    return [
        f"{names.session}={issued.access_token}; Path=/; Max-Age={soon}; {private}=Lax{more}",
        f"{names.refresh}={issued.refresh_token}; Path={_AUTH_PATH}; Max-Age={lasts}; {private}=Strict{more}",
        f"{names.csrf}={csrf_token(keys, session.id)}; Path=/; Max-Age={lasts}; {strict}{more}",
    ]


def drop_cookies(*, is_secure: bool) -> list[str]:
    """The `Set-Cookie` lines by which a browser forgets a login."""
    names, more = names_for(is_secure=is_secure), "; Secure" if is_secure else ""
    paths = {names.session: "/", names.refresh: _AUTH_PATH, names.csrf: "/"}
    return [f"{name}=; Path={path}; Max-Age=0; SameSite=Strict{more}" for name, path in paths.items()]


def refuse_foreign_page(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Let no request pass that a browser says another site's page makes.

    Raises:
        ForgedRequest: it does.
    """
    if any(name == SITE_HEADER and value.strip().lower() in _FOREIGN for name, value in headers):
        raise ForgedRequest


def refuse_forged(keys: SigningKeys, session_id: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Let only a change by our own page pass, of a caller who is known by a cookie.

    Raises:
        ForgedRequest: another site's page asks, or the token is missing or of another session.
    """
    refuse_foreign_page(headers)
    presented = _presented(headers)
    known = (keys.current, *keys.previous)
    if not any(hmac.compare_digest(_signed(key, session_id).encode(), presented) for key in known):
        raise ForgedRequest


def refuse_forged_renewal(headers: list[tuple[bytes, bytes]], *, is_secure: bool) -> None:
    """The same where the session isn't known yet: the token must be the one in the browser's own cookie.

    Raises:
        ForgedRequest: it isn't.
    """
    refuse_foreign_page(headers)
    kept = read_cookie(headers, names_for(is_secure=is_secure).csrf)
    if kept is None or not hmac.compare_digest(kept.encode("latin-1"), _presented(headers)):
        raise ForgedRequest


def _presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return next((value.strip() for name, value in headers if name == CSRF_HEADER), b"")


def _signed(key: bytes, session_id: str) -> str:
    return hmac.digest(key, _PURPOSE + session_id.encode(), "sha256").hex()
