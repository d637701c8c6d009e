"""Single sign-on without a provider: the cookie of a login, paths to return to, who comes in as what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bursar import clock
from bursar.errors import Invalid, SignOnFailed, SignOnRefused
from bursar.identity.logins.access_token import AccessClaims, SigningKeys, sign
from bursar.identity.sign_on.flow import (
    FLOW_FOR,
    begin_flow,
    open_flow,
    refuse_other_state,
    seal_flow,
)
from bursar.identity.sign_on.mapping import MappedRole, RoleMapping
from bursar.identity.sign_on.party import Entry
from bursar.identity.sign_on.person import lacks, read_person

NOW = clock.from_micros(1_800_000_000 * 1_000_000)
SECRET, OTHER = "a secret of these tests, long enough", "another secret of these tests"
KEYS = SigningKeys.of(SECRET)
SECOND = timedelta(seconds=1)

# ------------------------------------------------------------------------------------------ the cookie


def test_a_login_counts_for_ten_minutes_in_its_browser() -> None:
    flow = begin_flow("/docs", NOW)
    sealed = seal_flow(KEYS, flow)
    assert open_flow(KEYS, sealed, NOW + FLOW_FOR - SECOND) == flow
    for late in (NOW + FLOW_FOR, NOW - SECOND):
        with pytest.raises(SignOnFailed, match="too long ago"):
            open_flow(KEYS, sealed, late)


def test_no_two_logins_are_alike() -> None:
    flows = [begin_flow(None, NOW) for _ in range(50)]
    values = {value for flow in flows for value in (flow.state, flow.nonce, flow.verifier)}
    assert len(values) == 150
    assert all(43 <= len(flow.verifier) <= 128 for flow in flows)  # RFC 7636, 4.1


def test_a_cookie_that_was_changed_counts_for_nothing() -> None:
    sealed = seal_flow(KEYS, begin_flow(None, NOW))
    content, _, signature = sealed.partition(".")
    odd = [
        None,
        "",
        ".",
        content,
        f"{content}.",
        f".{signature}",
        f"A{sealed}",
        f"{sealed}0",
        sealed.upper(),
        f"{content}.\ud800é",
        "é" * 5000,
        f"{content}.{signature}.{signature}",
    ]
    for one in odd:
        with pytest.raises(SignOnFailed, match="begun no login"):
            open_flow(KEYS, one, NOW)


def test_a_cookie_of_another_secret_counts_for_nothing_and_of_the_previous_one_it_does() -> None:
    sealed = seal_flow(KEYS, begin_flow(None, NOW))
    with pytest.raises(SignOnFailed):
        open_flow(SigningKeys.of(OTHER), sealed, NOW)
    rotated = SigningKeys.of(OTHER, SECRET)
    assert open_flow(rotated, sealed, NOW)


def test_an_access_token_is_no_cookie_of_a_login() -> None:
    token = sign(KEYS, AccessClaims("usr_1", "ses_1", NOW + FLOW_FOR), NOW)
    with pytest.raises(SignOnFailed):
        open_flow(KEYS, token, NOW)


@pytest.mark.parametrize("state", [None, "", "another", "é", "\ud800"])
def test_another_state_is_refused(state: str | None) -> None:
    with pytest.raises(SignOnFailed, match="another login"):
        refuse_other_state(begin_flow(None, NOW), state)


@pytest.mark.parametrize("path", ["/", "/docs", "/a/b?c=d&e=%2F#f", "/a//b", "/@evil.com", "/[::1]"])
def test_paths_of_this_server_may_be_returned_to(path: str) -> None:
    assert begin_flow(path, NOW).next_path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "docs",
        "//evil.com",
        "///evil.com",
        "/\\evil.com",
        "\\\\evil.com",
        "/a\\b",
        "https://evil.com",
        "https:evil.com",
        "javascript:alert(1)",
        " /docs",
        "/docs ",
        "/\t/evil.com",
        "/\n/evil.com",
        "/docs\r\nset-cookie: a=b",
        "/é",
        "/\x00",
        "/" + "a" * 1024,
    ],
)
def test_an_open_redirect_is_refused(path: str) -> None:
    with pytest.raises(Invalid, match="path of this server"):
        begin_flow(path, NOW)


# ------------------------------------------------------------------------------------------ groups

MAPPING = RoleMapping(
    (
        ("finance", MappedRole("analyst")),
        ("finance", MappedRole("admin", "shop")),
        ("ops", MappedRole("owner")),
    ),
    default=None,
)


def test_groups_give_the_roles_that_the_mapping_names_and_no_others() -> None:
    assert MAPPING.roles_of(["finance"]) == {MappedRole("analyst"), MappedRole("admin", "shop")}
    assert MAPPING.roles_of(["finance", "ops"]) >= {MappedRole("owner")}
    assert MAPPING.roles_of(["Finance", "owner", "admin", ""]) == frozenset()


def test_the_default_is_for_those_whose_groups_give_nothing() -> None:
    mapping = RoleMapping(MAPPING.by_group, MappedRole("viewer"))
    assert mapping.roles_of([]) == {MappedRole("viewer")}
    assert mapping.roles_of(["ops"]) == {MappedRole("owner")}


# ------------------------------------------------------------------------------------------ people

CLAIMS: dict[str, Any] = {
    "iss": "https://login.example.com",
    "sub": "ada",
    "email": " Ada@Example.com ",
    "email_verified": True,
    "name": "Ada",
    "groups": ["finance", 7, None],
}
ENTRY = Entry("acme", MAPPING)


def test_a_person_is_who_the_provider_says() -> None:
    person = read_person(CLAIMS, ENTRY)
    assert (person.issuer, person.subject) == ("https://login.example.com", "ada")
    assert (person.email, person.name, person.groups) == ("ada@example.com", "Ada", {"finance"})


@pytest.mark.parametrize(
    ("claim", "groups", "found"),
    [
        ("groups", "finance", {"finance"}),
        ("groups", None, set[str]()),
        ("groups", {"finance": True}, set[str]()),
        ("https://example.com/groups", ["finance"], {"finance"}),
    ],
)
def test_groups_come_in_several_forms(claim: str, groups: object, found: set[str]) -> None:
    claims = {**{name: CLAIMS[name] for name in CLAIMS if name != "groups"}, claim: groups}
    assert read_person(claims, Entry("acme", MAPPING, groups_claim=claim)).groups == found


def test_groups_may_stand_inside_of_another_claim() -> None:
    claims = {**CLAIMS, "realm_access": {"roles": ["ops"]}}
    assert read_person(claims, Entry("acme", MAPPING, groups_claim="realm_access.roles")).groups == {"ops"}
    assert read_person(claims, Entry("acme", MAPPING, groups_claim="name.roles")).groups == frozenset()


@pytest.mark.parametrize("verified", [False, None, "false", 0, 1, "yes", [True]])
def test_an_unverified_address_is_refused(verified: object) -> None:
    with pytest.raises(SignOnRefused, match="not verified"):
        read_person({**CLAIMS, "email_verified": verified}, ENTRY)


def test_truth_may_be_written_as_a_text() -> None:
    assert read_person({**CLAIMS, "email_verified": "true"}, ENTRY)


@pytest.mark.parametrize(
    "email", [None, "", 7, "ada", "ada@\ud800.com", "\ud800@example.com", "a b@example.com"]
)
def test_what_is_no_address_is_refused(email: object) -> None:
    with pytest.raises(SignOnRefused, match="address"):
        read_person({**CLAIMS, "email": email}, ENTRY)


@pytest.mark.parametrize("subject", [None, "", 7, "a" * 256, "é", "a\x00b", "\ud800"])
def test_a_subject_that_cannot_be_kept_is_refused(subject: object) -> None:
    with pytest.raises(SignOnRefused, match="subject"):
        read_person({**CLAIMS, "sub": subject}, ENTRY)


def test_addresses_of_other_domains_are_refused() -> None:
    entry = Entry("acme", MAPPING, email_domains=("example.org",))
    with pytest.raises(SignOnRefused, match=r"example\.com"):
        read_person(CLAIMS, entry)
    for near in ("ada@sub.example.org", "ada@example.org.evil.com", "ada@notexample.org"):
        with pytest.raises(SignOnRefused):
            read_person({**CLAIMS, "email": near}, entry)
    assert read_person({**CLAIMS, "email": "ada@EXAMPLE.org"}, entry)


@pytest.mark.parametrize("name", [None, "", "  ", "a\nb", "x" * 500, "\ud800", 7])
def test_a_name_that_cannot_be_kept_is_left_out(name: object) -> None:
    assert read_person({**CLAIMS, "name": name}, ENTRY).name == "ada@example.com"


def test_more_is_asked_for_where_something_is_missing() -> None:
    assert not lacks(CLAIMS, ENTRY)
    for claim in ("email", "email_verified", "groups"):
        assert lacks({name: CLAIMS[name] for name in CLAIMS if name != claim}, ENTRY)
