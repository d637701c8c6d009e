"""An ext4 volume in a file, one folder of which the kernel encrypts (fscrypt, policy version 2).

The kernel's own calls, as `fscrypt` makes them (linux/fscrypt.h): add a key to a file system, give an empty
folder a policy, take the key away. Needs root, loop devices, and a kernel that can do it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

SIZE_BYTES = 256 * 2**20
KEY_BYTES = 64
_BY_IDENTIFIER = 2
_IDENTIFIER = slice(8, 24)
_POLICY_2 = 2
_AES_256_XTS, _AES_256_CTS = 1, 4
_PAD_32 = 3


def _ioctl(direction: int, number: int, size: int) -> int:
    """As the macros _IOR (2) and _IOWR (3) of the kernel make it, for the letter f."""
    return direction << 30 | size << 16 | ord("f") << 8 | number


_SET_POLICY, _ADD_KEY, _REMOVE_KEY = _ioctl(2, 19, 12), _ioctl(3, 23, 80), _ioctl(3, 24, 64)


class EncryptedVolume:
    """A volume that is mounted, with a folder that can be locked."""

    def __init__(self, image: Path, place: Path) -> None:
        """Use what `encrypted_volume` has made."""
        self.image = image
        self.place = place
        self.folder = place / "encrypted"
        self._key = os.urandom(KEY_BYTES)

    def unlock(self) -> bytes:
        """Give the kernel the key; answers its identifier."""
        spec = struct.pack("<II32s", _BY_IDENTIFIER, 0, b"")
        argument = bytearray(spec + struct.pack("<II32x", KEY_BYTES, 0) + self._key)
        self._call(self.place, _ADD_KEY, argument)
        return bytes(argument[_IDENTIFIER])

    def encrypt_folder(self) -> None:
        """Make the folder, empty and encrypted."""
        self.folder.mkdir(mode=0o700)
        modes = (_POLICY_2, _AES_256_XTS, _AES_256_CTS, _PAD_32)
        self._call(self.folder, _SET_POLICY, bytearray(struct.pack("<4B4x16s", *modes, self.unlock())))

    def lock(self, identifier: bytes) -> None:
        """Take the key away, and everything that is cached in clear."""
        argument = bytearray(struct.pack("<II32s24x", _BY_IDENTIFIER, 0, identifier))
        self._call(self.place, _REMOVE_KEY, argument)

    @staticmethod
    def _call(path: Path, number: int, argument: bytearray) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, number, argument, True)  # noqa: FBT003 - its fourth, positional only
        finally:
            os.close(descriptor)


@contextmanager
def encrypted_volume(place: Path) -> Generator[EncryptedVolume]:
    """A mounted volume with an encrypted folder, gone afterwards.

    Raises:
        OSError: this machine can't do it; the message says what it lacks.
    """
    if os.geteuid() != 0 or not all(map(shutil.which, ("mkfs.ext4", "mount", "umount"))):
        message = "an encrypted volume needs root, mkfs.ext4 and mount"
        raise OSError(message)
    image, mounted = place / "volume", place / "mounted"
    with image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    mounted.mkdir()
    _run("mkfs.ext4", "-q", "-O", "encrypt", str(image))
    _run("mount", "-o", "loop", str(image), str(mounted))
    try:
        volume = EncryptedVolume(image, mounted)
        volume.encrypt_folder()
        yield volume
    finally:
        _run("umount", str(mounted))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{command[0]} failed here: {done.stderr.strip()}"
        raise OSError(message)
