"""Where the recorded provider answers lie, and a named skip where they don't.

They are not part of this repository: they stand in `../shared/fixtures` beside it, or where
`BURSAR_FIXTURES` says. Each test that needs one is skipped by the file's name when it is missing.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FIXTURES = Path(os.environ.get("BURSAR_FIXTURES", REPOSITORY.parent / "shared" / "fixtures"))


def recorded(folder: str, name: str) -> Path:
    """The recorded file, or a skip that names it."""
    path = FIXTURES / folder / name
    if not path.is_file():
        pytest.skip(f"{folder}/{name} is not on this machine")
    return path


def recorded_names(folder: str) -> set[str]:
    """Names of all recorded files in a folder, or a skip where there is none."""
    if not (FIXTURES / folder).is_dir():
        pytest.skip(f"{folder}/ is not on this machine")
    return {path.name for path in (FIXTURES / folder).iterdir()}
