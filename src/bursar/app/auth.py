"""Who asks: from a request to its `Caller`, for raw ASGI and for FastAPI alike.

A credential comes as `Authorization: Bearer`, `X-API-Key` or `X-Ingest-Key`; which header it is in
makes no difference, its scopes decide. People present the access token of their session in the same
places, or browsers in a cookie, which counts only where none of these headers is sent. Requests through
the socket in the data folder need none: the file's mode (0600) is their credential. They are known by a
mark that `operator_door` puts into the ASGI scope of that one listener, which nothing that a client sends
can reach. Keys themselves are judged in
`identity/authenticate.py`, access tokens in `identity/logins/people.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import urlsplit

from fastapi import Query, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPBearer

from bursar import clock
from bursar.app.addresses import client_address, is_secure
from bursar.app.audited import announce
from bursar.errors import BursarError, NotFound, Unauthenticated
from bursar.identity.caller import ANONYMOUS_KEY_ID, Caller
from bursar.identity.logins.access_token import is_token
from bursar.identity.logins.api import Whoever
from bursar.identity.logins.cookies import SAFE_METHODS, names_for, read_cookie
from bursar.identity.permissions import Permission, Scope, permissions_of, permissions_of_operator
from bursar.identity.tenant import DEFAULT_TENANT_ID, ID_PATTERN, TenantState

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as Connection

    from bursar.identity.authenticate import Authenticator
    from bursar.identity.logins.people import People
    from bursar.identity.store import TenantStore

OPERATOR_MARK = "bursar.operator"
"""Key of the ASGI scope that marks requests through the data folder's socket."""
CALLER_MARK = "bursar.caller"
"""Key of the ASGI scope under which the caller is found once it is known."""
SESSION_MARK = "bursar.session"
"""Key of the ASGI scope under which the session is found of a person who is known by its token."""
SOCKET_KEY_ID = "socket"
_NO_TENANT = "There is no such tenant."
_TENANT_ID = re.compile(ID_PATTERN)
_KEY_HEADERS = frozenset([b"x-api-key", b"x-ingest-key"])
_PROXY_HEADERS = frozenset([b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"])


def operator_door(app: ASGIApp) -> ASGIApp:
    """The same app for a listener that only the operator can reach: its callers may do everything."""

    async def marked(scope: Connection, receive: Receive, send: Send) -> None:
        scope[OPERATOR_MARK] = True
        await app(scope, receive, send)

    return marked


def credential_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key that a request presents, or None.

    Raises:
        Unauthenticated: it presents several that differ, so that it isn't clear who asks.
    """
    presented = b""
    for name, value in headers:
        if name in _KEY_HEADERS:
            key = value.strip()
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            key = value[7:].strip()
        else:
            continue
        if key and presented and key != presented:
            message = "The request carries different keys in its headers; send one."
            raise Unauthenticated(message)
        presented = key or presented
    return presented.decode("latin-1") if presented else None


class Doorkeeper:
    """Finds out who asks. Use from the event loop."""

    def __init__(
        self,
        authenticator: Authenticator,
        tenants: TenantStore,
        people: People | None = None,
        *,
        anonymous_loopback: bool = False,
    ) -> None:
        """Without `people` nobody is known by an access token.

        `anonymous_loopback` lets programs on this machine read and ingest without a key.
        """
        self._authenticator = authenticator
        self._people = people
        self._tenants = tenants
        self._anonymous_loopback = anonymous_loopback

    async def identify(self, scope: Connection) -> Caller:
        """The caller of a request, found without waiting if the key was seen lately.

        Raises:
            Unauthenticated: no credential, an unusable one, or several that differ.
            WrongNetwork: its key doesn't count from where the request comes.
            Unavailable: the store of keys doesn't answer.
        """
        caller: Caller | None = scope.get(CALLER_MARK)
        if caller is None:
            # Asked by rate limits first, then by the endpoint: the answer is the same within a request.
            caller = scope[CALLER_MARK] = await self._identify(scope)
        return caller

    def recall(self, headers: Iterable[tuple[bytes, bytes]], now: datetime) -> Caller | None:
        """The caller who presents a key that was seen lately; None where it takes more to know.

        Raises:
            Unauthenticated: several keys that differ, or one that is known to be unusable.
        """
        presented = credential_of(headers)
        return None if presented is None else self._authenticator.recall(presented, now)

    def recheck(self, scope: Connection) -> None:
        """Refuse a request whose key or session stopped counting since it was identified.

        Raises:
            ExpiredKey, RevokedKey, EndedSession, TenantSuspended: as known by now.
        """
        presented = credential_of(scope["headers"]) or _cookie_of(scope)
        if presented is not None and scope.get(OPERATOR_MARK) is not True:
            people = self._people if is_token(presented) else None
            known = people or self._authenticator
            caller = known.recall(presented, clock.now())
            if caller is not None and not caller.is_operator:
                caller.refuse_suspended()

    async def act_for(self, caller: Caller, tenant_id: str | None) -> Caller:
        """The caller acting for the tenant that a request names.

        Raises:
            TenantMismatch: it is another one than the caller's, and the caller is no operator.
            NotFound: there is no such tenant.
        """
        named = caller.tenant_for(tenant_id)
        if named == caller.tenant_id:
            return caller
        if _TENANT_ID.fullmatch(named) is None:
            # Nothing that can't be an id reaches a store: PostgreSQL takes no NUL.
            raise NotFound(_NO_TENANT)
        tenant = await run_in_threadpool(self._tenants.tenant, named)
        is_suspended = tenant.state is TenantState.SUSPENDED
        return replace(caller, tenant_id=tenant.id, zone=tenant.zone, is_suspended=is_suspended)

    async def _identify(self, scope: Connection) -> Caller:
        if scope.get(OPERATOR_MARK) is True:
            return await self._default_caller(
                SOCKET_KEY_ID, permissions_of_operator((Scope.ADMIN,)), is_operator=True
            )
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        presented = credential_of(headers)
        if presented is None and self._people is not None and (cookie := _cookie_of(scope)):
            return await _identify_browser(self._people, scope, cookie)
        if presented is None and self._anonymous_loopback and _is_local(scope.get("client"), headers):
            # Neither keys nor tenants: what manages access needs a credential even here.
            return await self._default_caller(ANONYMOUS_KEY_ID, permissions_of((Scope.INGEST, Scope.READ)))
        now = clock.now()
        caller = self._authenticator.recall(presented, now)
        if caller is None and self._people is not None and presented is not None and is_token(presented):
            return await _identify_person(self._people, scope, presented, now)
        if caller is None:
            caller = await run_in_threadpool(self._authenticator.authenticate, presented, now)
        if caller.networks:
            caller.refuse_elsewhere(client_address(scope))
        return caller

    async def _default_caller(
        self, key_id: str, permissions: frozenset[Permission], *, is_operator: bool = False
    ) -> Caller:
        tenant = await run_in_threadpool(self._tenants.tenant, DEFAULT_TENANT_ID)
        is_suspended = tenant.state is TenantState.SUSPENDED
        return Caller(tenant.id, key_id, permissions, tenant.zone, is_operator, is_suspended)


async def _identify_person(people: People, scope: Connection, token: str, now: datetime) -> Caller:
    caller = people.recall(token, now)
    if caller is None:
        caller = await run_in_threadpool(people.authenticate, token, now)
    scope[SESSION_MARK] = people.claims_of(token, now).session_id
    return caller


async def _identify_browser(people: People, scope: Connection, cookie: str) -> Caller:
    """Who is known by a cookie, which a browser sends along whoever makes it ask."""
    caller = await _identify_person(people, scope, cookie, clock.now())
    if scope["method"] not in SAFE_METHODS:
        people.refuse_forged(scope[SESSION_MARK], scope["headers"])
    return caller


def _cookie_of(scope: Connection) -> str | None:
    return read_cookie(scope["headers"], names_for(is_secure=is_secure(scope)).session)


def _is_local(client: tuple[str, int] | None, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a program on this machine asks for itself.

    Not so a proxy that speaks for others, and not so a web page: a foreign one shows in `Origin`, and
    one that rebound its own name to this address in `Host`.
    """
    if client is None or not _is_loopback(client[0]):
        return False
    for name, value in headers:
        text = value.decode("latin-1")
        if name in _PROXY_HEADERS:
            return False
        if name == b"host" and not _is_loopback(_host_of(f"//{text}")):
            return False
        if name == b"origin" and not _is_loopback(_host_of(text)):
            return False
    return True


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


BEARER = HTTPBearer(
    scheme_name="Bearer", description="`Authorization: Bearer <API key or access token>`", auto_error=False
)
API_KEY = APIKeyHeader(
    name="X-API-Key", scheme_name="X-API-Key", description="The same keys, in a header", auto_error=False
)
_Bearer = Annotated[object, Security(BEARER)]
_ApiKey = Annotated[object, Security(API_KEY)]
_NamedTenant = Annotated[
    str | None,
    Query(
        alias="tenant_id",
        max_length=256,
        description="The credential's own tenant (another is refused); the operator may name any.",
    ),
]


@cache
def require(permission: Permission, *, in_projects: bool = False) -> Callable[..., Awaitable[Caller]]:
    """A FastAPI dependency that yields the caller, or refuses one without the permission.

    `in_projects` also lets callers in who have it in some projects only: the endpoint's own questions keep
    to `Caller.projects_with`.

    An act that the audit log records (`audited_acts.py`) is announced there before this yields.
    """

    async def caller(request: Request, _bearer: _Bearer, _key: _ApiKey, named: _NamedTenant = None) -> Caller:
        doorkeeper = doorkeeper_of(request)
        found = await doorkeeper.identify(request.scope)
        if in_projects:
            found.projects_with(permission)
        else:
            found.require(permission)
        acting = await doorkeeper.act_for(found, named)
        if named is not None:
            acting = replace(acting, has_named=True)
        await announce(request, acting)
        return acting

    return caller


async def whoever(request: Request, _bearer: _Bearer, _key: _ApiKey) -> Whoever:
    """A FastAPI dependency that yields whoever asks, whatever they may do, and a person's session."""
    caller = await doorkeeper_of(request).identify(request.scope)
    return Whoever(caller, request.scope.get(SESSION_MARK))


async def caller_if_any(request: Request, _bearer: _Bearer, _key: _ApiKey) -> Caller | None:
    """A FastAPI dependency for open paths that tell more to those who are known."""
    try:
        return await doorkeeper_of(request).identify(request.scope)
    except BursarError:
        return None


def doorkeeper_of(request: Request) -> Doorkeeper:
    """The doorkeeper of the app that this request came to."""
    state: Any = request.app.state
    return cast("Doorkeeper", state.doorkeeper)
