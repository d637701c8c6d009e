"""`bursar billing` and `bursar seats`: months listed and estimated, seats that end, odd names refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar
from tests.support.access import keys_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def test_seats_are_listed_and_end_and_their_months_too(data: Path) -> None:
    add = ("seats", "add", "--provider", "anthropic", "--plan", "Team", "--seats", "3", "--price", "31")
    made = bursar(*add, "--starts", "2026-10-01", "--ends", "2026-10-03", "--data", data, "--json").json
    assert made["recorded_until"] == "2026-10-03"
    assert made["id"] in bursar("seats", "list", "--data", data).out
    (listed,) = [one for one in bursar("billing", "list", "--data", data, "--json").json if one["totals"]]
    assert (listed["month"], listed["totals"][0]["total"]) == ("2026-10", "6")
    assert "2026-10" in bursar("billing", "list", "--data", data).out
    later = bursar(*add, "--starts", "2199-01-01", "--data", data)
    assert later.out.endswith("; it has not begun yet.\n")
    plan = later.out.split()[1].rstrip(";")
    assert bursar("seats", "end", plan, "--data", data).out == f"{plan} ends on 2199-01-01.\n"


def test_an_estimate_needs_a_complete_day(server: RunningServer, data: Path) -> None:
    keys_of(server, "cli-estimate")
    ran = bursar("billing", "estimate", "--tenant", "cli-estimate", "--data", data)
    assert (ran.code, "there is nothing to go by" in ran.out) == (0, True)


@pytest.mark.parametrize("odd", ["../estimate", "2026-10?x=1", "2026-10/finalise", "soon"])
def test_a_name_with_odd_characters_is_a_name_and_no_other_path(data: Path, odd: str) -> None:
    for command in (("billing", "show"), ("billing", "finalise"), ("seats", "end"), ("explain",)):
        ran = bursar(*command, odd, "--data", data)
        assert ran.code == 1, (command, ran.out)
        assert ran.err.startswith("bursar: "), (command, ran.err)
