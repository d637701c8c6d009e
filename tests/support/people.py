"""People for tests: users with a password and a role, and what they get when they log in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from bursar import clock, ids
from bursar.identity.logins.access_token import AccessClaims, sign
from bursar.identity.logins.session import Session, hash_token, make_refresh_token
from bursar.identity.roles import RoleBinding
from bursar.identity.users.user import User

if TYPE_CHECKING:
    import httpx

    from bursar.identity.users.passwords import Passwords
    from tests.support.serving import RunningServer

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Person:
    """A user of a running server, and how to ask as them."""

    server: RunningServer
    user: User

    def credentials(self, password: str = PASSWORD) -> dict[str, str]:
        """What they type."""
        return {"email": self.user.email, "password": password, "tenant_id": self.user.tenant_id}

    def log_in(self) -> dict[str, Any]:
        """What a login brings."""
        answer = self.server.stranger.post("/api/v1/auth/login", json=self.credentials())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def enter(self) -> str:
        """The access token of a session that nobody had to type a password for."""
        logins, user, now = self.server.platform.logins, self.user, clock.now()
        session = Session(ids.make_id("ses"), user.tenant_id, user.id, now, now + logins.terms.session_for)
        logins.store.begin_session(session, hash_token(make_refresh_token()))
        return sign(logins.keys, AccessClaims(user.id, session.id, now + logins.terms.access_for), now)

    def ask(
        self,
        tokens: dict[str, Any],
        method: str,
        path: str,
        **more: Any,  # noqa: ANN401 - httpx's
    ) -> httpx.Response:
        """The answer to a request with the access token."""
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        return self.server.stranger.request(method, path, headers=headers, **more)


@cache
def hash_of(passwords: Passwords) -> str:
    """The password's hash: making one is meant to be slow, and one is as good as many here."""
    return passwords.hash(PASSWORD)


def a_user(tenant_id: str = "acme", email: str = "ada@example.com") -> User:
    """A user without a password."""
    return User(ids.make_id("usr"), tenant_id, email, "Ada", clock.now())


def a_person(server: RunningServer, tenant_id: str, role: str | None = "viewer") -> Person:
    """A user of this tenant, who is made if need be, with a password and a role in all of it."""
    server.client.post("/api/v1/tenants", json={"id": tenant_id})
    platform, now = server.platform, clock.now()
    user = a_user(tenant_id, f"{ids.make_id('p')}@example.com")
    logins = platform.logins
    logins.users.add_user(user)
    with logins.passwords.turn():
        logins.users.set_password(tenant_id, user.id, hash_of(logins.passwords), now)
    if role is not None:
        platform.identity.bind(RoleBinding(tenant_id, user.id, role, None, "tests", now))
    return Person(server, user)
