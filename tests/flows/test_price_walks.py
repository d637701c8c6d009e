"""The pages about prices that change go as they are told, beside a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.serving import running_server
from tests.support.walk import Walk

if TYPE_CHECKING:
    from pathlib import Path


def walk(folder: Path, page: str) -> list[str]:
    with running_server(folder / "ledger"):
        return Walk(f"how-to/{page}", folder).run_all()


def words(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines()]


def test_o3_got_cheaper(tmp_path: Path) -> None:
    sent, history, news, rated, after = walk(tmp_path, "o3-got-cheaper")
    assert "o3-may: 1.8 USD (priced)" in sent
    assert "o3-july: 0.36 USD (priced)" in sent
    assert [line[:2] for line in words(history) if line[:1] == ["output_tokens"]][:2] == [
        ["output_tokens", "40"],
        ["output_tokens", "8"],
    ]
    assert ["-25", "%"] in [
        line[7:9] for line in words(news) if line[:4] == ["changed", "openai", "o3", "input_tokens"]
    ]
    assert ["USD", "0.36", "0.27", "-0.09"] in words(rated)
    assert "Events rated anew: 1." in rated
    assert "o3-november: 0.27 USD (priced)" in after
    assert "0.36 USD (priced)" in after
    assert "o3 got cheaper on 1 November" in after
    assert "o3-july: 0.36 USD (priced)" in after
    assert "ties out" in after


def test_a_new_model_was_unpriced_for_a_day(tmp_path: Path) -> None:
    sent, listed, rated, after = walk(tmp_path, "a-new-model-was-unpriced")
    assert "2 of them have no known price (unknown_model 2)" in sent
    assert "0.65 USD" in listed
    assert ["had", "no", "price", "and", "get", "one", "2"] in words(rated)
    assert "Everything that is selected has a price." in after
    assert ["gpt-7-nova", "USD", "0.88", "2", "200000", "40000"] in words(after)
    assert "new-1: 0.6 USD (priced)" in after
    assert "unpriced: unknown_model" in after


def test_we_negotiated_12_percent(tmp_path: Path) -> None:
    _sent, agreed, rated, after = walk(tmp_path, "we-negotiated-12-percent")
    assert "discount of 12 %" in agreed
    assert ["USD", "0.36", "0.3168", "-0.0432"] in words(rated)
    assert "november: 0.3168 USD (priced)" in after
    assert "october: 0.36 USD (priced)" in after
    assert "discount 12 %" in after


def test_report_in_one_currency(tmp_path: Path) -> None:
    before, rates, told, unasked = walk(tmp_path, "report-in-one-currency")
    assert "In EUR: unknown" in before
    assert "no exchange rate of GBP for 1 days (2026-11-18 to 2026-11-18)" in before
    assert "Entered 4 rates; 0 were entered already." in rates
    # 1.6 + 4 + 1.818181818182
    assert "In EUR: 7.418181818182" in told
    assert "  2 USD of 2026-11-21 to 2026-11-21 by 1 EUR = 1.1000 USD (2026-11-20)" in told
    assert "In EUR: 7.418181818182" in unasked
