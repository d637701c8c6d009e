"""A real server process for a benchmark: started as the README says, on a scratch folder or a kept one.

What it costs is read from `/proc`: processor time of the process and of its event loop alone, and
anonymous memory, whose peak a thread watches because the kernel keeps none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from bursar import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEY = "bur_benchmark_admin_key"
HEADERS = {"X-API-Key": KEY}
START_SECONDS = 120.0
STOP_SECONDS = 120.0
LOOK_SECONDS = 0.1


class BenchServer:
    """`bursar serve` on a free port, with a data folder that goes away afterwards unless it is named."""

    def __init__(self, data: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are environment variables that the server gets beside its own."""
        self._scratch = None if data is not None else Path(tempfile.mkdtemp(prefix="bursar-bench-"))
        self.data = data or (self._scratch or Path()) / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.ready_seconds = 0.0
        """From the start of the process to the first good answer of `/ready`."""
        self.ready_cpu_seconds = 0.0
        self.peak_memory_bytes = 0
        """The most anonymous memory that was seen so far, looked at ten times a second."""
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch_memory, daemon=True)
        environment = {**os.environ, "BURSAR_ADMIN_KEY": KEY, "BURSAR_LOG_LEVEL": "error", **(settings or {})}
        command = [
            sys.executable,
            "-m",
            "bursar",
            "serve",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
        ]
        self._started = clock.monotonic()
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        """Wait until it is ready."""
        while clock.monotonic() - self._started < START_SECONDS and self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/ready").is_success:
                    self.ready_seconds = clock.monotonic() - self._started
                    self.ready_cpu_seconds = self.cpu_seconds()
                    self._watcher.start()
                    return self
            self._ended.wait(0.01)
        raise RuntimeError("The server did not start: " + self._end())

    def __exit__(self, *_: object) -> None:
        """Stop it, and remove its folder if it has no other use."""
        self._ended.set()
        errors = self._end()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        if self._process.returncode:
            raise RuntimeError(f"The server ended with {self._process.returncode}: {errors}")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """A client with the key, which keeps its connection."""
        return httpx.Client(base_url=self.url, headers=HEADERS, timeout=60)

    def status(self) -> dict[str, Any]:
        """Positions and counts, over the folder's socket."""
        transport = httpx.HTTPTransport(uds=str(self.data / "bursar.sock"))
        with httpx.Client(transport=transport, base_url="http://bursar", timeout=60) as client:
            answer: dict[str, Any] = client.get("/control/status").raise_for_status().json()
            return answer

    def pin(self, cores: Sequence[int]) -> None:
        """Let all of its threads run on these cores alone, if any are named."""
        for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
            if cores:
                os.sched_setaffinity(int(thread.name), cores)

    def cpu_seconds(self) -> float:
        """Processor time it has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def loop_seconds(self) -> float:
        """Processor time of its main thread, which runs the event loop."""
        thread = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/schedstat")
        return int(thread.read_text().split()[0]) / 1e9

    def memory_bytes(self) -> int:
        """Anonymous memory it holds now; mapped files are not in it."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        return 0

    def _watch_memory(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with contextlib.suppress(OSError):
                self.peak_memory_bytes = max(self.peak_memory_bytes, self.memory_bytes())

    def _end(self) -> str:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        _, errors = self._process.communicate(timeout=STOP_SECONDS)
        return errors.decode(errors="replace")[-2000:]
