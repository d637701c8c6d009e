"""The server as a process: two listeners, an orderly stop, and clear words when it can't start."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from bursar.app.operator_socket import address_of, bind_socket
from bursar.app.server import bind_address, connections_limit
from bursar.errors import ConfigurationError
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.support.serving import RunningServer

BURSAR = Path(sys.executable).with_name("bursar")


@dataclass(slots=True)
class Process:
    """A started `bursar serve` and what it said."""

    popen: subprocess.Popen[str]
    data: Path
    said: list[str]

    @property
    def url(self) -> str:
        """Where it serves."""
        return re.findall(r"http://[0-9.]+:\d+", self.said[-1])[0]

    @property
    def printed_key(self) -> str | None:
        """The key that it printed, if it did."""
        found = re.findall(r"bur_\S+", "\n".join(self.said))
        return found[0] if found else None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Its exit code and the seconds it took."""
        begun = time.monotonic()
        self.popen.send_signal(number)
        return self.popen.wait(15), time.monotonic() - begun


@contextmanager
def started(data: Path) -> Generator[Process]:
    """A server process of its own on this folder."""
    command = [str(BURSAR), "serve", "--data", str(data), "--port", "0"]
    with (
        (data.parent / "server.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=data.parent) as popen,
    ):
        try:
            yield Process(popen, data, list(lines_until(popen, " serves ")))
        finally:
            popen.kill()


@contextmanager
def idle_connections(url: str) -> Generator[None]:
    """Connections that say nothing, and one that is kept alive after a request."""
    port = int(url.rpartition(":")[2])
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        stack.enter_context(httpx.Client(base_url=url)).get("/live")
        yield


def in_flight(process: Process) -> int:
    """How many requests it is answering, this one among them."""
    headers = {"X-API-Key": str(process.printed_key), "Accept": "text/plain"}
    page = httpx.get(f"{process.url}/metrics", headers=headers).raise_for_status().text
    return int(float(re.findall(r"^bursar_http_requests_in_flight (\S+)$", page, re.MULTILINE)[0]))


def lines_until(popen: subprocess.Popen[str], word: str) -> Iterator[str]:
    """What the process prints, up to the line that has the word."""
    assert popen.stdout is not None
    for line in popen.stdout:
        yield line.rstrip()
        if word in line:
            return
    message = "the server did not start; see server.log"
    raise AssertionError(message)


def test_signals_stop_it_in_time_and_only_the_first_start_prints_a_key(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started(data) as process, idle_connections(process.url):
        key = str(process.printed_key)
        assert process.said[0] == f"Data folder: {data}"
        assert httpx.get(f"{process.url}/api/v1/keys", headers={"X-API-Key": key}).status_code == 200
        assert (data / "bursar.sock").is_socket()
        code, seconds = process.stop(signal.SIGTERM)
    assert (code, seconds < 10) == (0, True)
    assert not (data / "bursar.sock").exists()
    assert key not in (tmp_path / "server.log").read_text()
    with started(data) as process, idle_connections(process.url):
        assert process.printed_key is None
        assert httpx.get(f"{process.url}/api/v1/keys", headers={"X-API-Key": key}).status_code == 200
        code, seconds = process.stop(signal.SIGINT)
    assert (code, seconds < 10) == (0, True)


def test_a_request_that_stalls_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    with started(tmp_path / "data") as process:
        port = int(process.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as stalled:
            head = "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            stalled.sendall(
                f"{head}X-API-Key: {process.printed_key}\r\nContent-Length: 100\r\n\r\n{{".encode()
            )
            wait_until(lambda: in_flight(process) == 2, "its head has been read")
            code, seconds = process.stop()
            answer = stalled.recv(10_000).decode()
        assert code == 0
        assert seconds < 10
        assert answer.startswith("HTTP/1.1 503")
        assert "The server is stopping" in answer
    assert "Traceback" not in (tmp_path / "server.log").read_text()


def test_a_stop_that_hangs_is_cut_short_with_exit_code_0() -> None:
    program = "import time; from bursar.app.server import _cut_short_after as cut; cut(0.1); time.sleep(60)"
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=30, capture_output=True)
    assert done.returncode == 0
    assert b"cut short" in done.stdout + done.stderr


def test_there_is_room_for_connections_beside_the_files() -> None:
    limit = connections_limit()
    assert 64 <= limit < resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_second_server_on_the_folder_is_refused_and_leaves_the_first_alone(server: RunningServer) -> None:
    second = subprocess.run(
        [str(BURSAR), "serve", "--data", str(server.platform.folder.path), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert second.returncode != 0
    assert f"in use by process {os.getpid()}" in " ".join(second.stderr.split())
    assert "Traceback" not in second.stderr
    assert server.operator.get("/control/status").status_code == 200


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=f"127.0.0.1 port {port}: Address already in use"):
            bind_address("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Can't listen on 203\.0\.113\.1 port 0"):
        bind_address("203.0.113.1", 0)


def test_an_address_of_version_6_is_served() -> None:
    try:
        bound = bind_address("::1", 0)
    except ConfigurationError:
        pytest.skip("IPv6 is not available on this machine")
    assert bound.family is socket.AF_INET6
    bound.close()


def test_the_socket_is_the_operators_alone(server: RunningServer) -> None:
    path = server.platform.folder.socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    status = server.operator.get("/control/status")
    assert status.status_code == 200
    assert status.json()["data_dir"] == str(server.platform.folder.path)


def test_the_operators_routes_need_the_operators_key_from_elsewhere(server: RunningServer) -> None:
    assert server.stranger.get("/control/status").status_code == 401
    assert server.client.get("/control/status").status_code == 200
    tenant = {"id": "not-an-operator"}
    server.operator.post("/api/v1/tenants", json=tenant)
    body = {"label": "admin of a tenant", "scopes": ["admin"], "tenant_id": "not-an-operator"}
    key = server.operator.post("/api/v1/keys", json=body).json()["key"]
    refused = server.stranger.get("/control/status", headers={"X-API-Key": key})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_status_counts_what_came_in(server: RunningServer) -> None:
    before = server.operator.get("/control/status").json()
    server.client.post("/api/v1/events?wait=applied", json={"provider": "openai"})
    after = server.operator.get("/control/status").json()
    assert after["durable_seq"] == after["applied_seq"] == before["durable_seq"] + 1
    assert after["figures"]["journal_records"] == before["figures"]["journal_records"] + 1
    assert after["failing"] is None


def test_verify_tells_its_progress_and_then_what_it_found(server: RunningServer) -> None:
    with server.operator.stream("POST", "/control/verify", timeout=60) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        *steps, result = [line for line in answer.iter_lines() if line]
    assert steps
    assert all('"step"' in step for step in steps)
    assert '"is_clean": true' in result


def test_only_one_recount_runs_at_a_time(server: RunningServer) -> None:
    with server.operator.stream("POST", "/control/verify", timeout=60) as first:
        second = server.client.post("/control/verify")
        assert b"result" in first.read()
    assert b"result" in second.content or second.json()["code"] == "conflict"


def test_the_operator_can_stop_it(tmp_path: Path) -> None:
    with started(tmp_path / "data") as process:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=address_of(process.data / "bursar.sock"))
        ) as operator:
            answer = operator.post("http://bursar.socket/control/stop")
        assert (answer.status_code, answer.json()) == (202, {"process": process.popen.pid})
        assert process.popen.wait(10) == 0


def test_a_socket_deep_down_is_reached_by_a_shorter_way(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60) / "bursar.sock"
    deep.parent.mkdir(parents=True)
    with bind_socket(deep) as bound, socket.socket(socket.AF_UNIX) as client:
        bound.listen()
        client.connect(address_of(deep))
        assert deep.is_socket()


def test_a_socket_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "bursar.sock"
    bind_socket(path).close()
    assert path.is_socket()
    with bind_socket(path) as bound:
        bound.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
