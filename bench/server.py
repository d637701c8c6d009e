"""A real server process for a benchmark: started as the README says, on a scratch folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import httpx

from bursar import clock

KEY = "bur_benchmark_admin_key"
START_SECONDS = 60.0


class BenchServer:
    """`bursar serve` on a free port with a data folder that goes away afterwards."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bursar-bench-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        environment = {**os.environ, "BURSAR_ADMIN_KEY": KEY, "BURSAR_LOG_LEVEL": "error"}
        command = [
            sys.executable,
            "-m",
            "bursar",
            "serve",
            "--port",
            str(self.port),
            "--data",
            str(self.folder / "data"),
        ]
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        """Wait until it is ready."""
        deadline = clock.monotonic() + START_SECONDS
        while clock.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/ready").is_success:
                    return self
            except httpx.TransportError:
                pass
        raise RuntimeError("The server did not start: " + self._end())

    def __exit__(self, *_: object) -> None:
        """Stop it and remove its folder."""
        errors = self._end()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._process.returncode:
            raise RuntimeError(f"The server ended with {self._process.returncode}: {errors}")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def status(self) -> dict[str, Any]:
        """Positions and counts, over the folder's socket."""
        transport = httpx.HTTPTransport(uds=str(self.folder / "data" / "bursar.sock"))
        with httpx.Client(transport=transport, base_url="http://bursar") as client:
            answer: dict[str, Any] = client.get("/control/status").raise_for_status().json()
            return answer

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

    def _end(self) -> str:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        _, errors = self._process.communicate(timeout=30)
        return errors.decode(errors="replace")[-2000:]
