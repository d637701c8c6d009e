"""Single sign-on over HTTP: `/api/v1/auth/oidc/login` to the provider, `/callback` back from it.

Both are open: who comes back is known by what the provider has signed, and by the cookie that binds the login
to the browser that began it. The session afterwards is like any other (`identity/logins`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from bursar import clock
from bursar.errors import Invalid, NotFound, Reason, SignOnFailed
from bursar.identity.audit.noting import note_asked
from bursar.identity.logins.access_token import SigningKeys
from bursar.identity.logins.api import Asking, origin_of
from bursar.identity.logins.bodies import CookiesOut, TokensOut
from bursar.identity.logins.cookies import csrf_token, set_cookies
from bursar.identity.sign_on.admission import Admission
from bursar.identity.sign_on.flow import (
    FLOW_FOR,
    PATH_LIMIT,
    begin_flow,
    open_flow,
    refuse_other_state,
    seal_flow,
)
from bursar.identity.sign_on.party import RelyingParty
from bursar.identity.sign_on.person import read_person

if TYPE_CHECKING:
    from bursar.identity.sign_on.provider import Provider

_WORD = re.compile(r"[a-z_]{1,60}")
_Text = Annotated[str | None, Field(max_length=4096)]
OPEN_PARAMETERS: dict[str, Any] = {"x-open-parameters": True}
"""Providers add parameters of their own to a callback; none of them is a mistake."""


class Back(BaseModel):
    """What a provider says in the URL that it sends a browser back to (RFC 6749, 4.1.2; RFC 9207)."""

    code: _Text = None
    state: _Text = None
    iss: _Text = None
    error: _Text = None


@dataclass(frozen=True, slots=True)
class SignOn:
    """Single sign-on at one provider."""

    party: RelyingParty
    provider: Provider
    admission: Admission
    keys: SigningKeys
    """Sign the cookie that binds a login to its browser."""

    @property
    def cookie(self) -> str:
        """Its name; with `__Host-` no other host, and no plain HTTP, can set one."""
        return "__Host-bursar-sign-on" if self.party.is_secure else "bursar-sign-on"


def make_router(sign_on: SignOn | None, asking: Asking, now: Callable[[], datetime] = clock.now) -> APIRouter:
    """The endpoints; without a provider they say that there is none."""
    router = APIRouter(prefix="/api/v1/auth/oidc", tags=["identity"])
    _add_login(router, sign_on, now)
    _add_callback(router, sign_on, asking, now)
    return router


def _add_login(router: APIRouter, sign_on: SignOn | None, now: Callable[[], datetime]) -> None:
    @router.get(
        "/login",
        status_code=HTTPStatus.SEE_OTHER,
        response_class=Response,
        responses={303: {"description": "Off to the provider.", "headers": {"Location": _LOCATION}}},
    )
    async def begin_sign_on(
        next_path: Annotated[
            str | None,
            Query(alias="next", max_length=PATH_LIMIT, description="Where to be afterwards: a path here."),
        ] = None,
    ) -> Response:
        """Log in at the OpenID provider: send a browser here.

        A cookie binds the login to this browser for ten minutes.
        """
        known = _known(sign_on)
        flow = begin_flow(next_path, now())
        answer = Response(status_code=HTTPStatus.SEE_OTHER)
        answer.headers["location"] = await known.provider.login_url(flow)
        answer.set_cookie(
            known.cookie,
            seal_flow(known.keys, flow),
            max_age=int(FLOW_FOR.total_seconds()),
            path="/",
            secure=known.party.is_secure,
            httponly=True,
            # The provider sends the browser back by a link: `strict` would leave the cookie out.
            samesite="lax",
        )
        return answer


def _add_callback(
    router: APIRouter, sign_on: SignOn | None, asking: Asking, now: Callable[[], datetime]
) -> None:
    to_page: dict[int | str, dict[str, Any]] = {
        303: {"description": "Off to `next`, logged in by cookies.", "headers": {"Location": _LOCATION}}
    }

    @router.get("/callback", openapi_extra=OPEN_PARAMETERS, responses=to_page)
    async def finish_sign_on(
        request: Request, response: Response, back: Annotated[Back, Query()]
    ) -> TokensOut | CookiesOut:
        """Come back from the OpenID provider: the address to register there.

        What the provider says decides which user that is, and their groups there which roles they have. A
        login that was begun with `next` goes on there with cookies; another one is answered with tokens.
        """
        known = _known(sign_on)
        note_asked({"way": "oidc"})
        _refuse_repeated(request)
        flow = open_flow(known.keys, request.cookies.get(known.cookie), now())
        refuse_other_state(flow, back.state)
        await known.provider.refuse_other_issuer(back.iss)
        claims = await known.provider.redeem(_code_of(back), flow, now())
        person = read_person(claims, known.party.entry)
        origin = origin_of(request, asking)
        issued = await run_in_threadpool(known.admission.admit, person, origin, now())
        _forget_flow(response, known)
        response.headers["cache-control"] = "no-store"
        if flow.next_path is None:
            return TokensOut.of(issued)
        response.status_code = HTTPStatus.SEE_OTHER
        response.headers["location"] = flow.next_path
        for line in set_cookies(known.keys, issued, is_secure=asking.is_secure(request.scope)):
            response.headers.append("set-cookie", line)
        return CookiesOut.of(issued, csrf_token(known.keys, issued.session.id))


_LOCATION: dict[str, Any] = {
    "description": "Where to go.",
    "schema": {"type": "string"},
}


def _known(sign_on: SignOn | None) -> SignOn:
    if sign_on is None:
        message = "Single sign-on is not set up here (BURSAR_OIDC_ISSUER)."
        raise NotFound(message)
    return sign_on


def _refuse_repeated(request: Request) -> None:
    repeated = [name for name in Back.model_fields if len(request.query_params.getlist(name)) > 1]
    if repeated:
        raise Invalid(reasons=tuple(Reason(name, "repeated", "is given twice") for name in repeated))


def _code_of(back: Back) -> str:
    if back.error is not None:
        said = f": {back.error}" if _WORD.fullmatch(back.error) else ""
        raise SignOnFailed(f"The provider let nobody in{said}.")
    if not back.code:
        message = "The provider sent no code."
        raise SignOnFailed(message)
    return back.code


def _forget_flow(response: Response, known: SignOn) -> None:
    response.delete_cookie(
        known.cookie, path="/", secure=known.party.is_secure, httponly=True, samesite="lax"
    )
