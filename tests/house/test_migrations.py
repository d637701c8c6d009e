"""The migrations of the state store are one line: two that follow the same one would stop every start."""

from __future__ import annotations

import re

from tests.house.sources import ROOT

VERSIONS = ROOT / "src/bursar/storage/relational/migrations/versions"


def test_every_migration_follows_the_one_before_it() -> None:
    files = sorted(VERSIONS.glob("*.py"))
    texts = [file.read_text() for file in files]
    found = [re.findall(r'^(?:down_)?revision(?:: .*)? = "?(\w+)"?$', text, re.MULTILINE) for text in texts]
    numbers = [file.name[:4] for file in files]
    assert found == [list(pair) for pair in zip(numbers, ["None", *numbers], strict=False)]
