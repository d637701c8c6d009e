"""Making users, inviting them, letting them go: the rules between the endpoints and what is kept.

Nobody gives out, or has power over, more than they may do themselves: whoever makes, invites, resets,
suspends or removes somebody holds in the whole tenant everything which that user holds anywhere in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from bursar import ids
from bursar.errors import Conflict, Invalid, MissingScope, Reason, Unavailable
from bursar.identity.permissions import Permission
from bursar.identity.retries import id_under, make_once, refuse_other, refuse_repeated
from bursar.identity.roles import RoleBinding, refuse_more_than_own
from bursar.identity.tenant import DEFAULT_TENANT_ID
from bursar.identity.users.letters import Letter, write_letter
from bursar.identity.users.links import Link, LinkKind, hash_link, make_link_secret, write_link
from bursar.identity.users.passwords import refuse_weak
from bursar.identity.users.user import (
    User,
    UserChange,
    UserState,
    faults_of,
    normal_email,
    refuse_unfit_change,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bursar.identity.caller import Caller
    from bursar.identity.role_store import RoleStore
    from bursar.identity.users.links import LinkStore
    from bursar.identity.users.passwords import Passwords
    from bursar.identity.users.store import UserStore

Post: TypeAlias = Callable[[Letter], None]
"""Sends a letter, or raises `Unavailable` with a sentence that says why it couldn't."""


@dataclass(frozen=True, slots=True)
class RoleAsk:
    """A role to give to a new user."""

    role: str
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class UserAsk:
    """A user to make."""

    email: str
    name: str
    roles: tuple[RoleAsk, ...] = ()
    password: str | None = field(default=None, repr=False)
    """None: they choose one by following a link."""
    by_mail: bool | None = None
    """Whether their link is mailed; None: where mail is set up."""
    user_id: str | None = None
    """Made up if None."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A link that was made, and where it went."""

    expires_at: datetime
    is_mailed: bool
    address: str | None = field(default=None, repr=False)
    """As it is followed, for whoever asked to hand it over; None where it was mailed."""
    problem: str | None = None
    """Why it was to be mailed and wasn't."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Makes users and their links; safe to use from any thread."""

    users: UserStore
    roles: RoleStore
    links: LinkStore
    passwords: Passwords
    base: str
    """Where links lead."""
    post: Post | None = None
    """None: no mail is set up."""

    def enrol(self, caller: Caller, ask: UserAsk, now: datetime) -> tuple[User, Handed | None]:
        """Make a user with their roles; without a password they get a link.

        Raises:
            Invalid: what is asked for can't be kept.
            MissingScope: a role grants what the caller lacks.
            NotFound: there is no such role or project.
            Conflict: the address is taken, or a link is to be mailed where no mail is set up.
        """
        tenant_id, email = caller.tenant_id, normal_email(ask.email)
        user = User(ask.user_id or ids.make_id("usr"), tenant_id, email, ask.name, now)
        _refuse_unfit(user, ask.password)
        self._refuse_no_mail(by_mail=ask.by_mail)
        for given in ask.roles:
            refuse_more_than_own(caller, self.roles.role(tenant_id, given.role))
        bindings = [
            RoleBinding(tenant_id, user.id, given.role, given.project_id, caller.key_id, now)
            for given in dict.fromkeys(ask.roles)
        ]
        if ask.password is None:
            self.users.add_user(user, bindings)
            return user, self._hand_out(caller, user, now, by_mail=ask.by_mail)
        with self.passwords.turn():
            kept = self.passwords.hash(ask.password)
        self.users.add_user(user, bindings, kept)
        return replace(user, has_password=True), None

    def enrol_once(
        self, caller: Caller, ask: UserAsk, now: datetime, retry_key: str | None
    ) -> tuple[User, Handed | None]:
        """Make a user as `enrol` does, if this `Idempotency-Key` has made nobody.

        Raises:
            Conflict: it has.
            Invalid, MissingScope, NotFound: as `enrol` says.
        """
        if retry_key is None:
            return self.enrol(caller, ask, now)
        tenant_id = caller.tenant_id
        user_id = id_under(retry_key, "usr", tenant_id)
        return make_once(
            lambda: self.users.user(tenant_id, user_id),
            lambda: self.enrol(caller, replace(ask, user_id=user_id), now),
            lambda made: self._refuse_again(made, ask),
        )

    def hand_link(self, caller: Caller, user_id: str, now: datetime, *, by_mail: bool | None) -> Handed:
        """Give a user a link to set a password by; those they have count no longer.

        Raises:
            NotFound: the tenant has no such user.
            MissingScope: they may do more than the caller.
            Conflict: they are suspended, or it is to be mailed where no mail is set up.
        """
        user = self.within_reach(caller, user_id)
        self._refuse_no_mail(by_mail=by_mail)
        if user.state is not UserState.ACTIVE:
            message = "This user is suspended; resume them first."
            raise Conflict(message, reasons=(Reason("state", "user_suspended", message),))
        return self._hand_out(caller, user, now, by_mail=by_mail)

    def invite_first_admin(self, now: datetime) -> str:
        """A link by which whoever follows it first becomes the owner of the default tenant.

        It counts while there is no user at all.
        """
        return self._keep(Link(DEFAULT_TENANT_ID, None, LinkKind.FIRST_ADMIN, now, "first start"))

    def change(self, caller: Caller, user_id: str, change: UserChange, now: datetime) -> User:
        """Change a user's name or address, suspend or resume them, give and take roles.

        Raises:
            Invalid: the name or the address can't be kept.
            NotFound: the tenant has no such user, or no such role.
            MissingScope: they may do more than the caller.
            Conflict: the address is taken, or nobody else owns the tenant.
        """
        refuse_unfit_change(change)
        self.within_reach(caller, user_id)
        return self.users.change_user(caller.tenant_id, user_id, change, now)

    def with_roles(
        self, caller: Caller, user_id: str, change: UserChange, roles: Sequence[str] | None, now: datetime
    ) -> UserChange:
        """The change, and with it that these are the user's roles in the whole tenant; None leaves them.

        Raises:
            MissingScope: the caller may give and take no roles, or one of them grants what the caller lacks.
            NotFound: there is no such role.
        """
        tenant_id = caller.tenant_id
        bound = self.roles.bindings(tenant_id, user_id)
        held = {one.role: one for one in bound if one.project_id is None}
        if roles is None or held.keys() == set(roles):
            return change
        caller.require(Permission.ROLES_WRITE)
        taken = [one for name, one in held.items() if name not in roles]
        given = [
            RoleBinding(tenant_id, user_id, name, None, caller.key_id, now)
            for name in dict.fromkeys(roles)
            if name not in held
        ]
        for one in (*given, *taken):
            refuse_more_than_own(caller, self.roles.role(tenant_id, one.role))
        return replace(change, gives=tuple(given), takes=tuple(taken))

    def remove(self, caller: Caller, user_id: str) -> None:
        """Forget a user.

        Raises:
            NotFound, MissingScope, Conflict: as `change` says.
        """
        self.within_reach(caller, user_id)
        self.users.remove_user(caller.tenant_id, user_id)

    def within_reach(self, caller: Caller, user_id: str) -> User:
        """The user, if they may do nothing that the caller may not.

        Raises:
            NotFound: the tenant has no such user.
            MissingScope: they may.
        """
        user = self.users.user(caller.tenant_id, user_id)
        granted = self.roles.granted(caller.tenant_id, user_id)
        missing = sorted((granted.permissions | granted.within.keys()) - caller.permissions)
        if missing:
            message = f"This user may do what the credential may not: {', '.join(missing)}."
            raise MissingScope(message)
        return user

    def _refuse_again(self, made: User, ask: UserAsk) -> NoReturn:
        """A retry that asks for a user who was made; the link was shown or mailed then."""
        bound = self.roles.bindings(made.tenant_id, made.id)
        held = {RoleAsk(one.role, one.project_id) for one in bound}
        is_same = (made.email, made.name, held) == (normal_email(ask.email), ask.name, set(ask.roles))
        refuse_other(made.id, is_same=is_same)
        refuse_repeated(made.id, "If a link was lost, ask for another one of this user.")

    def _refuse_no_mail(self, *, by_mail: bool | None) -> None:
        if by_mail and self.post is None:
            message = "No mail server is set up (BURSAR_SMTP_HOST); ask for the link itself."
            raise Conflict(message, reasons=(Reason("mail", "no_mail", message),))

    def _hand_out(self, caller: Caller, user: User, now: datetime, *, by_mail: bool | None) -> Handed:
        kind = LinkKind.RESET if user.has_password else LinkKind.INVITATION
        plain = Link(user.tenant_id, user.id, kind, now, caller.key_id)
        problem = None
        if self.post is not None and by_mail is not False:
            address = self._keep(plain)
            try:
                self.post(write_letter(user.email, plain, address))
            except Unavailable as error:
                problem = error.detail
            else:
                return Handed(plain.expires_at, is_mailed=True)
        # Whoever is shown the link may have the account by it, so it covers no more than they may do.
        shown = replace(plain, covers=caller.permissions)
        return Handed(shown.expires_at, is_mailed=False, address=self._keep(shown), problem=problem)

    def _keep(self, link: Link) -> str:
        secret = make_link_secret()
        self.links.add_link(link, hash_link(secret))
        return write_link(self.base, secret)


def _refuse_unfit(user: User, password: str | None) -> None:
    faults = faults_of(user)
    if password is not None:
        refuse_weak(password, user.email, user.name, beside=faults)
    elif faults:
        raise Invalid(reasons=faults)
