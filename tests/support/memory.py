"""How much memory this process takes at most while a block runs.

The kernel's high-water mark is set back first, so that what ran before in the same process hides nothing.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_SELF = Path("/proc/self")
_SET_BACK_PEAK = "5"
"""See proc(5), `clear_refs`."""


@dataclass(slots=True)
class Growth:
    """By how much memory grew at most."""

    bytes: int = 0


@contextmanager
def growing() -> Generator[Growth]:
    """Tells, once the block is left, how many bytes more than before were in memory at some moment of it."""
    gc.collect()
    growth = Growth()
    (_SELF / "clear_refs").write_text(_SET_BACK_PEAK)
    before = _bytes_of("VmRSS")
    assert _bytes_of("VmHWM") <= before + 8 * 2**20, "the high-water mark wasn't set back"
    yield growth
    growth.bytes = _bytes_of("VmHWM") - before


def _bytes_of(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", (_SELF / "status").read_text(), re.MULTILINE)
    assert found, name
    return int(found[1]) * 1024
