"""Ways in in the audit log: whose account was tried, from where, in whose chain, within bounds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from bursar.app.audited_acts import OPEN_ACTS
from bursar.app.audited_ways_in import BURST, SECONDS_PER_ENTRY, Knock, WaysIn
from bursar.identity.audit.deed import Deed, Origin, Outcome
from bursar.identity.audit.entry import PLATFORM
from bursar.identity.audit.noting import Account, Note
from bursar.identity.logins.attempts import FREE_ATTEMPTS
from tests.support.patience import wait_until
from tests.support.people import PASSWORD, Person, a_person

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

LOGIN, REFRESH = "/api/v1/auth/login", "/api/v1/auth/refresh"


@pytest.fixture
def ada(server: RunningServer, request: pytest.FixtureRequest) -> Person:
    """A viewer of a tenant of this test's own."""
    return a_person(server, f"t{abs(hash(request.node.name)) % 10**12}")


def entries(person: Person, **params: str) -> list[dict[str, Any]]:
    asked = {"tenant_id": person.user.tenant_id, **params}
    answer = person.server.client.get("/api/v1/audit", params=asked).raise_for_status()
    return list(answer.json()["items"])


def try_in(person: Person, password: str) -> None:
    person.server.stranger.post(LOGIN, json=person.credentials(password))


def test_who_gets_in_and_whose_account_was_tried_is_in_the_tenants_chain(ada: Person) -> None:
    try_in(ada, "a wrong word")
    wait_until(lambda: len(entries(ada)) == 1, "the refusal's entry")
    ada.log_in()
    done, failed = entries(ada)
    assert (done["act"], done["outcome"], done["actor"]["id"]) == ("login", "done", ada.user.id)
    assert (failed["act"], failed["outcome"], failed["reason"]) == ("login", "refused", "wrong_login")
    assert (failed["target"], failed["asked"]) == (ada.user.id, {"why": "wrong_password"})
    assert (failed["actor"]["kind"], failed["address"]) == ("anonymous", "127.0.0.1")
    said = str([done, failed])
    assert PASSWORD not in said
    assert "a wrong word" not in said


def test_who_gets_in_by_cookies_is_in_the_tenants_chain_with_where_from(ada: Person) -> None:
    page = {"origin": ada.server.url, "sec-fetch-site": "same-origin"}
    body = {**ada.credentials(PASSWORD), "cookies": True}
    ada.server.stranger.post(LOGIN, json=body, headers=page).raise_for_status()
    (done,) = entries(ada)
    assert (done["act"], done["outcome"], done["address"]) == ("login", "done", "127.0.0.1")
    assert (done["actor"]["kind"], done["actor"]["id"]) == ("user", ada.user.id)


def test_the_attempt_that_locks_an_account_is_an_entry_of_its_own_and_later_ones_are_not(ada: Person) -> None:
    for _ in range(FREE_ATTEMPTS + 3):
        try_in(ada, "a wrong word")
    wait_until(lambda: len(entries(ada, outcome="refused")) == FREE_ATTEMPTS, "the refusals' entries")
    found = entries(ada, outcome="refused")
    assert [one["act"] for one in found] == ["login.lockout", *["login"] * (FREE_ATTEMPTS - 1)]
    platform = ada.server.client.get("/api/v1/audit", params={"act": "login"}).json()["items"]
    assert {one["asked"]["why"] for one in platform if one["target"] == ada.user.id} == {"too_early"}


def test_a_refresh_token_that_comes_back_is_told_with_its_owner(ada: Person) -> None:
    body = {"refresh_token": ada.log_in()["refresh_token"]}
    statuses = [ada.server.stranger.post(REFRESH, json=body).status_code for _ in range(3)]
    assert statuses == [200, 401, 401]
    wait_until(lambda: bool(entries(ada, act="login.reuse")), "the theft's entry")
    (found,) = entries(ada, act="login.reuse")
    assert (found["target"], found["reason"]) == (ada.user.id, "session_ended")


def test_time_tells_nobody_whether_a_refused_login_has_an_entry(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, may_write = ada.server.platform.audit, threading.Event()
    record = audit.record

    def record_late(owner: str, deed: Deed) -> int:
        assert may_write.wait(60)
        return record(owner, deed)

    monkeypatch.setattr(audit, "record", record_late)
    try:
        answer = ada.server.stranger.post(LOGIN, json=ada.credentials("a wrong word"), timeout=20)
    finally:
        may_write.set()
    assert answer.status_code == 401
    wait_until(lambda: [one["target"] for one in entries(ada)] == [ada.user.id], "an entry")


def test_an_account_that_nobody_has_is_in_the_platforms_chain_without_what_was_typed(
    server: RunningServer,
) -> None:
    typed = {"email": "my-password-by-mistake@example.com", "password": "xyz", "tenant_id": "no-such-tenant"}
    assert server.stranger.post(LOGIN, json=typed).status_code == 401
    params = {"act": "login", "limit": 1}

    def newest() -> dict[str, Any]:
        return dict(server.client.get("/api/v1/audit", params=params).json()["items"][0])

    wait_until(lambda: newest()["asked"] is None, "the entry of an address that nobody has")
    assert (newest()["target"], newest()["reason"]) == (None, "wrong_login")
    assert "mistake" not in server.client.get("/api/v1/audit").text


def a_knock(account: Account | None = None) -> Knock:
    act, note = OPEN_ACTS["log_in"], Note(account=account)
    return Knock(act, Outcome.REFUSED, Origin(), "wrong_login", None, {}, note)


def test_a_flood_of_knocks_fills_no_log_and_hides_no_try_of_an_account() -> None:
    moment = [0.0]
    ways_in = WaysIn(monotonic=lambda: moment[0])
    told = [ways_in.entry(a_knock())[1] for _ in range(10 * BURST)]
    assert sum(one is not None for one in told) == BURST
    owner, deed = ways_in.entry(a_knock(Account("acme", "usr_1", "wrong_password", is_bounded=True)))
    assert (owner, deed and deed.target) == ("acme", "usr_1")
    moment[0] += SECONDS_PER_ENTRY
    owner, later = ways_in.entry(a_knock())
    assert owner == PLATFORM
    assert later is not None
    assert later.asked == {"without_entry_before": 9 * BURST}
    assert ways_in.entry(a_knock())[1] is None
