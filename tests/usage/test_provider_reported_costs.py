"""What an answer says that it cost is kept beside our figure: exact, in its currency, never used unasked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bursar.errors import Invalid
from bursar.identity.caller import Caller
from bursar.identity.permissions import Scope, permissions_of
from bursar.pricing.books import PriceBooks
from bursar.pricing.genai_source import load_book
from bursar.usage.checks import Receipt, TimeRules
from bursar.usage.event import ReportedCost, UsageEvent
from bursar.usage.intake import Intake, RecordMaker
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.providers.provider_usage import EVERYTHING, FEE_AND_UPSTREAM, ProviderCost
from bursar.usage.record import UsageRecord, encode_record

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOKENS = {"prompt_tokens": 10, "completion_tokens": 2}


def reported(**fields: Any) -> ProviderCost | None:  # noqa: ANN401 - any JSON value
    return normalise_usage({**TOKENS, **fields}, "openrouter").reported_cost


def test_openrouters_cost_is_all_that_it_charges() -> None:
    assert reported(cost=Decimal("0.00024"), is_byok=False) == ProviderCost(Decimal("0.00024"), EVERYTHING)
    assert reported(cost=0) == ProviderCost(Decimal(0), EVERYTHING)


def test_noise_of_doubles_is_rounded_away() -> None:
    noisy = Decimal("0.0076509169000000005")

    assert reported(cost=noisy) == reported(cost=float(noisy))
    assert reported(cost=noisy) == ProviderCost(Decimal("0.0076509169"), EVERYTHING)


def test_with_a_key_of_ones_own_the_upstream_bill_is_added_to_the_fee() -> None:
    details = {"upstream_inference_cost": Decimal("0.0002265")}

    free = reported(cost=0, is_byok=True, cost_details=details)
    charged = reported(cost=Decimal("0.00001"), is_byok=True, cost_details=details)

    assert free == ProviderCost(Decimal("0.0002265"), FEE_AND_UPSTREAM)
    assert charged == ProviderCost(Decimal("0.0002365"), FEE_AND_UPSTREAM)


def test_an_upstream_bill_in_parts_is_their_sum() -> None:
    details = {
        "upstream_inference_cost": None,
        "upstream_inference_prompt_cost": Decimal("0.1"),
        "upstream_inference_completions_cost": Decimal("0.02"),
    }

    assert reported(cost=0, is_byok=True, cost_details=details) == ProviderCost(
        Decimal("0.12"), FEE_AND_UPSTREAM
    )


def test_an_upstream_bill_that_nobody_told_is_not_zero() -> None:
    usage = normalise_usage({**TOKENS, "cost": 0, "is_byok": True}, "openrouter")

    assert usage.reported_cost is None
    assert usage.notes == ("byok_upstream_cost_not_said",)


def test_xais_ticks_are_ten_billion_to_the_dollar() -> None:
    assert reported(cost_in_usd_ticks=232_856_000) == ProviderCost(Decimal("0.0232856"), EVERYTHING)


def test_perplexitys_total_counts_its_request_fee_too() -> None:
    cost = {"input_tokens_cost": Decimal("0.00001"), "request_cost": Decimal("0.006")}

    assert reported(cost={**cost, "total_cost": Decimal("0.00601")}) == ProviderCost(
        Decimal("0.00601"), EVERYTHING
    )
    assert reported(cost=cost) is None


@pytest.mark.parametrize("wrong", [-1, "0.5", True, [], Decimal(1_000_000)])
def test_a_cost_that_can_not_be_is_refused(wrong: object) -> None:
    with pytest.raises(Invalid) as caught:
        normalise_usage({**TOKENS, "cost": wrong}, "openrouter")

    assert [reason.field for reason in caught.value.reasons] == ["usage.cost"]


def record_of(event: UsageEvent) -> UsageRecord:
    """The record that the door makes of an event, as the journal gives it back."""
    caller = Caller("acme", "key_1", permissions_of({Scope.INGEST}))
    receipt = Receipt.of(
        caller, "native", NOW, TimeRules(timedelta(days=35), timedelta(minutes=5)), lambda _: True
    )
    intake = Intake(RecordMaker(PriceBooks(load_book())), receipt)
    intake.take([event])
    assert intake.rejections == []
    return msgspec.json.decode(encode_record(intake.records[0]), type=UsageRecord)


def test_the_providers_figure_stands_beside_ours_in_the_record() -> None:
    usage = {**TOKENS, "cost": Decimal("0.00024")}

    record = record_of(UsageEvent(provider="openrouter", model="openai/gpt-4.1-mini", usage=usage))

    # 10 x 0.40 and 2 x 1.60 for a million (https://openrouter.ai/openai/gpt-4.1-mini).
    assert (record.cost, record.cost_status) == ("0.000007200000", "priced")
    assert (record.reported_cost, record.reported_currency) == ("0.000240000000", "USD")


def test_the_callers_figure_goes_before_the_providers() -> None:
    usage = {**TOKENS, "cost": Decimal("0.00024")}
    caller = ReportedCost(Decimal("0.5"), "EUR")

    record = record_of(
        UsageEvent(provider="openrouter", model="openai/gpt-4.1-mini", usage=usage, cost=caller)
    )

    assert (record.reported_cost, record.reported_currency) == ("0.500000000000", "EUR")


def test_the_providers_figure_alone_prices_nothing() -> None:
    usage = {**TOKENS, "cost": Decimal("0.00024")}

    record = record_of(UsageEvent(provider="openrouter", model="nobody/knows-this", usage=usage))

    assert (record.cost, record.cost_status, record.cost_reason) == (None, "unpriced", "unknown_model")
    assert record.reported_cost == "0.000240000000"
