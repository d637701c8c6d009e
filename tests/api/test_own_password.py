"""People who change their own password: what counts afterwards, and every way in which it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar import clock
from bursar.identity.logins.attempts import FREE_ATTEMPTS
from bursar.identity.roles import RoleBinding
from tests.support.people import PASSWORD, Person, a_person, a_user

if TYPE_CHECKING:
    import httpx

    from tests.support.serving import RunningServer

CHANGE = "/api/v1/auth/password"
NEW = "another horse entirely"


@pytest.fixture
def ada(server: RunningServer) -> Person:
    """A viewer of the tenant `own-passwords`, each test's own."""
    return a_person(server, "own-passwords")


def changed(
    person: Person, token: str, current: str = PASSWORD, new: str = NEW, *, cookies: bool = False
) -> httpx.Response:
    body = {"current_password": current, "password": new, "cookies": cookies}
    return person.ask({"access_token": token}, "POST", CHANGE, json=body)


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(one["field"], one["code"]) for one in answer.json()["errors"]]


def test_a_new_password_ends_every_other_session(ada: Person) -> None:
    elsewhere, here = ada.enter(), ada.enter()
    answer = changed(ada, here)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    for token in (elsewhere, here):
        assert ada.ask({"access_token": token}, "GET", "/api/v1/auth/me").status_code == 401
    assert ada.ask(answer.json(), "GET", "/api/v1/auth/me").json()["user"]["id"] == ada.user.id
    login = "/api/v1/auth/login"
    assert ada.server.stranger.post(login, json=ada.credentials()).status_code == 401
    assert ada.server.stranger.post(login, json=ada.credentials(NEW)).status_code == 200


def test_a_browser_gets_the_next_cookies(ada: Person) -> None:
    answer = changed(ada, ada.enter(), cookies=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["csrf_token"]
    assert "access_token" not in answer.json()
    assert "bursar" in answer.headers["set-cookie"]


def test_everything_that_is_wrong_is_told_at_once_and_changes_nothing(ada: Person) -> None:
    token = ada.enter()
    told = faults(changed(ada, token, current="not the password", new="short"))
    assert told[0] == ("current_password", "wrong_password")
    assert {field for field, _ in told} == {"current_password", "password"}
    assert ada.log_in()["user"]["id"] == ada.user.id


def test_wrong_guesses_by_a_stolen_session_count_as_failed_logins(ada: Person) -> None:
    token = ada.enter()
    for _ in range(FREE_ATTEMPTS):
        assert faults(changed(ada, token, current="guess after guess")) == [
            ("current_password", "wrong_password")
        ]
    assert faults(changed(ada, token)) == [("current_password", "wrong_password")]


def test_the_audit_log_names_who_changed_theirs_and_no_password(ada: Person) -> None:
    assert changed(ada, ada.enter()).status_code == 200
    asked = {"act": "password.change", "tenant_id": "own-passwords"}
    listed = ada.server.client.get("/api/v1/audit", params=asked).raise_for_status().json()
    entry = next(one for one in listed["items"] if one["actor"]["id"] == ada.user.id)
    assert entry["outcome"] == "done"
    assert NEW not in str(listed)
    assert PASSWORD not in str(listed)


@pytest.mark.usefixtures("ada")
def test_who_has_no_password_is_told_how_to_get_one(server: RunningServer) -> None:
    user = a_user("own-passwords", "only-at-the-provider@example.com")
    server.platform.logins.users.add_user(
        user, (RoleBinding(user.tenant_id, user.id, "viewer", None, "tests", clock.now()),)
    )
    person = Person(server, user)
    assert faults(changed(person, person.enter())) == [("current_password", "no_password")]


def test_a_key_has_no_password(server: RunningServer) -> None:
    answer = server.client.post(CHANGE, json={"current_password": PASSWORD, "password": NEW})
    assert answer.status_code == 422
    assert "keys" in answer.json()["detail"]
