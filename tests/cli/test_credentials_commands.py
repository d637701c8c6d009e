"""`bursar credentials` and `bursar secrets`: a secret is read from where nobody looks, and never printed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bursar.identity.credentials.master_keys import new_key_text, read_keys
from tests.cli.command_line import bursar, bursar_process
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer

SECRET = "sk-admin-" + "Hd5Rf1Pq8Gz2Mc6Xv0Bn"


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def file_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "secret"
    path.write_text(text)
    return path


def reveal(server: RunningServer, credential_id: str) -> str:
    return server.platform.vault.reveal("default", credential_id, "a test").get_secret_value()


def test_a_credential_is_entrusted_listed_replaced_and_revoked_without_showing_its_secret(
    server: RunningServer, data: Path, tmp_path: Path
) -> None:
    file = file_of(tmp_path, SECRET + "\n")
    made = bursar(
        "credentials", "add", "--provider", "openai", "--name", "admin", "--file", file, "--data", data
    )
    assert (made.code, "Entrusted openai 'admin' as crd_" in made.out) == (0, True), made.err
    (one,) = bursar("credentials", "list", "--data", data, "--json").json
    assert reveal(server, one["id"]) == SECRET
    assert "********v0Bn" in bursar("credentials", "list", "--data", data).out
    file = file_of(tmp_path, "two\nlines\r\n")
    replaced = bursar("credentials", "replace", one["id"], "--file", file, "--data", data)
    assert replaced.out == f"Replaced the secret of {one['id']}: ********.\n"
    assert reveal(server, one["id"]) == "two\nlines"
    assert bursar("secrets", "check", "--data", data).out == "All 1 secrets open.\n"
    revoked = bursar("credentials", "revoke", one["id"], "--data", data)
    assert revoked.out == f"Revoked {one['id']}; its secret is destroyed.\n"
    assert "revoked" in bursar("credentials", "list", "--data", data).out
    late = bursar("credentials", "replace", one["id"], "--file", file, "--data", data)
    assert (late.code, "is revoked" in late.err) == (1, True)


def test_a_secret_is_piped_in_and_no_option_takes_one(data: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bursar",
        "credentials",
        "add",
        "--provider",
        "openai",
        "--name",
        "piped",
    ]
    done = subprocess.run(
        [*command, "--data", str(data)], input=SECRET, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Entrusted openai 'piped'")
    assert SECRET not in done.stdout + done.stderr
    refused = bursar(*command[3:], "--secret", SECRET, "--data", data)
    assert refused.code == 2
    assert "--secret" not in bursar("credentials", "add", "--help").out


def test_what_is_wrong_with_a_secret_is_said_without_it(data: Path, tmp_path: Path) -> None:
    options = ("--provider", "openai", "--name", "wrong", "--data", data)
    empty = bursar("credentials", "add", *options, "--file", file_of(tmp_path, "\n"))
    assert (empty.code, "1 to 16384 characters" in empty.err) == (1, True)
    missing = bursar("credentials", "add", *options, "--file", tmp_path / "missing")
    assert (missing.code, "can't be read" in missing.err) == (1, True)
    path = tmp_path / "bytes"
    path.write_bytes(b"\xff" + SECRET.encode())
    odd = bursar("credentials", "add", *options, "--file", path)
    assert (odd.code, "no text in UTF-8" in odd.err, SECRET in odd.err) == (1, True, False)


def test_a_restore_says_which_key_its_secrets_need(tmp_path: Path) -> None:
    key = bursar("secrets", "new-key").out.strip()
    key_id = read_keys(key, "here")[0].id
    with running_server(tmp_path / "data", encryption_key=key) as server:
        body = {"provider": "openai", "name": "admin", "secret": SECRET}
        made = server.client.post("/api/v1/credentials", json=body).json()
        assert bursar("backup", tmp_path / "backup", "--data", tmp_path / "data").code == 0
    for path in (tmp_path / "backup").rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()
        assert path.is_dir() or key.encode() not in path.read_bytes()
    without = bursar("restore", tmp_path / "backup", "--data", tmp_path / "without")
    assert f"sealed by the encryption key {key_id}, which isn't at hand" in without.out
    environ = {"BURSAR_ENCRYPTION_KEY": f"{new_key_text()},{key}"}
    restored = bursar("restore", tmp_path / "backup", "--data", tmp_path / "new", "--json", **environ)
    assert restored.json["missing_keys"] == []
    with running_server(tmp_path / "new", encryption_key=key) as server:
        assert reveal(server, made["id"]) == SECRET


def test_secrets_that_do_not_open_are_listed_and_the_command_says_so_with_its_exit_code(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path / "data", encryption_key=new_key_text()) as server:
        body = {"provider": "openai", "name": "admin", "secret": SECRET}
        made = server.client.post("/api/v1/credentials", json=body).json()
    found = bursar_process(
        "secrets", "check", "--data", tmp_path / "data", BURSAR_ENCRYPTION_KEY=new_key_text()
    )
    assert (found.code, made["id"] in found.out, made["key_id"] in found.out) == (3, True, True), found.err
    wrong = bursar_process("secrets", "list", "--data", tmp_path / "data", BURSAR_ENCRYPTION_KEY="too short")
    assert (wrong.code, "BURSAR_ENCRYPTION_KEY=*** is wrong" in wrong.err) == (1, True), wrong.err
    assert "too short" not in wrong.err
