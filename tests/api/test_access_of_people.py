"""Every operation of the API, asked by people who have logged in: their roles decide, until their login ends.

What each operation must ask for is in `support/operations.py`, as for keys (`test_access_matrix.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bursar import clock
from bursar.identity.logins.access_token import AccessClaims, sign
from bursar.identity.permissions import IN_PROJECTS, OF_TENANTS, Permission
from bursar.identity.roles import BUILT_IN, RoleBinding
from bursar.identity.tenant import Project, TenantChange, TenantState
from bursar.identity.users.user import UserChange, UserState
from tests.support.matrix import ANY, DECLARED, EXPECTED, LET_IN, OPEN, WITHIN_TENANTS, asking, expected
from tests.support.people import a_person
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.people import Person
    from tests.support.serving import RunningServer

OURS, THEIRS, SUSPENDED = "ours", "theirs", "suspended"
LOGOUT = "POST /api/v1/auth/logout"
INGEST = {"POST /api/v1/events", "POST /api/v1/events/batch", "POST /api/v1/events/import"}
IN_PROJECTS_TOO = {
    "GET /api/v1/analytics/top",
    "GET /api/v1/analytics/trends",
    "GET /api/v1/cost/breakdown",
    "GET /api/v1/cost/summary",
    "GET /api/v1/events",
    "GET /api/v1/events/{event_id}",
    "GET /api/v1/events/{event_id}/explain",
    "GET /api/v1/events/{event_id}/history",
    "GET /api/v1/export",
    "GET /api/v1/keys/{key_id}/usage",
    "GET /api/v1/projects",
    "GET /api/v1/projects/{project_id}",
    "GET /api/v1/projects/{project_id}/quotas",
    "GET /api/v1/projects/{project_id}/retention",
    "GET /api/v1/unallocated",
    "GET /api/v1/unpriced",
    "GET /api/v1/usage",
    "POST /api/v1/query",
    *INGEST,
}
"""What somebody may ask who has its permission in some projects only; written down by hand."""


class People:
    """One person of each kind, logged in."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.known: dict[str, Person] = {f"role {name}": a_person(server, OURS, name) for name in BUILT_IN}
        self.known["no role"] = a_person(server, OURS, None)
        self.known["role taken"] = a_person(server, OURS, "owner")
        self.known["member of a project"] = self._in_a_project("member")
        self.known["of a suspended tenant"] = a_person(server, SUSPENDED, "owner")
        a_person(server, THEIRS)
        self.tokens = {name: self._token(person) for name, person in self.known.items()}
        self.ended = self._ended()
        [binding] = server.platform.identity.bindings(OURS, self.known["role taken"].user.id)
        server.platform.identity.unbind(binding)
        server.platform.identity.change_tenant(SUSPENDED, TenantChange(state=TenantState.SUSPENDED))
        server.platform.authenticator.forget()

    def token_for(self, name: str, operation: str) -> str:
        """The access token to ask an operation with; one of its own for what ends it."""
        return self._token(self.known[name]) if operation == LOGOUT else self.tokens[name]

    def _token(self, person: Person) -> str:
        return person.enter()

    def _in_a_project(self, role: str) -> Person:
        person = a_person(self.server, OURS, None)
        identity, now = self.server.platform.identity, clock.now()
        identity.add_project(Project("search", OURS, "Search", now))
        identity.bind(RoleBinding(OURS, person.user.id, role, "search", "tests", now))
        return person

    def _ended(self) -> dict[str, tuple[str, str]]:
        """Tokens that count no longer, and what is said of each."""
        logins, now = self.server.platform.logins, clock.now()
        people = {name: a_person(self.server, OURS, "owner") for name in ("expired", "out", "suspended")}
        tokens = {name: self._token(person) for name, person in people.items()}
        ids = {name: person.user.id for name, person in people.items()}
        session = logins.store.sessions(OURS, ids["expired"], now)[0]
        claims = AccessClaims(ids["expired"], session.id, now - timedelta(seconds=1))
        logins.log_out_everywhere(OURS, ids["out"], now)
        logins.users.change_user(OURS, ids["suspended"], UserChange(state=UserState.SUSPENDED), now)
        head, content, _ = tokens["expired"].split(".")
        return {
            "expired": (sign(logins.keys, claims, now - timedelta(minutes=15)), "expired_token"),
            "logged out everywhere": (tokens["out"], "session_ended"),
            "suspended": (tokens["suspended"], "session_ended"),
            "signed by somebody else": (f"{head}.{content}.{'A' * 43}", "bad_token"),
        }


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with running_server(tmp_path_factory.mktemp("people")) as house:
        yield People(house)


def asking_as(people: People, operation: str) -> Callable[..., str]:
    """Asks this operation as one of them."""
    asked = asking(people.server, operation)

    def ask(name: str, **params: str) -> str:
        return asked(people.token_for(name, operation), **params)

    return ask


def roles_and_what_they_grant() -> Mapping[str, frozenset[Permission]]:
    return {f"role {role.name}": role.permissions for role in BUILT_IN.values()}


@pytest.mark.parametrize("operation", DECLARED)
def test_a_login_that_ended_opens_nothing(people: People, operation: str) -> None:
    asked, is_open = asking(people.server, operation), EXPECTED[operation] == OPEN
    found = {name: asked(token) for name, (token, _) in people.ended.items()}
    assert found == {name: LET_IN if is_open else code for name, (_, code) in people.ended.items()}


@pytest.mark.parametrize("operation", DECLARED)
def test_every_role_gets_its_people_in_where_it_has_the_permission(people: People, operation: str) -> None:
    granted = {
        **roles_and_what_they_grant(),
        "no role": frozenset[Permission](),
        "role taken": frozenset[Permission](),
    }
    ask = asking_as(people, operation)
    found = {name: ask(name) for name in granted}
    assert found == {name: expected(EXPECTED[operation], may) for name, may in granted.items()}


@pytest.mark.parametrize("operation", DECLARED)
def test_a_role_in_a_project_gets_in_where_answers_keep_to_projects(people: People, operation: str) -> None:
    may = (
        BUILT_IN["member"].permissions & IN_PROJECTS
        if operation in IN_PROJECTS_TOO
        else frozenset[Permission]()
    )
    assert asking_as(people, operation)("member of a project") == expected(EXPECTED[operation], may)


@pytest.mark.parametrize("operation", WITHIN_TENANTS)
def test_nobody_acts_for_another_tenant(people: People, operation: str) -> None:
    ask = asking_as(people, operation)
    found = {ask("role owner", tenant_id=named) for named in (THEIRS, "no-such-tenant")}
    assert found == {"tenant_mismatch"}


@pytest.mark.parametrize("operation", DECLARED)
def test_people_of_a_suspended_tenant_send_no_usage_and_keep_the_rest(people: People, operation: str) -> None:
    found = asking_as(people, operation)("of a suspended tenant")
    assert found == ("tenant_suspended" if operation in INGEST else expected(EXPECTED[operation], OF_TENANTS))


def test_what_projects_limit_is_what_is_written_down_here() -> None:
    asked = {EXPECTED[operation] for operation in IN_PROJECTS_TOO}
    assert asked <= set(IN_PROJECTS)
    assert ANY not in asked
