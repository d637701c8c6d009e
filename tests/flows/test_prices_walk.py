"""The page about keeping prices current goes as it is told, beside a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.serving import running_server
from tests.support.walk import Walk

if TYPE_CHECKING:
    from pathlib import Path


def test_prices_are_updated_filled_and_compared_as_the_page_says(tmp_path: Path) -> None:
    with running_server(tmp_path / "ledger"):
        printed = Walk("how-to/keep-prices-current", tmp_path).run_all()
    sources, shown, first, cheaper, dated, filled, told = printed
    assert "genai-prices" in sources
    assert shown.index(" 2 ") < shown.index(" 10 "), "o3 costs a fifth of what it did"
    assert "newco-1" in first
    assert "Update 2 was kept." in first
    assert "-25 %" in cheaper
    assert "Update 3 was kept." in cheaper
    assert "#3" in cheaper
    assert "1.25" in dated
    assert "disagrees 1 times" in filled
    assert "+20 %" in filled
    assert "litellm" in filled
    assert "newco got cheaper" in told
    assert "no_prices" in told
