"""What clients send to and get from `/api/v1/users`: strict request bodies, and answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from bursar.identity.bodies import ChosenId, Strict
from bursar.identity.charged import Charge, ChargedOut
from bursar.identity.roles import ROLE_NAME
from bursar.identity.tenant import NAME_LIMIT
from bursar.identity.users.enrolment import Handed, RoleAsk, UserAsk
from bursar.identity.users.user import EMAIL_LIMIT, UserChange, UserState, normal_email

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.identity.roles import RoleBinding
    from bursar.identity.users.user import User

ROLES_LIMIT = 50
TYPED_LIMIT = 1024
"""Longest address, password or token that is looked at: hashing must cost the same for everybody."""

Typed = Annotated[str, Field(min_length=1, max_length=TYPED_LIMIT)]
# Rules judge what can be looked at (`user.py`, `passwords.py`): whoever types an unfit address, name and
# password hears of all three.
Email = Annotated[
    str,
    Field(max_length=TYPED_LIMIT, json_schema_extra={"maxLength": EMAIL_LIMIT}, examples=["ada@example.com"]),
]
UserName = Annotated[str, Field(max_length=TYPED_LIMIT, json_schema_extra={"maxLength": NAME_LIMIT})]


class RoleOfUser(Strict):
    """A role that somebody has, or is to have."""

    role: Annotated[str, Field(pattern=ROLE_NAME, examples=["analyst"])]
    project_id: ChosenId | None = Field(default=None, description="In the whole tenant if absent.")


class UserIn(Strict):
    """A user to make."""

    email: Email = Field(description="What they log in with; unique in the tenant.")
    name: UserName | None = Field(default=None, description="The address if absent.")
    roles: Annotated[list[RoleOfUser], Field(max_length=ROLES_LIMIT)] = Field(
        default=[], description="None grants more than the credential may do in the whole tenant."
    )
    password: Typed | None = Field(
        default=None, repr=False, description="If absent they choose one by following a link."
    )
    mail: bool | None = Field(
        default=None, description="Whether the link is mailed; if absent, it is where mail is set up."
    )

    def ask(self) -> UserAsk:
        """What is asked for."""
        roles = tuple(RoleAsk(one.role, one.project_id) for one in self.roles)
        name = self.email if self.name is None else self.name
        return UserAsk(self.email, name, roles, self.password, self.mail)


class UserPatch(Strict):
    """What to change of a user; null and absent leave a field as it is."""

    name: UserName | None = None
    email: Email | None = Field(default=None, description="Links to the address before count no longer.")
    state: UserState | None = Field(default=None, description="A suspended user's sessions end at once.")


class LinkIn(Strict):
    """How a link is handed over."""

    mail: bool | None = Field(
        default=None, description="Whether it is mailed; if absent, it is where mail is set up."
    )


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


class MemberOut(UserOut):
    """A person, and what roles they have."""

    roles: list[RoleOfUser]

    @classmethod
    def with_roles(cls, user: User, bindings: Iterable[RoleBinding]) -> MemberOut:
        """The user as they are shown to who manages users; the bindings are theirs."""
        return cls(**UserOut.of(user).model_dump(), roles=roles_of(bindings))


class ChargedMemberOut(ChargedOut, MemberOut):
    """A person, what roles they have, and who owns and bears their usage today."""

    @classmethod
    def charged(cls, user: User, bindings: Iterable[RoleBinding], to: Charge) -> ChargedMemberOut:
        """The user as they are shown to who reads."""
        member = MemberOut.with_roles(user, bindings).model_dump()
        return cls(**member, owner=to.owner, cost_centre=to.cost_centre)


class HandedLinkOut(BaseModel):
    """A link by which somebody sets their password, once."""

    mailed: bool
    link: str | None = Field(description="To hand over; null where it was mailed. It can't be shown again.")
    expires_at: datetime
    problem: str | None = Field(description="Why it was to be mailed and wasn't.")

    @classmethod
    def of(cls, handed: Handed) -> HandedLinkOut:
        """The link as it is shown."""
        return cls(
            mailed=handed.is_mailed,
            link=handed.address,
            expires_at=handed.expires_at,
            problem=handed.problem,
        )


class EnrolledOut(MemberOut):
    """A new user, and their link where they have no password."""

    invitation: HandedLinkOut | None


class EndedSessionsOut(BaseModel):
    """What was ended."""

    ended: int = Field(description="Sessions that counted until now.")


def roles_of(bindings: Iterable[RoleBinding]) -> list[RoleOfUser]:
    """A user's bindings as they are shown."""
    return [RoleOfUser(role=one.role, project_id=one.project_id) for one in bindings]


def change_of(body: UserPatch) -> UserChange:
    """What is to be changed."""
    email = None if body.email is None else normal_email(body.email)
    return UserChange(body.name, body.state, email)
