"""Which file a descriptor stands for: what tests that listen in on `fsync` want to know."""

from __future__ import annotations

from pathlib import Path


def path_of(descriptor: int) -> str:
    """The path of an open file or folder."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())
