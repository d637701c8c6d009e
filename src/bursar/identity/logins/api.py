"""Ways in and out over HTTP, below `/api/v1/auth`: `login`, `token`, `refresh`, `accept`, `forgot`.

And for who is in: `password`, `logout`, `me`. The others are open: what they are given is the credential. The
rules are in `logins.py`; who asks is found in `app`, errors become problem documents there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError

from bursar import clock
from bursar.errors import Invalid, Malformed, Reason, UnsupportedMedia
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.logins.bodies import (
    CookiesOut,
    ForgotIn,
    ForgotOut,
    LinkUseIn,
    LoginIn,
    LogoutIn,
    MeOut,
    PasswordChangeIn,
    RenewalIn,
    TokensOut,
)
from bursar.identity.logins.cookies import (
    csrf_token,
    drop_cookies,
    names_for,
    read_cookie,
    refuse_foreign_page,
    refuse_forged_renewal,
    set_cookies,
)
from bursar.identity.logins.following import Following
from bursar.identity.logins.forgetting import ForgottenPasswords
from bursar.identity.logins.logins import Logins
from bursar.identity.logins.session import Issued, Origin
from bursar.identity.role_store import RoleStore

Body = TypeVar("Body", bound=BaseModel)

FORM = "application/x-www-form-urlencoded"
_CLIENT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Whoever:
    """A caller, and the session by whose token they are known, if it is a person."""

    caller: Caller
    session_id: str | None


@dataclass(frozen=True, slots=True)
class Asking:
    """What the rest of the program knows of a request."""

    whoever: Callable[..., Any]
    """A FastAPI dependency that gives the `Whoever`, of any permission."""
    address: Callable[[Any], str | None]
    """The client's address, of an ASGI scope."""
    is_secure: Callable[[Any], bool]
    """Whether the client speaks TLS, of an ASGI scope."""


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoints work with."""

    logins: Logins
    following: Following
    forgotten: ForgottenPasswords
    roles: RoleStore


def make_router(door: Door, asking: Asking, now: Callable[[], datetime] = clock.now) -> APIRouter:
    """The endpoints over these logins."""
    router = APIRouter(prefix="/api/v1/auth", tags=["identity"])
    logins = door.logins
    _add_ways_in(router, logins, asking, now)
    _add_token(router, logins, asking, now)
    _add_links(router, door, asking, now)
    _add_password(router, logins, asking, now)
    _add_logout(router, logins, asking, now)
    _add_self(router, door, Depends(asking.whoever), now)
    return router


def _add_ways_in(router: APIRouter, logins: Logins, asking: Asking, now: Callable[[], datetime]) -> None:
    browser = _Browser(logins, asking)

    @router.post("/login")
    def log_in(body: LoginIn, request: Request, response: Response) -> TokensOut | CookiesOut:
        """Log in with an e-mail address, as `email` or as `username`, and a password.

        Every failure looks alike: an unknown address, a wrong password, a suspended user, too many wrong
        passwords lately.
        """
        if body.cookies:
            refuse_foreign_page(request.headers.raw)
        issued = logins.log_in(body.credentials(), origin_of(request, asking), now())
        return browser.shown(issued, request, response) if body.cookies else _shown(issued, response)

    @router.post("/refresh")
    def refresh_login(
        request: Request, response: Response, body: RenewalIn | None = None
    ) -> TokensOut | CookiesOut:
        """Get the next tokens for a refresh token, which counts once; without a body, for a cookie's.

        One that was used before ends its session: of the two who hold it, one has stolen it.
        """
        if body is not None:
            return _shown(logins.go_on(body.refresh_token, now()), response)
        return browser.shown(logins.go_on(browser.refresh_token(request), now()), request, response)


def _add_token(router: APIRouter, logins: Logins, asking: Asking, now: Callable[[], datetime]) -> None:
    fields = ("grant_type", "username", "password", "refresh_token", "tenant_id", "scope")
    form: dict[str, Any] = {
        "type": "object",
        "required": ["grant_type"],
        "properties": {name: {"type": "string"} for name in fields},
    }
    form["properties"]["grant_type"]["enum"] = ["password", "refresh_token"]
    described = {"requestBody": {"required": True, "content": {FORM: {"schema": form}}}}

    @router.post("/token", openapi_extra=described)
    async def log_in_by_form(request: Request, response: Response) -> TokensOut:
        """Log in or go on as OAuth 2 clients do it: with a form, by `password` or `refresh_token`.

        RFC 6749, 4.3 and 6.
        """
        asked = _read_form(request.headers.get("content-type", ""), await request.body())
        match asked:
            case LoginIn():
                origin = origin_of(request, asking)
                issued = await run_in_threadpool(logins.log_in, asked.credentials(), origin, now())
            case RenewalIn():
                issued = await run_in_threadpool(logins.go_on, asked.refresh_token, now())
        return _shown(issued, response)


def _add_links(router: APIRouter, door: Door, asking: Asking, now: Callable[[], datetime]) -> None:
    @router.post("/accept")
    def accept_link(body: LinkUseIn, request: Request, response: Response) -> TokensOut | CookiesOut:
        """Follow a link, once: set the password by which to log in from now on, and log in.

        An invitation, a reset, or the first admin's link, which also says who they are.
        """
        if body.cookies:
            refuse_foreign_page(request.headers.raw)
        issued = door.following.follow(body.ask(), origin_of(request, asking), now())
        if body.cookies:
            return _Browser(door.logins, asking).shown(issued, request, response)
        return _shown(issued, response)

    @router.post("/forgot", status_code=HTTPStatus.ACCEPTED)
    def forget_password(body: ForgotIn) -> ForgotOut:
        """Let a link for a new password be mailed to an address, if somebody of the tenant has it.

        The answer is the same, and takes the same time, for every address.
        """
        door.forgotten.ask(body.tenant_id, body.email, now())
        return ForgotOut()


def _add_password(router: APIRouter, logins: Logins, asking: Asking, now: Callable[[], datetime]) -> None:
    known: Any = Depends(asking.whoever)

    @router.post("/password")
    def change_password(
        body: PasswordChangeIn, request: Request, response: Response, who: Whoever = known
    ) -> TokensOut | CookiesOut:
        """Choose another password: every session of yours ends, this one goes on with new tokens.

        For people; a key has no password.
        """
        if who.session_id is None:
            message = "Only people have a password; `POST /api/v1/keys/{id}/rotate` changes a key."
            raise Invalid(message)
        user = logins.users.user(who.caller.tenant_id, who.caller.key_id)
        issued = logins.change_password(user, body.change(), origin_of(request, asking), now())
        if body.cookies:
            return _Browser(logins, asking).shown(issued, request, response)
        return _shown(issued, response)


def _add_logout(router: APIRouter, logins: Logins, asking: Asking, now: Callable[[], datetime]) -> None:
    known: Any = Depends(asking.whoever)

    @router.post("/logout", status_code=HTTPStatus.NO_CONTENT)
    def log_out(
        request: Request, response: Response, body: LogoutIn | None = None, who: Whoever = known
    ) -> None:
        """End this session, or every session of this user: at once here, within 5 seconds elsewhere.

        With a key there is nothing to end.
        """
        _Browser(logins, asking).forget(request, response)
        tenant_id = who.caller.tenant_id
        if who.session_id is None:
            return
        if body is not None and body.everywhere:
            logins.log_out_everywhere(tenant_id, who.caller.key_id, now())
        else:
            logins.log_out(tenant_id, who.session_id, now())


def _add_self(router: APIRouter, door: Door, known: CallerDependency, now: Callable[[], datetime]) -> None:
    logins = door.logins

    @router.get("/me")
    def who_am_i(who: Whoever = known) -> MeOut:
        """Who asks, their roles, what they may do, and which sessions of theirs count. For keys too."""
        caller = who.caller
        if who.session_id is None:
            return MeOut.of_key(caller)
        user = logins.users.user(caller.tenant_id, caller.key_id)
        bindings = door.roles.bindings(user.tenant_id, user.id)
        return MeOut.of_user(caller, user, bindings, logins.store.sessions(user.tenant_id, user.id, now()))


@dataclass(frozen=True, slots=True)
class _Browser:
    """Logins that live in cookies."""

    logins: Logins
    asking: Asking

    def shown(self, issued: Issued, request: Request, response: Response) -> CookiesOut:
        """Put the tokens into cookies."""
        keys = self.logins.keys
        response.headers["cache-control"] = "no-store"
        for line in set_cookies(keys, issued, is_secure=self.asking.is_secure(request.scope)):
            response.headers.append("set-cookie", line)
        return CookiesOut.of(issued, csrf_token(keys, issued.session.id))

    def refresh_token(self, request: Request) -> str:
        """The refresh token in the browser's cookie.

        Raises:
            Invalid: there is none.
            ForgedRequest: it isn't our own page that asks.
        """
        is_secure = self.asking.is_secure(request.scope)
        found = read_cookie(request.headers.raw, names_for(is_secure=is_secure).refresh)
        if found is None:
            message = "is needed: in the body, or in the cookie of a login with cookies"
            raise Invalid(reasons=(Reason("refresh_token", "missing", message),))
        refuse_forged_renewal(request.headers.raw, is_secure=is_secure)
        return found

    def forget(self, request: Request, response: Response) -> None:
        """Let a browser that has cookies of a login forget them."""
        is_secure = self.asking.is_secure(request.scope)
        if read_cookie(request.headers.raw, names_for(is_secure=is_secure).session) is not None:
            for line in drop_cookies(is_secure=is_secure):
                response.headers.append("set-cookie", line)


def _shown(issued: Issued, response: Response) -> TokensOut:
    # RFC 6749, 5.1: nothing on the way may keep tokens.
    response.headers["cache-control"] = "no-store"
    return TokensOut.of(issued)


def origin_of(request: Request, asking: Asking) -> Origin:
    """From where somebody logs in."""
    client = request.headers.get("user-agent")
    shown = "".join(letter for letter in client if letter.isprintable())[:_CLIENT_LIMIT] if client else None
    return Origin(asking.address(request.scope), shown)


def _read_form(content_type: str, body: bytes) -> LoginIn | RenewalIn:
    if content_type.partition(";")[0].strip().lower() != FORM:
        message = f"This endpoint takes {FORM}; `/api/v1/auth/login` takes JSON."
        raise UnsupportedMedia(message)
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError as error:
        raise Malformed from error
    repeated = [name for name, values in found.items() if len(values) > 1]
    if repeated:
        raise Invalid(reasons=tuple(Reason(name, "repeated", "is given twice") for name in repeated))
    given = {name: values[0] for name, values in found.items()}
    names = {"email": "username", "password": "password", "tenant_id": "tenant_id"}
    if given.get("grant_type") == "refresh_token":
        names = {"refresh_token": "refresh_token"}
    elif given.get("grant_type") != "password":
        message = "must be 'password' or 'refresh_token'"
        raise Invalid(reasons=(Reason("grant_type", "unsupported_grant_type", message),))
    values = {field: given[name] for field, name in names.items() if name in given}
    return _checked(RenewalIn if "refresh_token" in names else LoginIn, values, names)


def _checked(kind: type[Body], values: dict[str, str], names: dict[str, str]) -> Body:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        reasons = tuple(
            Reason(names[str(fault["loc"][0])], fault["type"], f"{fault['msg']}.") for fault in faults
        )
    raise Invalid(reasons=reasons)
