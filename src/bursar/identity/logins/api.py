"""Logging in and out over HTTP: `/api/v1/auth/login`, `token`, `refresh`, `logout`, `me`.

The first three are open: what they are given is the credential. The rules are in `logins.py`; who asks is
found in `app`, errors become problem documents there.
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
from bursar.identity.caller import Caller
from bursar.identity.logins.bodies import LoginIn, LogoutIn, MeOut, RenewalIn, TokensOut
from bursar.identity.logins.logins import Issued, Logins
from bursar.identity.logins.session import Origin

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


def make_router(logins: Logins, asking: Asking, now: Callable[[], datetime] = clock.now) -> APIRouter:
    """The endpoints over these logins."""
    router = APIRouter(prefix="/api/v1/auth", tags=["identity"])
    _add_ways_in(router, logins, asking, now)
    _add_token(router, logins, asking, now)
    _add_ways_out(router, logins, Depends(asking.whoever), now)
    return router


def _add_ways_in(router: APIRouter, logins: Logins, asking: Asking, now: Callable[[], datetime]) -> None:
    @router.post("/login")
    def log_in(body: LoginIn, request: Request, response: Response) -> TokensOut:
        """Log in with an e-mail address and a password.

        Every failure looks alike: an unknown address, a wrong password, a suspended user, too many wrong
        passwords lately.
        """
        return _shown(logins.log_in(body.credentials(), _origin_of(request, asking), now()), response)

    @router.post("/refresh")
    def refresh_login(body: RenewalIn, response: Response) -> TokensOut:
        """Get the next tokens for a refresh token, which counts once.

        One that was used before ends its session: of the two who hold it, one has stolen it.
        """
        return _shown(logins.go_on(body.refresh_token, now()), response)


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
                origin = _origin_of(request, asking)
                issued = await run_in_threadpool(logins.log_in, asked.credentials(), origin, now())
            case RenewalIn():
                issued = await run_in_threadpool(logins.go_on, asked.refresh_token, now())
        return _shown(issued, response)


def _add_ways_out(router: APIRouter, logins: Logins, known: Any, now: Callable[[], datetime]) -> None:  # noqa: ANN401 - see `CallerDependency`
    @router.post("/logout", status_code=HTTPStatus.NO_CONTENT)
    def log_out(body: LogoutIn | None = None, who: Whoever = known) -> None:
        """End this session, or every session of this user: at once here, within 5 seconds elsewhere.

        With a key there is nothing to end.
        """
        tenant_id = who.caller.tenant_id
        if who.session_id is None:
            return
        if body is not None and body.everywhere:
            logins.log_out_everywhere(tenant_id, who.caller.key_id, now())
        else:
            logins.log_out(tenant_id, who.session_id, now())

    @router.get("/me")
    def who_am_i(who: Whoever = known) -> MeOut:
        """Who asks, what they may do, and which sessions of theirs count. For keys too."""
        caller = who.caller
        if who.session_id is None:
            return MeOut.of(caller, None, ())
        user = logins.users.user(caller.tenant_id, caller.key_id)
        return MeOut.of(caller, user, logins.store.sessions(user.tenant_id, user.id, now()))


def _shown(issued: Issued, response: Response) -> TokensOut:
    # RFC 6749, 5.1: nothing on the way may keep tokens.
    response.headers["cache-control"] = "no-store"
    return TokensOut.of(issued)


def _origin_of(request: Request, asking: Asking) -> Origin:
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
