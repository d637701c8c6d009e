"""The benchmarks' own table: what counts as met, what as a fault, and that every scenario still runs.

Figures are never asserted here: they belong to machines. The run of all scenarios is small and marked
slow; peers, which are installed from the network, are left out of it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.__main__ import SCENARIOS, main
from bench.report import Line, Report, at_least, at_most, percentile
from tests.house.sources import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MET = 5
ALONE = ["batches", "singles", "latency", "queries", "footprint", "dedupe", "keys", "fill"]
"""Every scenario that needs nothing from a package index."""


def test_a_target_is_met_by_the_median_of_all_runs() -> None:
    assert Line("rate", [10, 50, 60], "events/s", at_least(50)).cells()[MET] == "yes"
    assert Line("rate", [10, 49, 90], "events/s", at_least(50)).cells()[MET] == "NO"
    assert Line("wait", [10, 49, 90], "ms", at_most(50)).cells()[MET] == "yes"
    assert Line("wait", [10, 51, 52], "ms", at_most(50)).cells()[MET] == "NO"
    assert Line("wait", [10], "ms").cells()[MET] == ""


def test_a_missed_target_is_no_fault_and_a_refused_event_is() -> None:
    report = Report()
    report.add(Line("rate", [1], "events/s", at_least(50)))
    assert report.faults == []
    report.fault("3 events were refused")
    assert report.faults == ["3 events were refused"]


def test_the_table_has_every_line_with_smallest_and_largest_value() -> None:
    report = Report()
    report.add(Line("rate", [1_000, 3_000, 2_000], "events/s", at_least(50), "2.0 µs/event", load=1.25))
    report.add(Line("wait", [0.125], "ms"))
    head, rule, first, second = report.as_markdown().splitlines()
    assert [cell.strip() for cell in first.split("|")[1:5]] == [
        "rate",
        "at least 50.0",
        "2,000 (1,000..3,000)",
        "events/s",
    ]
    assert second.split("|")[3].strip() == "0.125"
    assert len({len(line) for line in (head, rule, first, second)}) == 1


def test_a_percentile_is_one_of_the_values() -> None:
    values = list(range(100, 0, -1))
    assert percentile(values, 0.99) == 100
    assert percentile(values, 0.5) == 51
    assert percentile([7], 0.99) == 7


def test_help_tells_of_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert [name for name, one in SCENARIOS.items() if name not in shown or one.about not in shown] == []


def test_an_unknown_scenario_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["batches", "nonsense"])
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_a_scenario_runs_and_loses_nothing(name: str, tmp_path: Path) -> None:
    size = ["--events", "2000", "--runs", "1", "--asks", "2", "--seconds", "6"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", name, *size, "--scratch", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "FAULT" not in done.stdout
    date_blank_head_rule_and_limits = 7
    assert len(done.stdout.splitlines()) > date_blank_head_rule_and_limits
