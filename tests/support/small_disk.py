"""A file system of a few megabytes, for tests that fill it up.

A helper process makes a mount namespace of its own with a `tmpfs` in it, which needs no rights on most
machines; it goes away with the process. Others look into it through its `root` below `/proc`, or enter it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_MOUNT = 'mount -t tmpfs -o size="$2" tmpfs "$1" && echo mounted && read -r _'


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A mounted file system."""

    mount_point: Path
    """Where those see it who have entered."""
    holder: int
    """The process whose namespaces are to be entered."""

    @property
    def path(self) -> Path:
        """Where everybody else sees it."""
        return Path(f"/proc/{self.holder}/root{self.mount_point}")

    @property
    def free_bytes(self) -> int:
        """What is left."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def leave_only(self, free_bytes: int) -> None:
        """Fill it up to this, whoever takes room meanwhile."""
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
        try:
            while (taken := self.free_bytes - free_bytes) > 0:
                with suppress(OSError):
                    os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, taken)
        finally:
            os.close(descriptor)

    def make_room(self) -> None:
        """Undo that."""
        self._filler.unlink()

    def freeze(self) -> None:
        """Make it read-only, whoever has files open for writing on it."""
        self._remount("ro")

    def thaw(self) -> None:
        """Undo that."""
        self._remount("rw")

    def _remount(self, how: str) -> None:
        enter = ["nsenter", "--target", str(self.holder), "--user", "--mount", "--preserve-credentials"]
        subprocess.run([*enter, "mount", "-o", f"remount,{how}", str(self.mount_point)], check=True)

    @property
    def _filler(self) -> Path:
        return self.path / "filler"


@contextmanager
def small_disk(mount_point: Path, size_bytes: int) -> Generator[SmallDisk]:
    """A file system of this size, mounted where only the helper process sees it."""
    mount_point.mkdir()
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        _MOUNT,
        "sh",
        str(mount_point),
        str(size_bytes),
    ]
    try:
        holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    except FileNotFoundError:
        pytest.skip("this machine has no `unshare` to mount a small file system with")
    assert holder.stdout
    try:
        if holder.stdout.readline() != "mounted\n":
            pytest.skip(
                f"this machine lets nobody mount a small file system: {holder.communicate()[1].strip()}"
            )
        yield SmallDisk(mount_point, holder.pid)
    finally:
        holder.communicate("\n")


def enter_disk(holder: int) -> None:
    """Let this process, which must have one thread only, see the file system from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    for kind in ("user", "mnt"):
        descriptor = os.open(f"/proc/{holder}/ns/{kind}", os.O_RDONLY)
        if libc.setns(descriptor, 0) != 0:
            raise OSError(ctypes.get_errno(), f"setns {kind}")
        os.close(descriptor)
