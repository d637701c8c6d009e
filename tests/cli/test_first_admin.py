"""The very first admin: by a link that the first start prints, once, while there is nobody."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import httpx

from tests.cli.command_line import SERVES, bursar, read_until, started
from tests.support.people import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"First admin.*: (http://127\.0\.0\.1:\d+)(/welcome)#(bur_link_[\w-]+)$")
ACCEPT = "/api/v1/auth/accept"
ADA = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}


def links_in(lines: list[str]) -> list[re.Match[str]]:
    return [found for line in lines if (found := LINK.search(line))]


def test_the_first_start_prints_a_link_that_makes_one_owner(tmp_path: Path) -> None:
    arguments = ("serve", "--data", tmp_path / "data", "--port", "0")
    with started(*arguments) as process:
        (found,) = links_in(read_until(process, SERVES))
        base, page, token = found.groups()
        shown = httpx.get(base + page)
        script = shown.text.partition("<script>")[2].partition("</script>")[0]
        allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{allowed}'" in shown.headers["content-security-policy"]
        nameless = httpx.post(base + ACCEPT, json={"token": token, "password": PASSWORD})
        assert {(one["field"], one["code"]) for one in nameless.json()["errors"]} == {
            ("email", "missing"),
            ("name", "missing"),
        }
        all_wrong = httpx.post(base + ACCEPT, json={"token": token, "password": "short"})
        assert {(one["field"], one["code"]) for one in all_wrong.json()["errors"]} >= {
            ("email", "missing"),
            ("password", "too_short"),
        }
        made = httpx.post(base + ACCEPT, json={"token": token, **ADA}).json()
        assert (made["user"]["email"], made["user"]["tenant_id"]) == ("ada@example.com", "default")
        bearer = {"authorization": f"Bearer {made['access_token']}"}
        (ada,) = httpx.get(f"{base}/api/v1/users", headers=bearer).json()["items"]
        assert [one["role"] for one in ada["roles"]] == ["owner"]
        again = httpx.post(base + ACCEPT, json={"token": token, **ADA, "email": "eve@example.com"})
        assert (again.status_code, again.json()["code"]) == (401, "bad_link")
        process.kill()
        process.wait()
    with started(*arguments) as process:
        assert links_in(read_until(process, SERVES)) == []
    assert len(bursar("users", "list", "--data", tmp_path / "data", "--json").json) == 1


def test_the_link_counts_no_longer_once_somebody_was_made_by_command(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started("serve", "--data", data, "--port", "0") as process:
        (found,) = links_in(read_until(process, SERVES))
        base, _, token = found.groups()
        assert bursar("users", "create", "bob@example.com", "--role", "owner", "--data", data).code == 0
        late = httpx.post(base + ACCEPT, json={"token": token, **ADA})
        assert (late.status_code, late.json()["code"]) == (401, "bad_link")
