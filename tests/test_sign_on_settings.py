"""Settings of single sign-on: their forms, and what they must not say together."""

from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import ConfigurationError
from bursar.settings import Settings, load_settings
from bursar.settings.sign_on import GroupRole, RoleName

GIVEN = {
    "BURSAR_OIDC_ISSUER": "https://login.example.com/realm",
    "BURSAR_OIDC_CLIENT_ID": "bursar",
    "BURSAR_OIDC_ROLE_MAPPING": "finance=analyst",
}


def loaded(**more: str) -> Settings:
    return load_settings({**GIVEN, **{f"BURSAR_OIDC_{name.upper()}": value for name, value in more.items()}})


def test_a_mapping_is_read_as_people_write_it() -> None:
    written = " finance = analyst,/ops/on call=admin,cn=web=member@shop-1, 7f3=owner "
    assert loaded(role_mapping=written).oidc_role_mapping == (
        GroupRole("finance", RoleName("analyst")),
        GroupRole("/ops/on call", RoleName("admin")),
        GroupRole("cn=web", RoleName("member", "shop-1")),
        GroupRole("7f3", RoleName("owner")),
    )
    shown = loaded(role_mapping=written).shown()["oidc_role_mapping"]
    assert shown == "finance=analyst, /ops/on call=admin, cn=web=member@shop-1, 7f3=owner"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role_mapping", "finance"),
        ("role_mapping", "=admin"),
        ("role_mapping", "finance="),
        ("role_mapping", "finance=Admin"),
        ("role_mapping", "finance=admin@"),
        ("role_mapping", "finance=analyst;ops=admin"),
        ("default_role", "a b"),
        ("issuer", "login.example.com"),
        ("issuer", "http://login.example.com"),
        ("issuer", "https://login.example.com/?a=b"),
        ("issuer", "https://me:secret@login.example.com"),
        ("issuer", "https://"),
        ("scopes", "profile email"),
        ("scopes", 'openid "x"'),
        ("email_domains", "@example.com"),
        ("email_domains", "example.com/x"),
        ("tenant", "no tenant"),
        ("client_id", "two words"),
        ("client_secret", "short"),
    ],
)
def test_a_wrong_form_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"BURSAR_OIDC_{name.upper()}"):
        loaded(**{name: value})


def test_plain_http_is_for_this_machine_alone() -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert loaded(issuer=f"http://{host}:9000").oidc_issuer == f"http://{host}:9000"


def test_owner_is_nobodys_default() -> None:
    with pytest.raises(ConfigurationError, match="BURSAR_OIDC_DEFAULT_ROLE can't be owner"):
        loaded(default_role="owner")
    assert loaded(default_role="viewer").oidc_default_role == RoleName("viewer")


@pytest.mark.parametrize("missing", ["BURSAR_OIDC_CLIENT_ID", "BURSAR_OIDC_ROLE_MAPPING"])
def test_half_of_what_is_needed_is_refused(missing: str) -> None:
    given: dict[str, Any] = {name: GIVEN[name] for name in GIVEN if name != missing}
    with pytest.raises(ConfigurationError, match=missing):
        load_settings(given)


def test_the_secret_is_never_shown() -> None:
    settings = loaded(client_secret="a-secret-of-the-provider")
    assert settings.shown()["oidc_client_secret"] == "***"
    assert "a-secret" not in repr(settings)
    with pytest.raises(ConfigurationError) as refused:
        loaded(client_secret="a secret with spaces")
    assert "with spaces" not in str(refused.value)


def test_lists_are_written_with_commas_or_spaces() -> None:
    settings = loaded(scopes="openid email groups", email_domains="Example.com, example.org")
    assert settings.oidc_scopes == ("openid", "email", "groups")
    assert settings.oidc_email_domains == ("example.com", "example.org")
