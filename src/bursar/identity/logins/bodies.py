"""What clients send to and get from `/api/v1/auth`: strict request bodies, and answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from bursar.identity.bodies import ChosenId, Strict
from bursar.identity.logins.logins import Credentials, Issued
from bursar.identity.tenant import DEFAULT_TENANT_ID

if TYPE_CHECKING:
    from bursar.identity.caller import Caller
    from bursar.identity.logins.session import Session
    from bursar.identity.users.user import User

TYPED_LIMIT = 1024
"""Longest address, password or token that is looked at: hashing must cost the same for everybody."""
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"

Typed = Annotated[str, Field(min_length=1, max_length=TYPED_LIMIT)]
TypedEmail = Annotated[str, Field(min_length=1, max_length=TYPED_LIMIT, pattern=_NO_CONTROLS)]
NamedTenant = Annotated[
    ChosenId, Field(description="The tenant to log in to.", validate_default=True, examples=["default"])
]


class LoginIn(Strict):
    """Who logs in."""

    email: TypedEmail = Field(examples=["ada@example.com"])
    password: Typed = Field(repr=False)
    tenant_id: NamedTenant = DEFAULT_TENANT_ID

    def credentials(self) -> Credentials:
        """What was typed."""
        return Credentials(self.tenant_id, self.email, self.password)


class RenewalIn(Strict):
    """Which session goes on."""

    refresh_token: Typed = Field(repr=False)


class LogoutIn(Strict):
    """What ends."""

    everywhere: bool = Field(default=False, description="Every session of the user, not only this one.")


class UserOut(BaseModel):
    """A person, as their tenant sees them."""

    id: str
    tenant_id: str
    email: str
    name: str
    state: Literal["active", "suspended"]
    has_password: bool = Field(description="False until the invitation was followed.")
    created_at: datetime
    last_login_at: datetime | None

    @classmethod
    def of(cls, user: User) -> UserOut:
        """The user as they are shown."""
        return cls(
            id=user.id,
            tenant_id=user.tenant_id,
            email=user.email,
            name=user.name,
            state=user.state.value,
            has_password=user.has_password,
            created_at=user.created_at,
            last_login_at=user.last_login_at,
        )


class TokensOut(BaseModel):
    """What a login brings (RFC 6749, 5.1), and who logged in."""

    access_token: str = Field(description="Send it as `Authorization: Bearer …`.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token, none itself
    expires_in: int = Field(description="Seconds for which the access token counts.")
    refresh_token: str = Field(
        description="Brings the next tokens, once. Used twice, it ends the session: somebody else has it."
    )
    session_expires_at: datetime = Field(description="Then somebody has to log in again.")
    user: UserOut

    @classmethod
    def of(cls, issued: Issued) -> TokensOut:
        """The new tokens."""
        return cls(
            access_token=issued.access_token,
            expires_in=issued.access_seconds,
            refresh_token=issued.refresh_token,
            session_expires_at=issued.session.expires_at,
            user=UserOut.of(issued.user),
        )


class SessionOut(BaseModel):
    """A session that counts."""

    id: str
    started_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    address: str | None = Field(description="From where it was begun.")
    client: str | None = Field(description="What the program called itself.")

    @classmethod
    def of(cls, session: Session) -> SessionOut:
        """The session as it is shown."""
        return cls(
            id=session.id,
            started_at=session.started_at,
            last_used_at=session.last_used_at,
            expires_at=session.expires_at,
            address=session.origin.address,
            client=session.origin.client,
        )


class MeOut(BaseModel):
    """Who asks, and what they may do."""

    kind: Literal["user", "key", "operator"]
    id: str = Field(description="Of the user or the key.")
    tenant_id: str
    user: UserOut | None
    permissions: list[str] = Field(description="In all of the tenant.")
    within: dict[str, list[str]] = Field(description="What else in some projects, and in which.")
    sessions: list[SessionOut] = Field(description="Of a user: every session that counts.")

    @classmethod
    def of(cls, caller: Caller, user: User | None, sessions: tuple[Session, ...]) -> MeOut:
        """The caller as they are shown to themselves."""
        kind = "operator" if caller.is_operator else "key"
        return cls(
            kind="user" if user else kind,
            id=caller.key_id,
            tenant_id=caller.tenant_id,
            user=UserOut.of(user) if user else None,
            permissions=sorted(caller.permissions),
            within={permission: sorted(projects) for permission, projects in sorted(caller.within.items())},
            sessions=[SessionOut.of(session) for session in sessions],
        )
