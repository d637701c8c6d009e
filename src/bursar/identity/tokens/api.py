"""Tracking tokens over HTTP: `/api/v1/tokens`.

Each is its tenant's own; another tenant's is as unknown as none. Lists show tokens masked, a single one
whole: it has to be put into a client. The rules are in `token.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field

from bursar import clock, ids
from bursar.identity.api import Asked, RetryKey, shown
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import ListOut, Strict
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.permissions import Permission
from bursar.identity.retries import answered_again, id_under, make_once, refuse_other
from bursar.identity.tokens.register import TOKENS_LIMIT, TokenRegister
from bursar.identity.tokens.token import (
    LABEL_LIMIT,
    LABEL_PATTERN,
    LONGEST,
    SHORTEST,
    TOKEN_PATTERN,
    TokenChange,
    TrackingToken,
    make_token,
    mask_token,
    refuse_unfit,
)

Label = Annotated[
    str,
    Field(min_length=1, max_length=LABEL_LIMIT, pattern=LABEL_PATTERN, examples=["Production app"]),
]
TokenId = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9_]+$")]


class TokenIn(Strict):
    """A tracking token to make."""

    label: Label = Field(description="What sends usage with it; no other token of the tenant has it.")
    token: Annotated[str, Field(pattern=TOKEN_PATTERN, min_length=SHORTEST, max_length=LONGEST)] | None = (
        Field(default=None, description="Made up if absent; chosen where clients have one already.")
    )


class TokenPatch(Strict):
    """What to change of a tracking token; null and absent leave a field as it is."""

    label: Label | None = None
    is_active: bool | None = Field(default=None, description="Events with an inactive one are refused.")


class TokenOut(BaseModel):
    """A tracking token as lists show it."""

    id: str = Field(description="What events keep: `tracking_token_id`.")
    tenant_id: str
    label: str
    token_masked: str
    is_active: bool
    created_at: datetime
    created_by: str
    last_seen_at: datetime | None = Field(description="Written every few seconds, as is the count.")
    usage_count: int = Field(description="Events with it that were taken; one sent again counts again.")

    @classmethod
    def of(cls, token: TrackingToken) -> TokenOut:
        """The token as it is shown, masked."""
        return cls(**_shown(token))


class WholeTokenOut(TokenOut):
    """A tracking token with all its characters."""

    token: str = Field(description="What events say as `tracking_token`. It is no secret and opens nothing.")

    @classmethod
    def whole(cls, token: TrackingToken) -> WholeTokenOut:
        """The token as it is shown."""
        return cls(token=token.token, **_shown(token))


def make_router(
    register: TokenRegister,
    token_length: int,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/tokens", tags=["identity"])
    writer = Depends(caller(Permission.TOKENS_WRITE))
    _add_making(router, register, token_length, writer, now)
    _add_changes(router, register, writer)
    _add_reading(router, register, Depends(caller(Permission.TOKENS_READ)))
    return router


def _add_making(
    router: APIRouter,
    register: TokenRegister,
    token_length: int,
    writer: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    store = register.store

    @router.post("", status_code=HTTPStatus.CREATED, responses=answered_again(WholeTokenOut))
    def create_token(
        body: TokenIn, response: Response, retry_key: RetryKey = None, caller: Caller = writer
    ) -> WholeTokenOut:
        """Make a tracking token; it counts at once in this process, within 5 seconds in others.

        With an `Idempotency-Key` a retry makes no second one and is answered with the first.
        """
        refuse_unfit(body.label, body.token)
        tenant_id, text = caller.tenant_id, body.token or make_token(token_length)
        token_id = ids.make_id("tok") if retry_key is None else id_under(retry_key, "tok", tenant_id)
        made = TrackingToken(token_id, tenant_id, text, body.label, now(), caller.key_id)

        def make() -> TrackingToken:
            store.add_token(made, TOKENS_LIMIT)
            register.refresh()
            return made

        def answer_again(kept: TrackingToken) -> TrackingToken:
            asked = (body.label, body.token or kept.token)
            refuse_other(kept.id, is_same=(kept.label, kept.token) == asked)
            response.status_code = HTTPStatus.OK
            return kept

        if retry_key is None:
            return WholeTokenOut.whole(make())
        return WholeTokenOut.whole(make_once(lambda: store.token(tenant_id, token_id), make, answer_again))


def _add_changes(router: APIRouter, register: TokenRegister, writer: CallerDependency) -> None:
    store = register.store

    @router.patch("/{token_id}")
    def change_token(token_id: TokenId, body: TokenPatch, caller: Caller = writer) -> TokenOut:
        """Give a token another label, switch it off, or on again."""
        refuse_unfit(body.label)
        note_before(_told(store.token(caller.tenant_id, token_id)))
        changed = store.change_token(caller.tenant_id, token_id, TokenChange(body.label, body.is_active))
        register.refresh()
        return TokenOut.of(changed)

    @router.delete("/{token_id}", status_code=HTTPStatus.NO_CONTENT)
    def remove_token(token_id: TokenId, caller: Caller = writer) -> None:
        """Forget a token; its events keep its id."""
        note_before(_told(store.token(caller.tenant_id, token_id)))
        store.remove_token(caller.tenant_id, token_id)
        register.refresh()


def _add_reading(router: APIRouter, register: TokenRegister, reader: CallerDependency) -> None:
    store = register.store

    @router.get("")
    def list_tokens(asked: Asked, caller: Caller = reader) -> ListOut[TokenOut]:
        """The tenant's tracking tokens in order of creation, masked."""
        return shown(store.tokens(caller.tenant_id, asked), TokenOut.of)

    @router.get("/{token_id}")
    def get_token(token_id: TokenId, caller: Caller = reader) -> WholeTokenOut:
        """One tracking token, whole."""
        return WholeTokenOut.whole(store.token(caller.tenant_id, token_id))


def _told(token: TrackingToken) -> dict[str, Any]:
    """What the audit log keeps of a token that is changed or removed."""
    return {"label": token.label, "is_active": token.is_active}


def _shown(token: TrackingToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "tenant_id": token.tenant_id,
        "label": token.label,
        "token_masked": mask_token(token.token),
        "is_active": token.is_active,
        "created_at": token.created_at,
        "created_by": token.created_by,
        "last_seen_at": token.last_seen_at,
        "usage_count": token.uses,
    }
