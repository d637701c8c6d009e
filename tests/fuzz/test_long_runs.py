"""The properties with many more examples: an hour's search instead of half a minute's."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.house.sources import ROOT
from tests.support.rounds import ROUNDS

CHEAP, COSTLY = "100", "40"
"""Rounds of what is asked of one server, and of properties that may fill stores with each example."""


def run_properties(*paths: str, times: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *paths, "-m", "hypothesis and not slow", "-q", "--timeout=5000"],
        cwd=ROOT,
        env={**os.environ, ROUNDS: times},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_every_property_of_the_doors_holds_over_thousands_of_examples() -> None:
    run_properties("tests/fuzz", times=CHEAP)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_all_others_hold_over_forty_times_the_examples() -> None:
    run_properties("tests", "--ignore=tests/fuzz", times=COSTLY)


def test_every_property_tries_more_examples_where_more_rounds_are_asked_for() -> None:
    fixed = {
        str(path.relative_to(ROOT)): found
        for path in (ROOT / "tests").rglob("*.py")
        if (found := re.findall(r"max_examples=\d+", path.read_text()))
    }
    assert fixed == {}, "ask `rounds` for it"
