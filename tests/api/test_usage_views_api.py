"""Summaries, breakdowns, trends and rankings over HTTP: what they say, in which currency, of what."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.support.usage_house import NOW, House, table_of, usage

# ---------------------------------------------------------------------------------------------- summary


def test_the_summary_has_every_figure_that_clients_of_reskpoints_expect(busy: House) -> None:
    summary = busy.get("/api/v1/cost/summary?days=30").json()
    assert (summary["period_start"], summary["period_end"]) == (
        "2026-09-16T00:00:00Z",
        "2026-10-16T00:00:00Z",
    )
    assert (summary["total_cost"], summary["currency"]) == ("2.1345", "USD")
    assert summary["costs"] == [
        {"currency": "EUR", "amount": "5", "unpriced_events": 0},
        {"currency": "USD", "amount": "2.1345", "unpriced_events": 1},
    ]
    assert (summary["total_transactions"], summary["unpriced"]) == (5, {"events": 1})
    assert summary["cost_by_provider"] == {"anthropic": "2", "openai": "0.1345", "": None}
    assert summary["cost_by_model"] == {"claude": "2", "gpt-4": "0.1345", "mystery": None}
    assert summary["cost_by_user"] == {"ada": "2.0345", "bob": "0.1", "=cmd()": None}
    assert summary["cost_by_project"] == {"": "2.1345"}
    assert (summary["total_input_tokens"], summary["total_output_tokens"]) == (1013, 507)
    assert (summary["total_tokens"], summary["avg_duration_ms"], summary["success_rate"]) == (
        1520,
        "100",
        "80",
    )
    assert summary["truncated"] == []


def test_the_summary_says_beside_each_cost_how_many_events_it_leaves_out(house: House) -> None:
    house.ledger.add(
        usage(1, cost=Decimal(3), model="a", user_id="ada"),
        usage(1, model="a", user_id="ada", provider="openai"),
        usage(2, model="a", currency="EUR"),
        usage(1, cost=Decimal(1), currency="EUR", model="b"),
        usage(1, currency="EUR", model="b"),
    )
    summary = house.get("/api/v1/cost/summary?window=all").json()
    assert summary["costs"] == [
        {"currency": "EUR", "amount": "1", "unpriced_events": 2},
        {"currency": "USD", "amount": "3", "unpriced_events": 1},
    ]
    assert summary["cost_by_model"] == {"a": "3"}
    assert summary["unpriced_by_model"] == {"a": 2, "b": 1}
    assert summary["unpriced_by_user"] == {"": 2, "ada": 1}
    for name in ("provider", "model", "user", "project"):
        assert sum(summary[f"unpriced_by_{name}"].values()) == summary["unpriced"]["events"] == 3
    table = table_of(house.get("/api/v1/cost/summary?window=all&format=csv"))
    assert [row[4] for row in table if row[0] in {"breakdown", "total", "model"}] == [
        "unpriced_events",
        "1",
        "2",
        "2",
    ]


def test_the_summary_is_of_one_currency_which_a_filter_chooses(busy: House) -> None:
    summary = busy.get("/api/v1/cost/summary?currency=EUR").json()
    assert (summary["currency"], summary["total_cost"]) == ("EUR", "5")
    assert summary["cost_by_model"] == {"claude": "5"}


def test_the_summary_of_a_house_that_pays_in_euros_is_in_euros(house: House) -> None:
    house.ledger.add(usage(1, cost=Decimal(3), currency="EUR", model="a"), usage(1, model="b"))
    summary = house.get("/api/v1/cost/summary").json()
    assert (summary["currency"], summary["total_cost"]) == ("EUR", "3")
    assert summary["cost_by_model"] == {"a": "3", "b": None}


def test_the_summary_of_nothing_is_0_and_of_unpriced_events_unknown(house: House) -> None:
    empty = house.get("/api/v1/cost/summary").json()
    assert (empty["total_cost"], empty["costs"], empty["success_rate"]) == ("0", [], None)
    house.ledger.add(usage(1))
    unknown = house.get("/api/v1/cost/summary").json()
    assert (unknown["total_cost"], unknown["unpriced"]) == (None, {"events": 1})


def test_the_summary_follows_filters_in_every_part(busy: House) -> None:
    summary = busy.get("/api/v1/cost/summary?user_id=ada&service_provider=openai").json()
    assert summary["cost_by_model"] == {"gpt-4": "0.0345"}
    assert summary["total_transactions"] == 1


def test_the_summary_says_which_breakdown_it_cut_off(house: House) -> None:
    house.ledger.add(*(usage(1, user_id=f"u{index:04}", cost=Decimal(1)) for index in range(1001)))
    summary = house.get("/api/v1/cost/summary").json()
    assert summary["truncated"] == ["user"]
    assert len(summary["cost_by_user"]) == 1000
    assert summary["total_cost"] == "1001"


# -------------------------------------------------------------------------------- cost by dimensions


def test_a_breakdown_lists_the_largest_first_with_shares(busy: House) -> None:
    answer = busy.get("/api/v1/cost/breakdown?group_by=model_name&days=7").json()
    assert answer["group_by"] == ["model"]
    assert [(row["model"], row["currency"], row["cost"], row["share"]) for row in answer["rows"]] == [
        ("claude", "EUR", "5", "1"),
        ("claude", "USD", "2", "0.936988"),
        ("gpt-4", "USD", "0.1345", "0.063012"),
        ("mystery", "USD", None, None),
    ]
    assert answer["totals"]["cost"] == [
        {"currency": "EUR", "amount": "5"},
        {"currency": "USD", "amount": "2.1345"},
    ]
    assert answer["unpriced"] == {"events": 1}
    assert answer["columns"][-1]["name"] == "share"


def test_a_breakdown_groups_by_several_dimensions_tags_and_time(busy: House) -> None:
    busy.ledger.add(usage(0, cost=Decimal(1), tags={"team": "red"}))
    rows = busy.get("/api/v1/cost/breakdown?group_by=day,tag:team&currency=USD").json()["rows"]
    assert [(row["period"], row["tag:team"], row["cost"]) for row in rows] == [
        ("2026-10-12T00:00:00Z", None, None),
        ("2026-10-13T00:00:00Z", None, "2"),
        ("2026-10-14T00:00:00Z", None, "0.1345"),
        ("2026-10-15T00:00:00Z", "red", "1"),
    ]
    both = busy.get("/api/v1/cost/breakdown").json()
    assert both["group_by"] == ["provider", "model"]


def test_a_breakdown_pages_and_refuses_what_it_does_not_know(busy: House) -> None:
    page = busy.get("/api/v1/cost/breakdown?group_by=model&limit=1&offset=1").json()
    assert ([row["currency"] for row in page["rows"]], page["has_more"]) == (["USD"], True)
    assert busy.refusals("/api/v1/cost/breakdown?group_by=colour,model,model&grain=day&limit=x") == {
        ("dimensions", "unknown_dimension"),
        ("dimensions", "repeated"),
        ("limit", "bad_number"),
    }
    assert busy.refusals("/api/v1/cost/breakdown?group_by=day&period=week") == {
        ("grain", "conflicting_parameters")
    }


# ----------------------------------------------------------------------------------------------- trends


def test_a_trend_fills_gaps_and_leaves_the_running_period_out(house: House) -> None:
    house.ledger.add(*(usage(days) for days in (4, 3, 3, 1, 1, 1)), *[usage(0)] * 50)
    trend = house.get("/api/v1/analytics/trends?window=2026-10-11/2026-10-16").json()
    assert [
        (point["period"][:10], point["value"], point["is_complete"]) for point in trend["data_points"]
    ] == [
        ("2026-10-11", 1, True),
        ("2026-10-12", 2, True),
        ("2026-10-13", 0, True),
        ("2026-10-14", 3, True),
        ("2026-10-15", 50, False),
    ]
    assert (trend["trend_direction"], trend["percentage_change"]) == ("stable", "0")
    assert (trend["metric"], trend["period"], trend["totals"]) == ("events", "day", 56)


def test_a_trend_of_cost_is_in_one_currency_and_unknown_cost_is_no_zero(busy: House) -> None:
    trend = busy.get("/api/v1/analytics/trends?metric=total_cost&period=day&window=7d").json()
    assert [point["value"] for point in trend["data_points"]] == ["0", "0", "0", None, "2", "0.1345", "0"]
    assert (trend["currency"], trend["unpriced"]) == ("USD", {"events": 1})
    assert (trend["trend_direction"], trend["percentage_change"]) == ("up", None)


def test_a_trend_has_no_figure_where_nothing_was_measured(busy: House) -> None:
    path = "/api/v1/analytics/trends?window=2026-10-13/2026-10-16&metric="
    for metric, values in {
        "latency_p50_ms": ["100.327", "100.327", None],
        "error_rate": ["0", "0.5", None],
        "unique_users": [1, 2, 0],
        "seconds": ["0", "0", "0"],
    }.items():
        points = busy.get(path + metric).json()["data_points"]
        assert [point["value"] for point in points] == values, metric


def test_a_trend_counts_the_days_of_the_reporting_zone(house: House) -> None:
    house.ledger.add(usage(0, time=NOW.replace(hour=22, minute=30, day=13)))
    points = house.get("/api/v1/analytics/trends?window=yesterday", who="berlin").json()["data_points"]
    assert points == [{"period": "2026-10-14T00:00:00+02:00", "value": 1, "is_complete": True}]


def test_a_trend_knows_hours_that_come_twice(house: House) -> None:
    times = [NOW.replace(day=25, hour=hour, minute=30) for hour in (0, 0, 1)]
    house.ledger.add(*(usage(0, time=time) for time in times))
    window = "window=2026-10-25T01:00:00/2026-10-25T04:00:00"
    # Asked before that day: hours that haven't begun show only where events came early.
    points = house.get(f"/api/v1/analytics/trends?period=hour&{window}", who="berlin").json()["data_points"]
    assert [(point["period"], point["value"]) for point in points] == [
        ("2026-10-25T02:00:00+02:00", 2),
        ("2026-10-25T02:00:00+01:00", 1),
    ]


def test_a_trend_refuses_what_makes_no_series(house: House) -> None:
    assert house.refusals("/api/v1/analytics/trends?metric=joy&period=decade&group_by=model") == {
        ("metric", "unknown_measure"),
        ("grain", "unknown_word"),
        ("group_by", "unknown_parameter"),
    }
    assert house.refusals("/api/v1/analytics/trends?window=2000-01-01/2100-01-01") == {
        ("grain", "too_many_periods")
    }


def test_everything_holds_what_a_wrong_clock_dated_ahead_and_its_trend_ends_with_it(house: House) -> None:
    ahead = NOW + timedelta(days=400)
    house.ledger.add(usage(3, cost=Decimal(1)), usage(0, time=ahead, cost=Decimal(2)))
    everything = house.get("/api/v1/cost/summary?window=all").json()
    assert (everything["total_cost"], everything["total_transactions"]) == ("3", 2)
    trends = house.get("/api/v1/analytics/trends?window=all&metric=cost&zone=Europe/Berlin").json()
    assert trends["totals"] == [{"currency": "USD", "amount": "3"}]
    points = trends["data_points"]
    assert [(points[i]["period"][:10], points[i]["value"]) for i in (0, 3, -1)] == [
        ("2026-10-12", "1"),
        ("2026-10-15", "0"),
        (ahead.date().isoformat(), "2"),
    ]
    assert len(points) == 5
    assert trends["window"]["start"] == "2026-10-12T12:00:00Z"


def test_the_trend_of_everything_where_there_is_nothing_is_short(house: House) -> None:
    trends = house.get("/api/v1/analytics/trends?window=all").json()
    assert len(trends["data_points"]) <= 1
    assert trends["totals"] == 0


def test_everything_by_a_grain_that_makes_too_many_periods_is_refused(house: House) -> None:
    house.ledger.add(usage(3), usage(600))
    refusal = {("grain", "too_many_periods")}
    assert house.refusals("/api/v1/analytics/trends?window=all&period=hour") == refusal


# -------------------------------------------------------------------------------------------------- top


def test_the_top_ranks_within_one_currency(busy: House) -> None:
    top = busy.get("/api/v1/analytics/top?by=models").json()
    assert (top["dimension"], top["metric"], top["currency"]) == ("model", "cost", "USD")
    assert [(item["rank"], item["name"], item["value"], item["share"]) for item in top["items"]] == [
        (1, "claude", "2", "0.936988"),
        (2, "gpt-4", "0.1345", "0.063012"),
        (3, "mystery", None, None),
    ]
    assert top["totals"]["cost"] == [
        {"currency": "EUR", "amount": "5"},
        {"currency": "USD", "amount": "2.1345"},
    ]
    assert top["unpriced"] == {"events": 1}
    euros = busy.get("/api/v1/analytics/top?by=models&currency=EUR").json()["items"]
    assert [(item["name"], item["value"], item["share"]) for item in euros] == [("claude", "5", "1")]


def test_the_top_ranks_anything_by_anything(busy: House) -> None:
    top = busy.get("/api/v1/analytics/top?group_by=users&metric=event_count&limit=2&offset=1").json()
    assert [(item["rank"], item["name"], item["value"], item["share"]) for item in top["items"]] == [
        (2, "=cmd()", 1, "0.2"),
        (3, "bob", 1, "0.2"),
    ]
    assert (top["has_more"], top["currency"]) == (True, None)
    rates = busy.get("/api/v1/analytics/top?group_by=providers&metric=error_rate").json()["items"]
    first = rates[0]
    assert (first["name"], first["value"], first["share"]) == ("openai", "0.5", None)


def test_the_top_refuses_what_can_not_be_ranked(house: House) -> None:
    assert house.refusals("/api/v1/analytics/top?group_by=model,user_id&metric=joy&limit=-1") == {
        ("group_by", "out_of_range"),
        ("metric", "unknown_measure"),
        ("limit", "out_of_range"),
    }
    assert house.refusals("/api/v1/analytics/top?group_by=day") == {("group_by", "out_of_range")}
    assert house.refusals("/api/v1/analytics/top?group_by=shoe") == {("dimensions", "unknown_dimension")}


def test_views_come_as_tables_too(busy: House) -> None:
    assert table_of(busy.get("/api/v1/cost/summary?format=csv"))[:4] == [
        ["breakdown", "name", "cost", "currency", "unpriced_events"],
        ["total", "", "2.1345", "USD", "1"],
        ["total", "", "5", "EUR", "0"],
        ["provider", "anthropic", "2", "USD", "0"],
    ]
    assert table_of(busy.get("/api/v1/cost/breakdown?group_by=user_id&format=csv"))[-1][:3] == [
        "'=cmd()",
        "USD",
        "",
    ]
    assert table_of(busy.get("/api/v1/analytics/trends?window=yesterday&format=csv")) == [
        ["period", "value", "is_complete"],
        ["2026-10-14T00:00:00Z", "2", "true"],
    ]
    assert table_of(busy.get("/api/v1/analytics/top?format=csv"))[1] == [
        "1",
        "ada",
        "2.0345",
        "0.953151",
        "2",
        "USD",
    ]
