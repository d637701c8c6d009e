"""HTTPS of the server's own, with certificates made here: real handshakes, and what a start refuses."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trustme

from bursar.app.tls import make_tls
from bursar.errors import ConfigurationError
from bursar.settings import load_settings
from tests.support.patience import wait_until
from tests.support.server import StartRefused, server_process
from tests.support.serving import ADMIN_KEY, running_server

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = {"X-API-Key": ADMIN_KEY}
EVENT = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings that name a certificate of this machine and its key."""
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    return {"ssl_certfile": str(chain), "ssl_keyfile": str(key)}


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    return context


def test_a_server_with_a_certificate_speaks_https_only_and_says_to_stay_with_it(
    tmp_path: Path, certificate: dict[str, Any], authority: trustme.CA
) -> None:
    with running_server(tmp_path / "data", **certificate) as server:
        assert server.url.startswith("https://127.0.0.1:")
        with httpx.Client(base_url=server.url, headers=HEADERS, verify=trusting(authority)) as client:
            answers = [client.get("/api/v1/keys"), *(client.post("/api/v1/events", json=EVENT) for _ in "ab")]
            assert [answer.status_code for answer in answers] == [200, 202, 202]
            for answer in answers:
                assert answer.headers["strict-transport-security"] == "max-age=31536000"
        # Its certificate is checked by nobody else's authorities, and plain HTTP isn't answered.
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{server.url}/live", verify=ssl.create_default_context())
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url.replace('https', 'http')}/live")
        # The socket in the data folder is the operator's alone and needs none.
        assert server.operator.get("/api/v1/keys").status_code == 200


def test_serve_takes_the_certificate_from_its_settings(
    tmp_path: Path, certificate: dict[str, Any], authority: trustme.CA
) -> None:
    with server_process(tmp_path / "data", **certificate) as server:
        server.spawn()
        wait_until(server._is_serving, "the server serves")
        with httpx.Client(base_url=server.url, headers=HEADERS, verify=trusting(authority)) as client:
            assert client.get("/ready").status_code == 200
        assert server.stop() == 0


def test_versions_before_tls_1_2_are_refused(
    tmp_path: Path, certificate: dict[str, Any], authority: trustme.CA
) -> None:
    old = trusting(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        running_server(tmp_path / "data", **certificate) as server,
        pytest.raises(httpx.ConnectError, match=r"(?i)protocol|version|alert"),
    ):
        httpx.get(f"{server.url}/live", verify=old)


def test_with_authorities_of_clients_only_their_clients_get_in(
    tmp_path: Path, certificate: dict[str, Any], authority: trustme.CA
) -> None:
    known = tmp_path / "clients.pem"
    clients = trustme.CA()
    clients.cert_pem.write_to_path(known)
    stranger, client = trusting(authority), trusting(authority)
    with clients.issue_cert("collector@example.com").private_key_and_cert_chain_pem.tempfile() as own:
        client.load_cert_chain(own)
    with running_server(tmp_path / "data", ssl_ca_certs=str(known), **certificate) as server:
        assert httpx.get(f"{server.url}/live", verify=client).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server.url}/live", verify=stranger)


@pytest.mark.parametrize("wrong", ["absent", "empty", "others"])
def test_a_start_with_a_key_that_does_not_fit_says_so_before_it_touches_the_folder(
    tmp_path: Path, certificate: dict[str, Any], wrong: str
) -> None:
    key = tmp_path / "wrong.pem"
    if wrong == "empty":
        key.write_text("")
    elif wrong == "others":
        trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(key)
    with pytest.raises(ConfigurationError, match=r"TLS can't be served with .*wrong\.pem") as caught:
        make_tls(load_settings({}, ssl_certfile=certificate["ssl_certfile"], ssl_keyfile=key))
    assert wrong != "others" or "isn't the certificate's" in str(caught.value)


def test_a_server_process_with_a_wrong_certificate_ends_at_once(tmp_path: Path) -> None:
    with (
        server_process(tmp_path / "data", from_nothing=True, ssl_certfile="/nowhere.pem") as server,
        pytest.raises(StartRefused, match=r"/nowhere\.pem: No such file"),
    ):
        server.start()
    assert not (tmp_path / "data").exists()


def test_a_key_without_a_certificate_is_refused_by_the_settings() -> None:
    with pytest.raises(ConfigurationError, match="BURSAR_SSL_KEYFILE needs BURSAR_SSL_CERTFILE"):
        load_settings({"BURSAR_SSL_KEYFILE": "key.pem"})


def test_the_password_of_a_key_is_never_shown() -> None:
    environ = {"BURSAR_SSL_CERTFILE": "chain.pem", "BURSAR_SSL_KEYFILE_PASSWORD": "hunter2"}
    settings = load_settings(environ)
    assert settings.shown()["ssl_keyfile_password"] == "***"
    assert "hunter2" not in repr(settings)
