"""The Unix socket in the data folder, through which Bursar's own commands reach a running server.

Whoever may open the file is the operator, so it is made with mode 0600 before anybody can connect. A
socket's path is limited to about a hundred bytes by the kernel (`sun_path`, unix(7)); deeper folders
are reached by a shorter way to the same file.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from functools import cache
from pathlib import Path

from bursar.errors import ConfigurationError

PATH_LIMIT = 107 if sys.platform == "linux" else 103
"""Bytes that `sockaddr_un.sun_path` holds besides its final NUL."""


def address_of(path: Path) -> str:
    """What to bind or connect to in order to reach the socket at `path`, however deep it lies.

    Raises:
        ConfigurationError: this system has no short way to it.
    """
    absolute = path.absolute()
    relative = os.path.relpath(absolute)
    for way in (str(absolute), relative):
        if len(os.fsencode(way)) <= PATH_LIMIT:
            return way
    if sys.platform != "linux":
        message = f"The path of {absolute} is too long for a Unix socket; choose a shorter data folder."
        raise ConfigurationError(message)
    return f"/proc/self/fd/{_handle_of(absolute.parent)}/{absolute.name}"


@cache
def _handle_of(folder: Path) -> int:
    """A descriptor of the folder, open for as long as this process lives: a command has one folder."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def bind_socket(path: Path) -> socket.socket:
    """A socket at `path` that only this user can connect to; one left by a crash is replaced.

    Call it only while holding the folder's lock.
    """
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(address_of(path))
        # Nobody can connect before it listens, so there is no moment with a wider mode.
        path.chmod(0o600)
    except BaseException:
        bound.close()
        raise
    return bound


def remove_socket(path: Path) -> None:
    """Take the file away after the server has stopped listening."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
