"""The properties with many more examples: an hour's search instead of half a minute's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.house.sources import ROOT
from tests.support.rounds import ROUNDS

EXAMPLES = "4000"
TIMES = "10"
COSTLY = (
    "tests/storage/test_changes.py",
    "tests/api/test_projects_limit.py",
    "tests/api/test_rating_again.py",
    "tests/contracts/test_usage_questions.py",
)
"""Where `rounds` is asked for."""


def run_tests(*paths: str, **environ: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *paths, "-q", "--timeout=5000", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_every_property_holds_over_thousands_of_examples() -> None:
    run_tests("tests/fuzz", BURSAR_FUZZ_EXAMPLES=EXAMPLES)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_costly_properties_hold_over_ten_times_the_examples() -> None:
    run_tests(*COSTLY, **{ROUNDS: TIMES})


def test_the_long_run_knows_every_file_that_asks_for_rounds() -> None:
    asking = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "import rounds\n" in path.read_text()
    }
    assert asking == set(COSTLY)
