"""Users in the words of ReskPoints' clients: `/api/v1/auth/users`, beside `/api/v1/users`.

Another path to the same people by the same rules (`enrolment.py`), with fewer words: `username` is the
address that they log in with, `full_name` their name, `is_active` their state, and `roles` are the names of
the roles that they have in the whole tenant. Roles in single projects stand below `/api/v1/users` alone;
nothing here changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from bursar.errors import Invalid
from bursar.identity.api import Asked, RetryKey, shown
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import ListOut, Strict
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.permissions import Permission
from bursar.identity.roles import ROLE_NAME
from bursar.identity.users.api import Reception, UserId
from bursar.identity.users.bodies import ROLES_LIMIT, Email, HandedLinkOut, Typed, UserName
from bursar.identity.users.enrolment import RoleAsk, UserAsk
from bursar.identity.users.roster import read_members
from bursar.identity.users.user import UserChange, UserState, normal_email

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.identity.roles import RoleBinding
    from bursar.identity.users.user import User

RoleWords = Annotated[
    list[Annotated[str, Field(pattern=ROLE_NAME, examples=["analyst"])]], Field(max_length=ROLES_LIMIT)
]


class NewAccountIn(Strict):
    """A user to make."""

    email: Email = Field(description="What they log in with; unique in the tenant.")
    username: Email | None = Field(default=None, description="The address again, if it is sent at all.")
    password: Typed | None = Field(
        default=None, repr=False, description="If absent they choose one by following a link."
    )
    full_name: UserName | None = Field(default=None, description="The address if absent.")
    roles: RoleWords = Field(default=[], description="In the whole tenant.")

    def ask(self) -> UserAsk:
        """What is asked for."""
        name = self.email if self.full_name is None else self.full_name
        return UserAsk(self.email, name, tuple(map(RoleAsk, self.roles)), self.password)

    @field_validator("username")
    @classmethod
    def _is_the_address(cls, username: str | None, info: ValidationInfo) -> str | None:
        email = info.data.get("email")
        if username is not None and email is not None and normal_email(username) != normal_email(email):
            message = "must be the same as 'email', which is what people log in with, or be left out"
            raise PydanticCustomError("other_than_email", message)
        return username


class AccountPut(Strict):
    """What to change of a user; null and absent leave a field as it is."""

    email: Email | None = Field(default=None, description="Links to the address before count no longer.")
    full_name: UserName | None = None
    is_active: bool | None = Field(default=None, description="False: suspended, every session ends at once.")
    roles: RoleWords | None = Field(
        default=None,
        description="All that they have in the whole tenant from now on. A change needs `roles:write` too.",
    )

    def change(self) -> UserChange:
        """What is to be changed, but for roles."""
        state = {None: None, True: UserState.ACTIVE, False: UserState.SUSPENDED}[self.is_active]
        return UserChange(self.full_name, state, None if self.email is None else normal_email(self.email))


class AccountOut(BaseModel):
    """A user, as ReskPoints' clients know them."""

    id: str
    tenant_id: str
    username: str = Field(description="The address.")
    email: str
    full_name: str
    is_active: bool
    roles: list[str] = Field(description="In the whole tenant; `/api/v1/users` has those in projects too.")
    created_at: datetime
    last_login_at: datetime | None

    @classmethod
    def of(cls, user: User, bindings: Iterable[RoleBinding]) -> AccountOut:
        """The user as they are shown; the bindings are theirs."""
        return cls(
            id=user.id,
            tenant_id=user.tenant_id,
            username=user.email,
            email=user.email,
            full_name=user.name,
            is_active=user.state is UserState.ACTIVE,
            roles=[one.role for one in bindings if one.project_id is None],
            created_at=user.created_at,
            last_login_at=user.last_login_at,
        )


class NewAccountOut(AccountOut):
    """A new user, and their link where they have no password."""

    invitation: HandedLinkOut | None


def make_router(reception: Reception, caller: Callable[[Permission], Callable[..., Any]]) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/auth/users", tags=["identity"])
    _add_reading(router, reception, Depends(caller(Permission.USERS_READ)))
    _add_writing(router, reception, Depends(caller(Permission.USERS_WRITE)))
    return router


def _add_reading(router: APIRouter, reception: Reception, reader: CallerDependency) -> None:
    enrolment = reception.enrolment

    @router.get("")
    def list_accounts(asked: Asked, caller: Caller = reader) -> ListOut[AccountOut]:
        """The tenant's users in order of creation, as `/api/v1/users` lists them, in ReskPoints' words."""
        page = read_members(enrolment.users, enrolment.roles, caller.tenant_id, asked)
        return shown(page, lambda one: AccountOut.of(one.user, one.bindings))

    @router.get("/{user_id}")
    def get_account(user_id: UserId, caller: Caller = reader) -> AccountOut:
        """One user of the tenant, in ReskPoints' words."""
        user = enrolment.users.user(caller.tenant_id, user_id)
        return AccountOut.of(user, enrolment.roles.bindings(caller.tenant_id, user_id))


def _add_writing(router: APIRouter, reception: Reception, writer: CallerDependency) -> None:
    enrolment = reception.enrolment

    @router.post("", status_code=HTTPStatus.CREATED)
    def create_account(
        body: NewAccountIn, retry_key: RetryKey = None, caller: Caller = writer
    ) -> NewAccountOut:
        """Make a user, as `POST /api/v1/users` does, in ReskPoints' words."""
        with _in_these_words():
            user, handed = enrolment.enrol_once(caller, body.ask(), reception.now(), retry_key)
        reception.changed()
        account = AccountOut.of(user, enrolment.roles.bindings(user.tenant_id, user.id))
        invitation = None if handed is None else HandedLinkOut.of(handed)
        return NewAccountOut(**account.model_dump(), invitation=invitation)

    @router.put("/{user_id}")
    def change_account(user_id: UserId, body: AccountPut, caller: Caller = writer) -> AccountOut:
        """Change a user, as `PATCH /api/v1/users/{user_id}` does, and their roles; all of it or nothing.

        Nobody who may do less than the user can, and the last owner stays one. `roles` are those in the whole
        tenant; those in projects stay.
        """
        tenant_id = caller.tenant_id
        before = enrolment.users.user(tenant_id, user_id)
        held = enrolment.roles.bindings(tenant_id, user_id)
        note_before({"state": before.state.value, "roles": AccountOut.of(before, held).roles})
        change = enrolment.with_roles(caller, user_id, body.change(), body.roles, reception.now())
        with _in_these_words():
            user = enrolment.change(caller, user_id, change, reception.now())
        reception.changed()
        return AccountOut.of(user, enrolment.roles.bindings(tenant_id, user_id))


@contextmanager
def _in_these_words() -> Generator[None]:
    """Tell of faults by the names of fields that were sent."""
    try:
        yield
    except Invalid as error:
        names = {"name": "full_name"}
        reasons = tuple(replace(one, field=names.get(one.field, one.field)) for one in error.reasons)
        raise Invalid(reasons=reasons) from error
