"""The same properties with many more examples: an hour's search instead of half a minute's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.house.sources import ROOT

EXAMPLES = "4000"


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_every_property_holds_over_thousands_of_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/fuzz", "-q", "--timeout=5000", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "BURSAR_FUZZ_EXAMPLES": EXAMPLES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
