"""Words that have no place in the repository: unfinished work, machine paths, references to elsewhere.

A note to oneself is either work to be done now or an issue; a path of one machine helps nobody else; a
number of a discussion that the reader can't open explains nothing.
"""

from __future__ import annotations

import re

from tests.house.sources import ROOT, text_files

# Character classes keep these patterns from finding themselves.
FORBIDDEN = {
    "unfinished work": re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b"),
    "a path of one machine": re.compile(r"(?<![\w.~/}-])/(wor[k]|roo[t]|home/\w+|tmp/\w+|opt/py\w+)\b"),
    "a reference to elsewhere": re.compile(r"\b[iI]ssue[s]? ?#?\d+\b"),
    "an index other than the public one": re.compile(r"(index-ur[l]|extra-inde[x]|find-link[s]) *=?"),
}


def test_no_file_has_words_that_do_not_belong() -> None:
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{number}: {what}: {line.strip()}"
        for path in text_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    assert found == []
