"""Users over HTTP: `/api/v1/users`, below it a link for a new password, and logging somebody out everywhere.

Each is their tenant's own; another tenant's is as unknown as none. The rules are in `enrolment.py`, what
users do for themselves is in `identity/logins`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from bursar import clock
from bursar.identity.api import Asked, RetryKey, shown
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import ListOut
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.charged import ChargesToday, charges_seen_by, nothing_is_charged
from bursar.identity.permissions import Permission
from bursar.identity.tenant import ID_PATTERN
from bursar.identity.users.bodies import (
    ChargedMemberOut,
    EndedSessionsOut,
    EnrolledOut,
    HandedLinkOut,
    LinkIn,
    MemberOut,
    UserIn,
    UserPatch,
    change_of,
)
from bursar.identity.users.enrolment import Enrolment
from bursar.identity.users.roster import read_members

UserId = Annotated[str, Path(pattern=ID_PATTERN)]


@dataclass(frozen=True, slots=True)
class Reception:
    """What the endpoints work with."""

    enrolment: Enrolment
    end_sessions: Callable[[str, str, datetime], int]
    """Ends every session of a tenant's user; answers how many counted."""
    changed: Callable[[], None]
    """Called after each change that callers must feel."""
    charges: ChargesToday = nothing_is_charged
    """Knows who owns and bears whose usage today."""
    now: Callable[[], datetime] = clock.now


def make_router(reception: Reception, caller: Callable[[Permission], Callable[..., Any]]) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/users", tags=["identity"])
    writer = Depends(caller(Permission.USERS_WRITE))
    _add_reading(router, reception, Depends(caller(Permission.USERS_READ)))
    _add_making(router, reception, writer)
    _add_changes(router, reception, writer)
    _add_access(router, reception, writer)
    return router


def _add_reading(router: APIRouter, reception: Reception, reader: CallerDependency) -> None:
    enrolment = reception.enrolment

    @router.get("")
    def list_users(asked: Asked, caller: Caller = reader) -> ListOut[ChargedMemberOut]:
        """The tenant's users in order of creation, with their roles, and who owns and bears each today."""
        page = read_members(enrolment.users, enrolment.roles, caller.tenant_id, asked)
        charge_of = charges_seen_by(caller, "user", reception.charges)
        return shown(
            page, lambda one: ChargedMemberOut.charged(one.user, one.bindings, charge_of(one.user.id))
        )

    @router.get("/{user_id}")
    def get_user(user_id: UserId, caller: Caller = reader) -> ChargedMemberOut:
        """One user of the tenant, with their roles, and who owns and bears their usage today."""
        user = enrolment.users.user(caller.tenant_id, user_id)
        bindings = enrolment.roles.bindings(caller.tenant_id, user_id)
        charge_of = charges_seen_by(caller, "user", reception.charges)
        return ChargedMemberOut.charged(user, bindings, charge_of(user_id))


def _add_making(router: APIRouter, reception: Reception, writer: CallerDependency) -> None:
    enrolment = reception.enrolment

    @router.post("", status_code=HTTPStatus.CREATED)
    def create_user(body: UserIn, retry_key: RetryKey = None, caller: Caller = writer) -> EnrolledOut:
        """Make a user with roles; without a password they get a link to choose one, which counts once.

        The link is mailed where mail is set up; if that fails, or isn't, it is in the answer. With an
        `Idempotency-Key` a retry makes nobody: it is refused with 409, which names the first.
        """
        user, handed = enrolment.enrol_once(caller, body.ask(), reception.now(), retry_key)
        reception.changed()
        member = MemberOut.with_roles(user, enrolment.roles.bindings(user.tenant_id, user.id))
        invitation = None if handed is None else HandedLinkOut.of(handed)
        return EnrolledOut(**member.model_dump(), invitation=invitation)


def _add_changes(router: APIRouter, reception: Reception, writer: CallerDependency) -> None:
    enrolment = reception.enrolment

    @router.patch("/{user_id}")
    def change_user(user_id: UserId, body: UserPatch, caller: Caller = writer) -> MemberOut:
        """Change a user's name or address, suspend them or let them log in again.

        Counts at once in this process, within 5 seconds in others. Nobody who may do less than the user can,
        and nobody can suspend the last owner.
        """
        note_before({"state": enrolment.users.user(caller.tenant_id, user_id).state.value})
        user = enrolment.change(caller, user_id, change_of(body), reception.now())
        reception.changed()
        return MemberOut.with_roles(user, enrolment.roles.bindings(caller.tenant_id, user_id))

    @router.delete("/{user_id}", status_code=HTTPStatus.NO_CONTENT)
    def remove_user(user_id: UserId, caller: Caller = writer) -> None:
        """Forget a user: their sessions end, their roles and links go. Events keep their id."""
        bindings = enrolment.roles.bindings(caller.tenant_id, user_id)
        note_before({"roles": [{"role": one.role, "project_id": one.project_id} for one in bindings]})
        enrolment.remove(caller, user_id)
        reception.changed()


def _add_access(router: APIRouter, reception: Reception, writer: CallerDependency) -> None:
    enrolment = reception.enrolment

    @router.post("/{user_id}/link", status_code=HTTPStatus.CREATED)
    def hand_link(user_id: UserId, body: LinkIn | None = None, caller: Caller = writer) -> HandedLinkOut:
        """Give a user a link to set a password by: an invitation again, or a reset. It counts once.

        Links that they have count no longer; the password that they have does, until this one is followed.
        """
        mail = None if body is None else body.mail
        return HandedLinkOut.of(enrolment.hand_link(caller, user_id, reception.now(), by_mail=mail))

    @router.post("/{user_id}/logout")
    def log_user_out(user_id: UserId, caller: Caller = writer) -> EndedSessionsOut:
        """End every session of a user: at once in this process, within 5 seconds in others."""
        enrolment.within_reach(caller, user_id)
        ended = reception.end_sessions(caller.tenant_id, user_id, reception.now())
        reception.changed()
        return EndedSessionsOut(ended=ended)
