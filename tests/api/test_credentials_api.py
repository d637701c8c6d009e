"""Credentials over HTTP: they go in, and come out by `reveal` alone; the operator's keys that seal them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bursar.app.backup import STATE
from bursar.app.build import build_platform
from bursar.errors import ConfigurationError, Conflict, Invalid, NotFound, SecretUnreadable
from bursar.identity.credentials.master_keys import new_key_text, read_keys
from bursar.settings import load_settings
from bursar.storage.relational.dump import dump_state
from tests.support import access
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx
    from structlog.typing import EventDict

    from tests.support.serving import RunningServer

PATH = "/api/v1/credentials"
SECRETS = "/api/v1/secrets"
SECRET = "sk-admin-" + "Zq7Kx0Wm3Tj9Ln4Vb8Yc"
BODY = {"provider": "openai", "name": "admin", "secret": SECRET}
KEY = new_key_text()
KEY_ID = read_keys(KEY, "here")[0].id


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data"), encryption_key=KEY) as running:
        yield running


class Tenant(access.Tenant):
    """A tenant, and what the tests here ask of it."""

    def ask(self, method: str, path: str = PATH, key: str = "admin", **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        return super().ask(method, path, key, **more)

    def entrust(self, **other: str) -> Any:  # noqa: ANN401 - JSON
        answer = self.ask("POST", json=BODY | other)
        assert answer.status_code == 201, answer.text
        return answer.json()


def test_an_entrusted_secret_is_masked_in_every_answer_and_revealed_for_a_purpose(
    server: RunningServer,
) -> None:
    tenant = Tenant(server, "entrusts")
    made = tenant.entrust()
    expected = {
        "provider": "openai",
        "name": "admin",
        "masked": "********b8Yc",
        "state": "usable",
        "key_id": KEY_ID,
        "last_used_at": None,
    }
    assert made == made | expected
    assert made["created_by"].startswith("key_")
    one = f"{PATH}/{made['id']}"
    assert tenant.ask("GET", one).json() == made
    assert tenant.ask("GET").json()["items"] == [made]
    vault = server.platform.vault
    assert vault.reveal(tenant.name, made["id"], "collecting costs").get_secret_value() == SECRET
    used = tenant.ask("GET", one).json()
    assert used["last_used_for"] == "collecting costs"
    assert used["last_used_at"] is not None
    assert SECRET not in repr(vault.reveal(tenant.name, made["id"], "a test"))
    entries = tenant.ask("GET", "/api/v1/audit").json()["items"]
    acts = sorted(entry["act"] for entry in entries if entry.get("outcome") == "done")
    assert [act for act in acts if act.startswith("credential")] == [
        "credential.create",
        *["credential.use"] * 2,
    ]
    assert "collecting costs" in str(entries)
    assert SECRET not in str(entries)


def test_a_secret_is_replaced_and_revoked_and_both_are_told_with_who_and_when(server: RunningServer) -> None:
    tenant = Tenant(server, "replaces")
    made = tenant.entrust()
    one = f"{PATH}/{made['id']}"
    replaced = tenant.ask("PUT", f"{one}/secret", json={"secret": "short"}).json()
    assert (replaced["masked"], replaced["replaced_by"]) == ("********", made["created_by"])
    vault = server.platform.vault
    assert vault.reveal(tenant.name, made["id"], "a test").get_secret_value() == "short"
    revoked = tenant.ask("DELETE", one).json()
    assert (revoked["state"], revoked["key_id"], revoked["revoked_by"]) == (
        "revoked",
        None,
        made["created_by"],
    )
    assert tenant.ask("DELETE", one).json() == revoked
    late = tenant.ask("PUT", f"{one}/secret", json={"secret": SECRET})
    assert (late.status_code, late.json()["errors"][0]["code"]) == (409, "credential_revoked")
    with pytest.raises(Conflict, match="revoked"):
        vault.reveal(tenant.name, made["id"], "a test")
    assert tenant.entrust()["id"] != made["id"]


def test_what_is_wrong_is_refused_with_every_reason_and_without_the_secret(server: RunningServer) -> None:
    tenant = Tenant(server, "errs")
    wrong: list[tuple[Any, int]] = [
        ({"provider": "Open AI", "name": " ", "secret": SECRET * 1_000}, 422),
        (BODY | {"secret": "  \n"}, 422),
        (BODY | {"secret": 7}, 422),
        (BODY | {"secret": [SECRET]}, 422),
        (BODY | {"typo": SECRET}, 422),
        ({"provider": "openai", "name": "admin"}, 422),
        (BODY | {"tenant_id": "entrusts"}, 403),
    ]
    for body, status in wrong:
        refused = tenant.ask("POST", json=body)
        assert (refused.status_code, SECRET in refused.text) == (status, False), refused.text
    many = tenant.ask("POST", json=wrong[0][0]).json()
    assert [one["field"] for one in many["errors"]] == ["provider", "name", "secret"]
    half = tenant.ask(
        "POST", content=json.dumps(BODY | {"secret": "\ud800"}), headers={"Content-Type": "application/json"}
    )
    assert half.status_code == 422, half.text
    broken = tenant.ask(
        "POST", content=f'{{"secret": "{SECRET}"', headers={"Content-Type": "application/json"}
    )
    assert (broken.status_code, SECRET in broken.text) == (400, False)
    assert tenant.ask("GET").json()["items"] == []
    tenant.entrust()
    again = tenant.ask("POST", json=BODY)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (409, "credential_exists")
    assert SECRET not in again.text
    with pytest.raises(Invalid):
        server.platform.vault.reveal(tenant.name, "crd_1", "")


def test_another_tenants_credential_is_as_unknown_as_one_that_is_not_there(server: RunningServer) -> None:
    owner, other = Tenant(server, "owner"), Tenant(server, "stranger")
    made = owner.entrust()
    for name in (made["id"], "crd_none"):
        answers = [
            other.ask("GET", f"{PATH}/{name}"),
            other.ask("DELETE", f"{PATH}/{name}"),
            other.ask("PUT", f"{PATH}/{name}/secret", json={"secret": SECRET}),
        ]
        assert [answer.status_code for answer in answers] == [404] * 3
        assert {answer.json()["detail"] for answer in answers} == {f"There is no credential '{name}'."}
        with pytest.raises(NotFound):
            server.platform.vault.reveal(other.name, name, "a test")
    assert other.ask("GET").json()["items"] == []
    assert owner.ask("GET", f"{PATH}/{made['id']}").json() == made


def test_each_endpoint_needs_its_permission(server: RunningServer) -> None:
    tenant = Tenant(server, "scopes")
    made = tenant.entrust()
    one = f"{PATH}/{made['id']}"
    asked = [("GET", PATH), ("GET", one), ("POST", PATH), ("PUT", f"{one}/secret"), ("DELETE", one)]
    for scope in ("read", "ingest"):
        assert [tenant.ask(*each, scope).status_code for each in asked] == [403] * 5
    body = {"label": "auditor", "scopes": ["secrets:read"]}
    tenant.keys["auditor"] = tenant.ask("POST", "/api/v1/keys", json=body).json()["key"]
    assert [tenant.ask(*each, "auditor").status_code for each in asked] == [200, 200, 403, 403, 403]
    for method, path in (("GET", "keys"), ("POST", "check"), ("POST", "rotate")):
        assert tenant.ask(method, f"{SECRETS}/{path}").status_code == 403
        assert server.stranger.request(method, f"{SECRETS}/{path}").status_code == 401


def test_no_log_line_and_no_dump_holds_a_secret_or_a_key(
    server: RunningServer, logged: list[EventDict], tmp_path: Path
) -> None:
    import zstandard  # noqa: PLC0415 - only here

    tenant = Tenant(server, "logs")
    made = tenant.entrust()
    tenant.ask("POST", json=BODY)
    tenant.ask("PUT", f"{PATH}/{made['id']}/secret", json={"secret": SECRET + "2"})
    server.platform.vault.reveal(tenant.name, made["id"], "a test")
    assert "a credential was made" in {line["event"] for line in logged}
    assert "a credential was used" in {line["event"] for line in logged}
    dump_state(server.platform.engine, tmp_path / STATE)
    with (tmp_path / STATE).open("rb") as file:
        dumped = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    assert made["id"] in dumped
    files = [path for path in server.platform.folder.path.rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    for hidden in (SECRET, KEY):
        assert hidden not in str(logged)
        assert hidden not in dumped
        assert hidden.encode() not in kept


def test_the_api_document_has_no_answer_with_a_secret(server: RunningServer) -> None:
    document = server.client.get("/openapi.json").json()
    shapes = document["components"]["schemas"]
    with_secret = {name for name, shape in shapes.items() if "secret" in shape.get("properties", {})}
    assert with_secret == {"CredentialIn", "SecretIn"}
    secret = shapes["CredentialIn"]["properties"]["secret"]
    assert (secret["writeOnly"], secret["format"]) == (True, "password")
    assert "example" not in secret
    assert "examples" not in secret


def test_a_rotation_seals_everything_anew_and_the_old_key_can_be_dropped(tmp_path: Path) -> None:
    old, new = new_key_text(), new_key_text()
    old_id, new_id = (read_keys(text, "here")[0].id for text in (old, new))
    with running_server(tmp_path / "data", encryption_key=old) as server:
        tenants = [Tenant(server, name) for name in ("one", "two")]
        made = [tenant.entrust(name=str(number)) for number in range(3) for tenant in tenants]
        tenants[0].ask("DELETE", f"{PATH}/{made[0]['id']}")
    with running_server(tmp_path / "data", encryption_key=f"{new},{old}") as server:
        shown = {"key_id": new_id, "seals_new": True, "is_at_hand": True, "secrets": 0}
        before = [shown, {"key_id": old_id, "seals_new": False, "is_at_hand": True, "secrets": 5}]
        assert server.client.get(f"{SECRETS}/keys").json()["items"] == before
        done = server.client.post(f"{SECRETS}/rotate").json()
        assert done == {"key_id": new_id, "rotated": 5, "left": 0}
        assert server.client.post(f"{SECRETS}/rotate").json()["rotated"] == 0
    with running_server(tmp_path / "data", encryption_key=new) as server:
        assert server.client.get(f"{SECRETS}/keys").json()["items"] == [shown | {"secrets": 5}]
        assert server.client.post(f"{SECRETS}/check").json() == {"checked": 5, "unreadable": []}
        revealed = server.platform.vault.reveal("two", made[1]["id"], "a test")
        assert revealed.get_secret_value() == SECRET


def test_without_its_key_a_secret_stays_shut_and_everything_says_which_key_is_missing(
    tmp_path: Path, logged: list[EventDict]
) -> None:
    first, second = new_key_text(), new_key_text()
    first_id = read_keys(first, "here")[0].id
    with running_server(tmp_path / "data", encryption_key=first) as server:
        tenant = Tenant(server, "acme")
        made = tenant.entrust()
    for chosen in (second, None):
        with running_server(tmp_path / "data", encryption_key=chosen) as server:
            assert any(first_id in str(line) for line in logged)
            with pytest.raises(SecretUnreadable, match=first_id):
                server.platform.vault.reveal("acme", made["id"], "a test")
            checked = server.client.post(f"{SECRETS}/check").json()
            assert [one["credential_id"] for one in checked["unreadable"]] == [made["id"]]
            refused = server.client.post(f"{SECRETS}/rotate")
            assert (refused.status_code, refused.json()["code"]) == (409, "secret_unreadable")
            assert first_id in refused.json()["detail"]
            keys = server.client.get(f"{SECRETS}/keys").json()["items"]
            assert keys[-1] == {"key_id": first_id, "seals_new": False, "is_at_hand": False, "secrets": 1}
            again = server.client.post(PATH, json=BODY | {"tenant_id": "acme", "name": "second"})
            # A key that nobody chose isn't made beside secrets that it doesn't open.
            assert again.status_code == (201 if chosen else 409), again.text
            if chosen:
                server.client.delete(f"{PATH}/{again.json()['id']}", params={"tenant_id": "acme"})


def test_the_first_secret_makes_a_key_for_the_owner_alone_where_none_is_chosen(tmp_path: Path) -> None:
    key = tmp_path / "data/encryption.key"
    with running_server(tmp_path / "data") as server:
        assert server.client.get(f"{SECRETS}/keys").json()["items"] == []
        assert not key.exists()
        made = server.client.post(PATH, json=BODY).json()
        assert key.stat().st_mode & 0o777 == 0o600
        assert read_keys(key.read_text(), "here")[0].id == made["key_id"]
    with running_server(tmp_path / "data") as server:
        assert server.platform.vault.reveal("default", made["id"], "a test").get_secret_value() == SECRET
    with running_server(tmp_path / "data", encryption_key=KEY) as server:
        assert server.client.post(f"{SECRETS}/rotate").json()["rotated"] == 1
    key.unlink()
    with running_server(tmp_path / "data", encryption_key=KEY) as server:
        assert server.client.post(f"{SECRETS}/check").json()["unreadable"] == []


def test_production_keeps_no_secret_before_a_key_is_chosen(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", environment="production") as server:
        refused = server.client.post(PATH, json=BODY)
        assert (refused.status_code, refused.json()["code"]) == (409, "no_encryption_key")
        assert "BURSAR_ENCRYPTION_KEY" in refused.json()["detail"]
        assert server.client.get(PATH).json()["items"] == []
        assert not (tmp_path / "data/encryption.key").exists()


def test_a_file_of_keys_is_read_at_the_start_and_refused_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# made today\n{KEY}\n")
    with running_server(tmp_path / "data", encryption_key_file=file) as server:
        assert server.client.get(f"{SECRETS}/keys").json()["items"][0]["key_id"] == KEY_ID
    for content, said in ((f"{KEY} {KEY[:-5]}", "key 2"), ("# nothing\n", "no key"), (b"\xff", "key 1")):
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        settings = load_settings({}, data_dir=tmp_path / "data", encryption_key_file=file)
        with pytest.raises(ConfigurationError, match=said) as caught:
            build_platform(settings)
        assert KEY[:10] not in str(caught.value)
    settings = load_settings({}, data_dir=tmp_path / "data", encryption_key_file=tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="missing can't be read"):
        build_platform(settings)
