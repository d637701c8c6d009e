"""Bursar as a process of its own, for tests that kill it, damage its folder and start it again.

Each start is a fresh process that runs `bursar serve`. It is forked from a small process that has done
the imports already (and nothing else), which makes a start take half a second instead of three. Tests
that need no process of their own use the quicker `serving.py`.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from bursar.app.operator_socket import address_of
from bursar.cli.main import app as command_line
from tests.support.child import Child
from tests.support.environment import settings_here
from tests.support.patience import DEADLINE_SECONDS, wait_until
from tests.support.prepared import prepare_folder
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from multiprocessing.context import ForkServerProcess

    from tests.support.small_disk import SmallDisk

_SERVES = "serves "


class StartRefused(Exception):
    """The server ended instead of serving; the text is what it said."""


class StartKilled(Exception):
    """A signal ended the server before it was ready."""


class ServerProcess:
    """One data folder, and the server process on it, if one runs."""

    def __init__(
        self, folder: Path, disk: SmallDisk | None = None, *, from_nothing: bool = False, **settings: object
    ) -> None:
        """Settings by their field's name; they hold for every start. The folder may be on a small disk.

        A new folder gets a prepared state store; `from_nothing`, or on such a disk, the first start makes it.
        """
        self.folder = folder
        self.url = ""
        self._disk = disk
        self._settings = {"admin_key": ADMIN_KEY, "log_format": "json", **settings}
        self._is_prepared = not from_nothing and disk is None and settings.get("database_url") is None
        beside = disk.mount_point if disk else folder
        self._said, self._logged = beside.with_suffix(".out"), beside.with_suffix(".log")
        self._process: ForkServerProcess | None = None

    def spawn(self, *faults: Callable[[], None]) -> None:
        """Start the process and don't wait for anything; `faults` are called in it before it serves."""
        assert self._process is None
        if self._is_prepared:
            prepare_folder(self.folder)
        self._said.parent.mkdir(parents=True, exist_ok=True)
        self._said.write_bytes(b"")
        environ = {f"BURSAR_{name.upper()}": str(value) for name, value in self._settings.items()}
        arguments = ["serve", "--port", "0", "--data", str(self.folder)]
        child = Child(self._said, self._logged, self._disk)
        self._process = child.start(_serve, arguments, environ, faults)

    def start(self, *faults: Callable[[], None]) -> None:
        """Start, and return once `/ready` says so.

        Raises:
            StartRefused: it ended instead.
            StartKilled: it was killed.
        """
        self.spawn(*faults)
        wait_until(self._is_serving, "the server serves")
        with httpx.Client(timeout=DEADLINE_SECONDS) as client:
            wait_until(lambda: self._is_ready(client), "the server is ready")

    def kill(self) -> None:
        """End the process as `kill -9` does, in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it in order; returns the exit code."""
        return self._end(signal.SIGTERM)

    @property
    def has_ended(self) -> bool:
        """Whether there is no process, or it has died."""
        return self._process is None or not self._process.is_alive()

    @property
    def was_killed(self) -> bool:
        """Whether it was ended by a signal.

        Raises:
            AssertionError: it ended by itself.
        """
        code = None if self._process is None else self._process.exitcode
        assert code is None or code < 0, self._logged.read_text()[-4000:]
        return code is not None

    @property
    def memory_bytes(self) -> int:
        """Anonymous memory that the process holds now; 0 where there is none."""
        with suppress(FileNotFoundError, ProcessLookupError, AttributeError):
            status = Path(f"/proc/{self._process.pid}/status").read_text()  # type: ignore[union-attr]
            # A process that has ended and wasn't waited for has a status without memory.
            said = status.partition("RssAnon:")[2].split()
            return int(said[0]) * 1024 if said else 0
        return 0

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every line it has logged, over all starts; the last may be torn."""
        lines = self._logged.read_text().splitlines() if self._logged.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    @contextmanager
    def client(self, key: str = ADMIN_KEY) -> Generator[httpx.Client]:
        """A client that presents the key; the operator's unless another is given."""
        with httpx.Client(base_url=self.url, headers={"X-API-Key": key}, timeout=DEADLINE_SECONDS) as client:
            yield client

    def verify(self) -> dict[str, Any]:
        """What a recount finds, asked for through the socket in the data folder."""
        folder = self._disk.path / self.folder.name if self._disk else self.folder
        by_socket = httpx.HTTPTransport(uds=address_of(folder / "bursar.sock"))
        with httpx.Client(
            base_url="http://bursar.socket", transport=by_socket, timeout=3 * DEADLINE_SECONDS
        ) as operator:
            answer = operator.post("/control/verify").raise_for_status()
        last = json.loads(answer.text.splitlines()[-1])
        assert "result" in last, last
        return last["result"]

    def wait_until_applied(self) -> None:
        """Return once everything durable is in the usage store."""
        with self.client() as client:
            wait_until(lambda: _is_applied(client), "everything durable is applied")

    def counter(self, name: str) -> float:
        """A series of `/metrics`, summed over its labels."""
        with self.client() as client:
            text = client.get("/metrics").raise_for_status().text
        values = [
            line.rpartition(" ")[2]
            for line in text.splitlines()
            if line.startswith((f"{name} ", f"{name}{{"))
        ]
        return sum(map(float, values))

    def _is_serving(self) -> bool:
        for line in self._said.read_text().splitlines():
            if _SERVES in line:
                self.url = line.partition(_SERVES)[2].split()[0]
                return True
        self._refuse_ended()
        return False

    def _is_ready(self, client: httpx.Client) -> bool:
        try:
            return client.get(f"{self.url}/ready").is_success
        except httpx.TransportError:
            # Aimed kills come at any moment, at this one too.
            wait_until(lambda: self.has_ended, "the server that doesn't answer has ended")
            self._refuse_ended()
            raise

    def _refuse_ended(self) -> None:
        if self.has_ended:
            if self._end(signal.SIGKILL) < 0:
                raise StartKilled
            raise StartRefused(self._logged.read_text())

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, number)
        process.join(DEADLINE_SECONDS)
        code = process.exitcode
        process.close()
        assert code is not None, "the server didn't end"
        return code


@contextmanager
def server_process(
    folder: Path, disk: SmallDisk | None = None, *, from_nothing: bool = False, **settings: object
) -> Generator[ServerProcess]:
    """A server that isn't started yet; killed at the end of the block, if it runs then."""
    server = ServerProcess(folder, disk, from_nothing=from_nothing, **settings)
    try:
        yield server
    finally:
        server.kill()


def _is_applied(client: httpx.Client) -> bool:
    status = client.get("/control/status").raise_for_status().json()
    return status["applied_seq"] >= status["durable_seq"]


def _serve(arguments: list[str], environ: dict[str, str], faults: tuple[Callable[[], None], ...]) -> None:
    for fault in faults:
        fault()
    for name in settings_here():
        del os.environ[name]
    os.environ.update(environ)
    command_line(arguments, prog_name="bursar")
