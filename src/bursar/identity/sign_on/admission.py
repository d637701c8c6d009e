"""Letting in whoever the provider has vouched for: their user, their roles, their session.

A user is found by issuer and subject. An address alone lets nobody in as somebody who exists, unless the
operator has chosen that, and then only as a user who is nobody else there. Roles that came from groups follow
them at each login, also when the login is refused because none is left.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from bursar import ids
from bursar.errors import BursarError, Conflict, NotFound, SignOnRefused, WrongLogin
from bursar.identity.audit.deed import SYSTEM, Actor, Deed, Outcome
from bursar.identity.sign_on.store import ProviderLink
from bursar.identity.users.user import User, UserState

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from datetime import datetime

    from bursar.identity.logins.logins import Logins
    from bursar.identity.logins.session import Issued, Origin
    from bursar.identity.sign_on.mapping import MappedRole
    from bursar.identity.sign_on.party import Entry
    from bursar.identity.sign_on.person import Person
    from bursar.identity.sign_on.store import ProviderLinkStore, RolesMoved

SIGN_ON = Actor(SYSTEM, "oidc")
"""Who makes users and moves roles when somebody logs in from a provider."""
_SUSPENDED = "This user is suspended."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Admission:
    """Lets people in; safe to use from any thread."""

    entry: Entry
    links: ProviderLinkStore
    logins: Logins
    record: Callable[[str, Deed], int]
    """Writes a deed into a tenant's audit log; what can't be written isn't done."""

    def admit(self, person: Person, origin: Origin, now: datetime) -> Issued:
        """Begin a session for this person.

        Raises:
            SignOnRefused: no role is left for them, they are suspended, or their address is taken.
            Unavailable: the audit log doesn't answer.
        """
        try:
            user, roles = self._enter(person, now)
            if not roles:
                message = "None of your groups at the provider has a role here."
                raise SignOnRefused(message)
            return self.logins.begin(user or self._newcomer(person, roles, now), origin, now)
        except WrongLogin as error:
            raise SignOnRefused(_SUSPENDED) from error
        except NotFound as error:
            log.error("single sign-on leads nowhere", tenant=self.entry.tenant_id, error=error.detail)  # noqa: TRY400 - no fault of the program
            raise SignOnRefused("What single sign-on leads to here doesn't exist.") from error

    def _enter(self, person: Person, now: datetime) -> tuple[User | None, frozenset[MappedRole]]:
        """Their user if they have been here before, and which roles they have by their groups now."""
        roles = self.entry.mapping.roles_of(person.groups)
        user = self.links.linked_user(self.entry.tenant_id, person.issuer, person.subject)
        if user is None:
            return None, roles
        if user.state is not UserState.ACTIVE:
            raise SignOnRefused(_SUSPENDED)
        return user, self._move_roles(user, roles, now)

    def _newcomer(self, person: Person, roles: frozenset[MappedRole], now: datetime) -> User:
        """Their user, made or linked, with these roles."""
        known = self.logins.users.kept_login(self.entry.tenant_id, person.email)
        user = self._make(person, now) if known is None else self._link(person, known.user, now)
        if not self._move_roles(user, roles, now):
            message = "The roles of your groups don't exist here."
            raise SignOnRefused(message)
        return user

    def _link(self, person: Person, user: User, now: datetime) -> User:
        """A user who was made here, known by this subject from now on."""
        if not self.entry.links_by_email:
            raise SignOnRefused(
                "There is a user with your address already, who isn't linked to the provider. Ask an"
                " administrator."
            )
        if user.state is not UserState.ACTIVE:
            raise SignOnRefused(_SUSPENDED)
        with self._recorded("user.link", user, {"issuer": person.issuer}):
            try:
                self.links.link(_link_of(person, user, now))
            except Conflict as error:
                message = "The user with your address is somebody else at the provider."
                raise SignOnRefused(message) from error
        self.logins.people.forget()
        return replace(user, has_password=False)

    def _make(self, person: Person, now: datetime) -> User:
        user = User(ids.make_id("usr"), self.entry.tenant_id, person.email, person.name, now)
        try:
            with self._recorded("user.create", user, {"issuer": person.issuer}):
                self.links.add_linked_user(user, _link_of(person, user, now))
        except Conflict as error:
            # They log in twice at this moment.
            found = self.links.linked_user(user.tenant_id, person.issuer, person.subject)
            if found is None:
                message = "Somebody with your address was added a moment ago; try again."
                raise SignOnRefused(message) from error
            return found
        return user

    def _move_roles(self, user: User, roles: frozenset[MappedRole], now: datetime) -> frozenset[MappedRole]:
        """Follow the groups; answers the roles that exist."""
        moves = self.links.compare_roles(user.tenant_id, user.id, roles)
        if moves.unknown:
            log.warning("groups give roles that don't exist", roles=[*map(_shown, moves.unknown)])
        if moves.given or moves.taken:
            with self._recorded("user.follow_groups", user, _shown_moves(moves)):
                self.links.follow_groups(user.tenant_id, user.id, roles, now)
            # Sessions that they have elsewhere must feel it too.
            self.logins.people.forget()
        return roles - frozenset(moves.unknown)

    @contextmanager
    def _recorded(self, word: str, user: User, what: Mapping[str, object]) -> Generator[None]:
        """Announce an act before it is done, and conclude it."""

        def tell(outcome: Outcome, begun: int | None = None) -> int:
            deed = Deed(word, outcome, SIGN_ON, target=user.id, asked=what, begun=begun)
            return self.record(user.tenant_id, deed)

        number = tell(Outcome.BEGUN)
        try:
            yield
        except BursarError:
            tell(Outcome.REFUSED, number)
            raise
        tell(Outcome.DONE, number)


def _link_of(person: Person, user: User, now: datetime) -> ProviderLink:
    return ProviderLink(user.tenant_id, person.issuer, person.subject, user.id, now)


def _shown_moves(moved: RolesMoved) -> dict[str, list[str]]:
    return {"given": [*map(_shown, moved.given)], "taken": [*map(_shown, moved.taken)]}


def _shown(role: MappedRole) -> str:
    return role.role if role.project_id is None else f"{role.role}@{role.project_id}"
