"""`bursar serve` and `bursar demo` as processes: they greet, they serve, and a signal ends them in order."""

from __future__ import annotations

import re
import shlex
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cli.command_line import SERVES, bursar, bursar_process, bursar_program, read_until, started
from tests.support.sampled import long

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

STOP_SECONDS = 30
SMALL = ("--port", 0, "--events", 1_500, "--days", 9)


def url_in(lines: list[str]) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", "\n".join(lines))
    assert found is not None
    return found[0]


def key_in(lines: list[str]) -> str:
    found = re.search(r"bur_[\w-]+", "\n".join(lines))
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    "number", long({"terminate": signal.SIGTERM, "interrupt": signal.SIGINT}, always=["terminate"])
)
def test_a_server_greets_serves_and_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    with started("serve", "--port", 0, "--data", tmp_path / "data") as process:
        lines = read_until(process, SERVES)
        url, key = url_in(lines), key_in(lines)
        assert httpx.get(f"{url}/live").status_code == 200
        assert httpx.get(f"{url}/api/v1/keys", headers={"X-API-Key": key}).status_code == 200
        assert bursar("keys", "list", "--data", tmp_path / "data", "--json").json[0]["is_operator"]
        process.send_signal(number)
        assert process.wait(STOP_SECONDS) == 0
    assert not (tmp_path / "data" / "bursar.sock").exists()


def test_a_folder_and_a_port_have_one_server(tmp_path: Path) -> None:
    with started("serve", "--port", 0, "--data", tmp_path / "one") as process:
        port = url_in(read_until(process, SERVES)).rpartition(":")[2]
        same_folder = bursar_process("serve", "--port", 0, "--data", tmp_path / "one")
        same_port = bursar_process("demo", "--port", port, "--data", tmp_path / "two")
    assert (same_folder.code, same_port.code) == (1, 1)
    assert f"in use by process {process.pid}" in same_folder.err
    assert f"port {port}: Address already in use" in same_port.err
    assert "Traceback" not in same_folder.err + same_port.err


def test_wrong_settings_stop_the_start_with_the_whole_list(tmp_path: Path) -> None:
    said = bursar_program("serve", "--data", tmp_path, BURSAR_LOG_LEVEL="loud", BURSAR_PROT="1")
    assert said.code == 1
    assert "BURSAR_LOG_LEVEL=loud is wrong" in said.err
    assert "did you mean BURSAR_PORT?" in said.err


@pytest.mark.long
def test_the_demo_loads_its_usage_and_suggests_requests_that_work(tmp_path: Path) -> None:
    with started("demo", *SMALL, TMPDIR=str(tmp_path)) as process:
        lines = read_until(process, "Serving until Ctrl-C.")
        said = "\n".join(lines)
        assert "1,500 events" in said
        assert "without a known price" in said
        assert_suggestions_work(said, url_in(lines), key_in(lines))
        (arguments,) = re.findall(r"bursar (query .*)", said)
        asked = bursar_process(*shlex.split(arguments))
        assert asked.code == 0, asked.err
        assert "gpt-5.4-mini" in asked.out
        assert_stops(process)
    # Its folder went away with it.
    assert list(tmp_path.iterdir()) == []


def assert_suggestions_work(said: str, url: str, key: str) -> None:
    """Ask what the three requests ask, with the bodies exactly as printed."""
    query, event = re.findall(r"-d '(\{.*\})'", said)
    headers = {"X-API-Key": key, "content-type": "application/json"}
    with httpx.Client(base_url=url, headers=headers) as client:
        breakdown = client.get(re.findall(r"'http://[^/]+(/\S+breakdown\S+)'", said)[0])
        assert breakdown.status_code == 200
        assert "gpt-5.4-mini" in breakdown.text
        spike = client.post("/api/v1/query", content=query).json()["rows"][0]
        assert spike["project_id"] == "platform"
        recorded = client.post("/api/v1/events?wait=applied", content=event).json()
        assert recorded["events"][0]["cost"]["status"] == "priced"


def assert_stops(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(STOP_SECONDS) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


def test_a_demo_in_a_folder_of_its_own_is_loaded_once_and_ties_out(tmp_path: Path) -> None:
    first = bursar_process("demo", *SMALL, "--data", tmp_path, "--exit-after-load")
    assert first.code == 0
    assert (first.out + first.err).count("bur_") == first.out.count("bur_") == 4
    assert len(set(re.findall(r"bur_[\w-]+", first.out))) == 1
    assert "(may do everything; shown only this once)" in first.out
    assert "Loaded in" in first.err
    again = bursar_process("demo", *SMALL, "--data", tmp_path, "--exit-after-load")
    assert again.code == 0
    assert "1,500 demo events already" in again.err
    assert "(may record and ask)" in again.out
    verified = bursar_process("verify", "--data", tmp_path, "--json")
    assert verified.json["is_clean"]
    assert verified.json["events"] == 1_500


@pytest.mark.long
def test_a_demo_can_be_stopped_while_it_loads(tmp_path: Path) -> None:
    with started("demo", "--port", 0, "--data", tmp_path, "--events", 500_000) as process:
        assert process.stderr is not None
        assert any("Loading" in line for line in process.stderr)
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
