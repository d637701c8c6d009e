"""Summaries, breakdowns, trends and rankings over HTTP: what they say, in which currency, of what."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.support.usage_house import NOW, House, open_house, table_of, three_days, usage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def opened() -> Iterator[House]:
    with open_house() as house:
        yield house


@pytest.fixture
def house(opened: House) -> House:
    opened.ledger.clear()
    return opened


@pytest.fixture
def busy(house: House) -> House:
    house.ledger.add(*three_days())
    return house


def test_x(busy):
    import json
    for p in ("cost/summary","cost/summary?currency=EUR","cost/breakdown?group_by=model_name&days=7","analytics/trends?window=7d&metric=total_cost","analytics/top?by=models", "analytics/top?metric=events&group_by=user"):
        print(p, json.dumps(busy.get("/api/v1/"+p).json(), indent=1))
        print(busy.get("/api/v1/"+p+("&" if "?" in p else "?")+"format=csv").text)
    assert 0
