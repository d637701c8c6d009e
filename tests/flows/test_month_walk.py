"""The page about billing by the month goes as it is told, beside a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.serving import running_server
from tests.support.walk import Walk

if TYPE_CHECKING:
    from pathlib import Path


def test_a_month_is_billed_closed_and_corrected_as_the_page_says(tmp_path: Path) -> None:
    with running_server(tmp_path / "ledger"):
        printed = Walk("how-to/bill-by-the-month", tmp_path).run_all()
    assert "119.75" in printed[2]
    assert "Closed: 2026-10." in printed[3]
    decoder = json.JSONDecoder()
    text = printed[4]
    october, end = decoder.raw_decode(text, text.index("{"))
    november, _ = decoder.raw_decode(text, text.index("{", end))
    assert (october["month"], october["state"], october["totals"][0]["total"]) == (
        "2026-10",
        "closed",
        "119.75",
    )
    assert [(one["month"], one["lines"][0]["amount"]) for one in november["corrections"]] == [
        ("2026-10", "0.75")
    ]
