"""What clients send to and get from `/api/v1/auth`: strict request bodies, and answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from bursar.identity.bodies import PLAIN_TEXT, ChosenId, Strict
from bursar.identity.logins.following import FollowAsk
from bursar.identity.logins.logins import Credentials, PasswordChange
from bursar.identity.tenant import DEFAULT_TENANT_ID
from bursar.identity.users.bodies import TYPED_LIMIT, Email, RoleOfUser, Typed, UserName, UserOut, roles_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.identity.caller import Caller
    from bursar.identity.logins.session import Issued, Session
    from bursar.identity.roles import RoleBinding
    from bursar.identity.users.user import User

TypedEmail = Annotated[str, Field(min_length=1, max_length=TYPED_LIMIT, pattern=PLAIN_TEXT)]
NamedTenant = Annotated[
    ChosenId, Field(description="The tenant to log in to.", validate_default=True, examples=["default"])
]


InCookies: bool = Field(
    default=False, description="For pages of this server: the tokens come in cookies, not in the answer."
)


class LoginIn(Strict):
    """Who logs in: by `email`, or `username`, which is another name of it."""

    username: TypedEmail | None = Field(default=None, description="Another name of `email`.")
    email: TypedEmail | None = Field(
        default=None,
        validate_default=True,
        description="Needed, or `username` in its place.",
        examples=["ada@example.com"],
    )
    password: Typed = Field(repr=False)
    tenant_id: NamedTenant = DEFAULT_TENANT_ID
    cookies: bool = InCookies

    def credentials(self) -> Credentials:
        """What was typed."""
        return Credentials(self.tenant_id, self.email or self.username or "", self.password)

    @field_validator("email")
    @classmethod
    def _names_them_once(cls, email: str | None, info: ValidationInfo) -> str | None:
        # A username that is unfit is told of already, and isn't among the data.
        if "username" not in info.data:
            return email
        username = info.data["username"]
        if email is None and username is None:
            message = "is needed: the address of who logs in, as 'email' or 'username'"
            raise PydanticCustomError("neither_given", message)
        if email is not None and username is not None:
            message = "is another name of 'username': send one of them"
            raise PydanticCustomError("given_twice", message)
        return email


class RenewalIn(Strict):
    """Which session goes on."""

    refresh_token: Typed = Field(repr=False)


class LinkUseIn(Strict):
    """A link that is followed."""

    token: Typed = Field(repr=False, description="What stands behind the `#` of the link.")
    password: Typed = Field(repr=False, description="The one to log in with from now on.")
    email: Email | None = Field(default=None, description="Only for the first admin's link: who they are.")
    name: UserName | None = Field(
        default=None, description="Only for the first admin's link: what they are called."
    )
    cookies: bool = InCookies

    def ask(self) -> FollowAsk:
        """What was typed."""
        return FollowAsk(self.token, self.password, self.email, self.name)


class PasswordChangeIn(Strict):
    """Another password for who is logged in."""

    current_password: Typed = Field(repr=False)
    password: Typed = Field(repr=False, description="The one to log in with from now on.")
    cookies: bool = InCookies

    def change(self) -> PasswordChange:
        """What was typed."""
        return PasswordChange(self.current_password, self.password)


class ForgotIn(Strict):
    """Whose password is to be set anew."""

    email: TypedEmail = Field(examples=["ada@example.com"])
    tenant_id: NamedTenant = DEFAULT_TENANT_ID


class ForgotOut(BaseModel):
    """The same answer for every address."""

    message: str = "If somebody has this address, a link is on its way to it. It counts for an hour, once."


class LogoutIn(Strict):
    """What ends."""

    everywhere: bool = Field(default=False, description="Every session of the user, not only this one.")


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


class CookiesOut(BaseModel):
    """What a login of a browser brings beside its cookies."""

    csrf_token: str = Field(
        description="Send it as `X-CSRF-Token` to change anything; also in `bursar_csrf`."
    )
    expires_in: int = Field(description="Seconds for which the session's cookie counts; then refresh it.")
    session_expires_at: datetime = Field(description="Then somebody has to log in again.")
    user: UserOut

    @classmethod
    def of(cls, issued: Issued, csrf_token: str) -> CookiesOut:
        """The login, without its tokens."""
        return cls(
            csrf_token=csrf_token,
            expires_in=issued.access_seconds,
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
    roles: list[RoleOfUser] = Field(description="Of a user; a key has none.")
    permissions: list[str] = Field(description="In all of the tenant.")
    within: dict[str, list[str]] = Field(description="What else in some projects, and in which.")
    sessions: list[SessionOut] = Field(description="Of a user: every session that counts.")

    @classmethod
    def of_key(cls, caller: Caller) -> MeOut:
        """A key, as it is shown to whoever holds it."""
        return cls(
            kind="operator" if caller.is_operator else "key",
            id=caller.key_id,
            tenant_id=caller.tenant_id,
            user=None,
            roles=[],
            permissions=sorted(caller.permissions),
            within=_within(caller),
            sessions=[],
        )

    @classmethod
    def of_user(
        cls, caller: Caller, user: User, bindings: Iterable[RoleBinding], sessions: Iterable[Session]
    ) -> MeOut:
        """A person, as they are shown to themselves; the bindings and sessions are theirs."""
        return cls(
            kind="user",
            id=user.id,
            tenant_id=user.tenant_id,
            user=UserOut.of(user),
            roles=roles_of(bindings),
            permissions=sorted(caller.permissions),
            within=_within(caller),
            sessions=[SessionOut.of(session) for session in sessions],
        )


def _within(caller: Caller) -> dict[str, list[str]]:
    return {permission: sorted(projects) for permission, projects in sorted(caller.within.items())}
