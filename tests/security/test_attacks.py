"""Attacks by what is sent or handed over, each by its name: paths, bombs, formulas, headers.

The same doors are fuzzed in `fuzz/`; forged addresses are in `test_forged_headers.py`, URLs in `outgoing/`.
"""

from __future__ import annotations

import ast
import csv
import gzip
import io
import json
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import zstandard

import bursar
from bursar.app.bounded_protocol import HEAD_LIMIT
from tests.cli.command_line import bursar as run
from tests.support.memory import growing
from tests.support.patience import DEADLINE_SECONDS
from tests.support.serving import ADMIN_KEY, RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 2**20
EVENT: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1}
LAUGHS = "\n".join(
    [
        "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]",
        *(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
            for before, name in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ]
)
"""A kilobyte of YAML that a loader with aliases makes a billion words of."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("attacks") / "data") as running:
        yield running


def answer_file(tokens: int) -> str:
    usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    answer = {"id": f"chatcmpl-{tokens}", "object": "chat.completion", "created": 1_760_000_000}
    return json.dumps({**answer, "model": "gpt-4o", "choices": [], "usage": usage})


# ------------------------------------------------------------------------------------------- path traversal
def test_a_path_traversal_in_import_reads_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text(answer_file(666))
    folder = tmp_path / "recorded"
    (folder / "below").mkdir(parents=True)
    (folder / "own.json").write_text(answer_file(1))
    (folder / "linked-inside.json").symlink_to(folder / "own.json")
    (folder / "evil.json").symlink_to(outside)
    (folder / "below" / "evil.json").symlink_to("../../outside.json")
    with running_server(tmp_path / "data") as server:
        done = run("import", "--provider-responses", folder, "--data", tmp_path / "data", "--json")
        assert done.out.count("link out of the folder") == 2, done.out + done.err
        changes = server.platform.changes
        assert changes.wait_applied(changes.durable_seq, DEADLINE_SECONDS)
        question = {"measures": ["events", "input_tokens"], "window": "all"}
        stored = server.client.post("/api/v1/query", json=question).raise_for_status().json()["totals"]
        assert (stored["events"], stored["input_tokens"]) == (1, 1)
        listed = server.client.get("/api/v1/events", params={"window": "all"}).raise_for_status()
        assert "666" not in listed.text


@pytest.mark.parametrize("place", ["../../outside.json", "/etc/passwd", "runs/../../outside.json"])
@pytest.mark.parametrize("field", ["place", "target"])
def test_a_path_traversal_in_a_backup_is_refused_before_anything_is_written(
    tmp_path: Path, place: str, field: str
) -> None:
    with running_server(tmp_path / "data"):
        assert run("backup", tmp_path / "backup", "--data", tmp_path / "data").code == 0
    manifest = tmp_path / "backup" / "BACKUP.json"
    document = json.loads(manifest.read_text())
    document["files"][0][field] = place
    manifest.write_text(json.dumps(document))
    before = sorted(path for path in tmp_path.rglob("*"))
    done = run("restore", tmp_path / "backup", "--data", tmp_path / "restored")
    assert done.code != 0
    assert "lies outside of" in done.err
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    [
        "/docs/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/docs/assets/%2e%2e/%2e%2e/app/auth.py",
        "/docs/assets//etc/passwd",
        "/../../../../etc/passwd",
        "/api/v1/events/..%2f..%2fkeys",
        "/api/v1/tenants/..%2f..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_of_a_url_reaches_a_file_or_another_route(server: RunningServer, path: str) -> None:
    where = urlsplit(server.url)
    ask = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {ADMIN_KEY}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((where.hostname, where.port or 0), timeout=10) as line:
        line.sendall(ask.encode())
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 422 ", b"HTTP/1.1 400 ")), answer[:200]
    assert b"root:" not in answer
    assert b'"items"' not in answer


# ------------------------------------------------------------------------------------------ CSV formulas
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://evil.example";"x")')


def paths_with_csv() -> list[str]:
    """Every GET of the API that can answer with CSV, from its own description."""
    document = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
    found = [
        path
        for path, methods in json.loads(document.read_text())["paths"].items()
        for method, operation in methods.items()
        if method == "get"
        and any("text/csv" in answer.get("content", {}) for answer in operation["responses"].values())
    ]
    assert len(found) >= 6
    return [*found, "/api/v1/export"]


def test_a_csv_formula_is_no_formula_in_any_csv_answer(server: RunningServer) -> None:
    events = [
        {
            **EVENT,
            "event_id": f"{formula}/{number}",
            "user_id": formula,
            "project_id": formula,
            "model": formula,
            "provider": formula,
            "session_id": formula,
            "tags": {"team": formula},
        }
        for number, formula in enumerate(FORMULAS)
    ]
    sent = server.client.post("/api/v1/events/batch?wait=applied", json=events)
    assert sent.is_success, sent.text
    seen = 0
    for path in paths_with_csv():
        for by in ("", "&group_by=user_id", "&dimension=user_id", "&group_by=project_id"):
            url = path.replace("{event_id}", "%3D1%2B1%2F0")
            answer = server.client.get(f"{url}?format=csv{by}")
            if not answer.is_success:
                continue
            cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
            seen += sum(cell.startswith("'=") for cell in cells)
            assert [cell for cell in cells if re.match(r"[=+@\t\r]|-(?![\d.])", cell)] == [], path
            assert "-1" not in cells, path
    assert seen > 5


# ----------------------------------------------------------------------------------------------- bombs
BOMB_BYTES = 400 * MIB
DOORS = (
    "/events",
    "/events/batch",
    "/events/import",
    "/events/corrections",
    "/auth/login",
    "/keys",
    "/prices/diff",
    "/query",
)


def endless_gzip() -> bytes:
    return gzip.compress(bytes(BOMB_BYTES), compresslevel=1)


def endless_zstd() -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(bytes(BOMB_BYTES))


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", endless_gzip), ("zstd", endless_zstd)])
def test_a_bomb_is_refused_at_every_door_before_it_takes_memory(
    server: RunningServer, encoding: str, pack: Callable[[], bytes]
) -> None:
    body = pack()
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    with growing() as growth:
        answers = [server.client.post(f"/api/v1{door}", content=body, headers=headers) for door in DOORS]
    assert {answer.url.path: answer.status_code for answer in answers if answer.status_code != 413} == {}
    assert growth.bytes < BOMB_BYTES // 2


def test_nothing_in_bursar_reads_yaml_or_pickles() -> None:
    """Nothing that expands aliases, makes objects or runs what it reads is even imported."""
    dangerous = {"yaml", "ruamel", "pickle", "marshal", "shelve", "dill", "xml", "lxml"}
    imported: dict[str, set[str]] = {}
    for path in Path(bursar.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").partition(".")[0]}
            else:
                continue
            if names & dangerous:
                imported[path.name] = names & dangerous
    assert imported == {}


def test_a_billion_laughs_yaml_is_refused_by_everything_that_takes_a_file(
    server: RunningServer, tmp_path: Path
) -> None:
    file = tmp_path / "laughs.yaml"
    file.write_text(LAUGHS)
    with growing() as growth:
        for path in (
            "/events",
            "/events/batch",
            "/events/import",
            "/query",
            "/prices/diff",
            "/prices/updates",
        ):
            for media_type in ("application/yaml", "text/yaml", "application/json"):
                headers = {"Content-Type": media_type}
                answer = server.client.post(f"/api/v1{path}", content=LAUGHS, headers=headers)
                assert 400 <= answer.status_code < 500, (path, media_type, answer.status_code)
        for command in (["import", file], ["prices", "diff", file]):
            done = run(*command, "--data", server.platform.folder.path)
            assert done.code != 0, (command, done.out)
        done = run("import", "--provider-responses", file, "--data", server.platform.folder.path, "--json")
        assert "unreadable_file" in done.out
    assert growth.bytes < 100 * MIB, growth


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_json_as_deep_as_a_well_is_refused(server: RunningServer, deep: str) -> None:
    for path in ("/events", "/events/batch", "/events/import", "/query", "/prices/diff"):
        headers = {"Content-Type": "application/json"}
        answer = server.client.post(f"/api/v1{path}", content=deep, headers=headers)
        assert 400 <= answer.status_code < 500, (path, answer.status_code)


# --------------------------------------------------------------------------------------------- headers
def exchange(server: RunningServer, *parts: bytes) -> bytes:
    """What a connection answers to these bytes until it ends."""
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port or 0), timeout=20) as line:
        try:
            for part in parts:
                line.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while part := line.recv(65_536):
                answer += part
        except ConnectionResetError:
            # The server left while bytes of ours were under way.
            pass
    return answer


def test_an_oversized_header_is_refused_with_431(server: RunningServer) -> None:
    for name, value in (("X-Large", "x" * HEAD_LIMIT), ("Authorization", "Bearer " + "x" * 2 * HEAD_LIMIT)):
        head = f"GET /live HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n\r\n".encode()
        answer = exchange(server, head)
        assert answer.startswith(b"HTTP/1.1 431 "), answer[:100]
        assert b"x-content-type-options: nosniff" in answer
    fits = f"GET /live HTTP/1.1\r\nHost: x\r\nX: {'x' * 60_000}\r\nConnection: close\r\n\r\n".encode()
    assert exchange(server, fits).startswith(b"HTTP/1.1 200 ")


def test_many_small_headers_and_a_long_url_count_alike(server: RunningServer) -> None:
    many = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))
    for head in (b"GET /live HTTP/1.1\r\n" + many, b"GET /live?" + b"q" * HEAD_LIMIT + b" HTTP/1.1\r\n"):
        assert exchange(server, head, b"\r\n").startswith(b"HTTP/1.1 431 ")


def test_a_header_without_an_end_does_not_fill_the_memory(server: RunningServer) -> None:
    with growing() as growth:
        answer = exchange(server, b"GET /live HTTP/1.1\r\nX: ", *[b"x" * 65_536] * 1_000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert growth.bytes < 30 * MIB, growth


def test_a_good_request_behind_a_large_body_is_answered(server: RunningServer) -> None:
    body = json.dumps({**EVENT, "metadata": {"x": "y" * 3_000}}).encode()
    post = (
        b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"X-API-Key: %b\r\nContent-Length: %d\r\n\r\n%b" % (ADMIN_KEY.encode(), len(body), body)
    )
    last = b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = exchange(server, post * 40 + last)
    assert answer.count(b"HTTP/1.1 202 ") == 40
    assert answer.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("evil", ["x\r\nSet-Cookie: a=b", "x\nSet-Cookie: a=b", "x\r\n\r\n<script>"])
def test_no_id_or_name_becomes_a_header(server: RunningServer, evil: str) -> None:
    event = {**EVENT, "event_id": evil, "project_id": evil, "user_id": evil}
    answers = [
        server.client.post("/api/v1/events", json=event),
        server.client.post("/api/v1/events", json=EVENT, headers={"Idempotency-Key": evil.encode().hex()}),
        server.client.get("/api/v1/events", params={"project_id": evil, "format": "csv"}),
        server.client.get("/api/v1/events/" + evil.replace("\r", "%0d").replace("\n", "%0a")),
        server.client.get("/api/v1/export", params={"format": evil}),
        server.client.get("/" + evil.replace("\r", "%0d").replace("\n", "%0a")),
    ]
    for answer in answers:
        assert "set-cookie" not in answer.headers
        assert answer.status_code < 500
        for value in answer.headers.values():
            assert "Set-Cookie" not in value


def test_a_request_id_cannot_forge_a_header_or_a_log_line(server: RunningServer) -> None:
    raw = b'GET /live HTTP/1.1\r\nHost: x\r\nX-Request-ID: a"}{"event":"forged\r\nConnection: close\r\n\r\n'
    answer = exchange(server, raw)
    assert b"forged" not in answer
    assert re.search(rb"x-request-id: req_[0-9a-f]{24}\r\n", answer)


def test_a_request_that_says_two_lengths_is_refused(server: RunningServer) -> None:
    """Two readings of one stream of bytes are how requests are smuggled past a proxy."""
    head = b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for lengths in (
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n{}",
        b"Content-Length: +2\r\n\r\n{}",
    ):
        assert exchange(server, head + lengths).startswith(b"HTTP/1.1 400 "), lengths
