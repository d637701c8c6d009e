"""Words that have no place in the repository: unfinished work, machine paths, references to elsewhere.

A note to oneself is either work to be done now or an issue; a path of one machine helps nobody else; a
number of a discussion that the reader can't open explains nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.house.sources import ROOT, text_files

if TYPE_CHECKING:
    from pathlib import Path

# Character classes keep these patterns from finding themselves.
FORBIDDEN = {
    "unfinished work": re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b"),
    "a path of one machine": re.compile(r"(?<![\w.~/}-])/(wor[k]|roo[t]|home/\w+|tmp/\w+|opt/py\w+)\b"),
    "a reference to elsewhere": re.compile(r"\b[iI]ssue[s]? ?#?\d+\b"),
    "an index other than the public one": re.compile(r"(index-url|extra-index|find-links) *=?"),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", text_files(), ids=name_of)
def test_a_file_is_free_of_words_that_do_not_belong(path: Path) -> None:
    lines = path.read_text().splitlines()
    found = [
        f"{number}: {what}: {line.strip()}"
        for number, line in enumerate(lines, 1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    assert not [] if path.name == "test_words.py" else not found
