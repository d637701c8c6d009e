"""`POST /api/v1/query` and single events over HTTP: what they answer and what they refuse."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.usage_house import House, reasons_of, usage

# ---------------------------------------------------------------------------------------------- queries


def test_a_query_answers_columns_rows_totals_window_and_what_had_no_price(busy: House) -> None:
    answer = busy.post({"measures": ["cost", "events"], "dimensions": ["model"], "window": "7d"}).json()
    assert [column["name"] for column in answer["columns"]] == ["model", "currency", "cost", "events"]
    assert [column["type"] for column in answer["columns"]] == ["string", "string", "decimal", "integer"]
    assert answer["rows"] == [
        {"model": "claude", "currency": "EUR", "cost": "5", "events": 1},
        {"model": "claude", "currency": "USD", "cost": "2", "events": 1},
        {"model": "gpt-4", "currency": "USD", "cost": "0.1345", "events": 2},
        {"model": "mystery", "currency": "USD", "cost": None, "events": 1},
    ]
    assert answer["totals"] == {
        "cost": [{"currency": "EUR", "amount": "5"}, {"currency": "USD", "amount": "2.1345"}],
        "events": 5,
    }
    assert answer["window"] == {"start": "2026-10-09T00:00:00Z", "end": "2026-10-16T00:00:00Z", "zone": "UTC"}
    assert answer["unpriced"] == {"events": 1}
    assert (answer["has_more"], answer["limit"], answer["offset"], answer["plan"]) == (False, 1000, 0, None)


def test_a_query_without_words_asks_for_the_last_30_days(busy: House) -> None:
    answer = busy.post({}).json()
    assert answer["totals"]["events"] == 5
    assert answer["window"]["start"] == "2026-09-16T00:00:00Z"


def test_aliases_mean_the_same_in_a_query(busy: House) -> None:
    plain = {"measures": ["events", "cost"], "dimensions": ["model", "provider", "operation"], "grain": "day"}
    other = {
        "metrics": "event_count,total_cost",
        "group_by": ["day", "model_name", "service_provider", "event_type"],
    }
    assert busy.post(plain).json() == busy.post(other).json()


def test_filters_of_a_query_compare_in_every_way(busy: House) -> None:
    def events(filters: dict[str, object]) -> int:
        return busy.post({"measures": ["events"], "filters": filters}).json()["totals"]["events"]

    assert events({"model": "gpt-4"}) == 2
    assert events({"model": ["gpt-4", "mystery"]}) == 3
    assert events({"provider": None}) == 1
    assert events({"provider": ["openai", None]}) == 3
    assert events({"model": {"prefix": ["gpt", "cl"], "not": "claude"}}) == 2
    assert events({"provider": {"not": None}}) == 4
    assert events({"provider": {"not": "openai"}}) == 3
    assert events({"service_provider": "anthropic", "tag:team": None}) == 2


def test_a_query_shows_periods_as_the_reporting_zone_has_them(busy: House) -> None:
    rows = busy.post({"measures": ["events"], "grain": "day", "order": "-period"}, who="berlin").json()[
        "rows"
    ]
    assert rows[0] == {"period": "2026-10-14T00:00:00+02:00", "events": 2}
    assert (
        busy.post({"grain": "month", "zone": "+05:30"}).json()["rows"][0]["period"]
        == "2026-10-01T00:00:00+05:30"
    )


def test_a_query_explains_its_plan_when_asked(busy: House) -> None:
    plan = busy.post({"window": "2026-10-01/2026-10-08T00:30:00Z"}, path="/api/v1/query?explain=true").json()[
        "plan"
    ]
    assert plan == [
        "sums: usage_by_hour from 2026-10-01T00:00:00Z to 2026-10-08T00:00:00Z",
        "sums: usage_events from 2026-10-08T00:00:00Z to 2026-10-08T00:30:00Z",
    ]


def test_a_query_pages_by_limit_and_offset(busy: House) -> None:
    first = busy.post({"dimensions": ["model"], "limit": 2}).json()
    second = busy.post({"dimensions": ["model"], "limit": 2, "offset": 2}).json()
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert first["totals"] == second["totals"]
    assert len(first["rows"] + second["rows"]) == 4


def test_a_query_says_everything_that_is_wrong_with_it(house: House) -> None:
    body: dict[str, object] = {
        "measures": ["events", "happiness", "events"],
        "dimensions": ["tenant_id", "model"],
        "filters": {"colour": "red", "model": {"like": "x"}, "batch": 3, "user_id": [{}]},
        "window": {"start": "2026-10-01", "until": "2026-11-01"},
        "grain": "fortnight",
        "limit": 0,
        "offset": -1,
        "explain": "maybe",
        "tables": "*",
    }
    assert reasons_of(house.post(body)) == {
        ("measures", "unknown_measure"),
        ("measures", "repeated"),
        ("dimensions", "unknown_dimension"),
        ("filters", "unknown_dimension"),
        ("filters.model", "unknown_word"),
        ("filters.batch", "wrong_type"),
        ("filters.user_id", "wrong_type"),
        ("until", "unknown_parameter"),
        ("grain", "unknown_word"),
        ("limit", "out_of_range"),
        ("offset", "out_of_range"),
        ("explain", "wrong_type"),
        ("tables", "unknown_parameter"),
    }
    assert reasons_of(house.post({"order": ["-model"]})) == {("order", "not_asked")}
    long = {"window": "2000-01-01/2010-01-01", "grain": "hour"}
    assert reasons_of(house.post(long)) == {("grain", "too_many_periods")}


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"limit": "\\ud800"', b"\xff"])
def test_a_body_that_is_no_json_is_refused(house: House, body: bytes) -> None:
    answer = house.post(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


@pytest.mark.parametrize(
    "body",
    [
        [],
        3,
        {"measures": 3},
        {"measures": []},
        {"filters": []},
        {"filters": {"model": "x" * 2000}},
        {"filters": {"max_tokens": 10**30}},
        {"limit": 1.5},
        {"filters": {"temperature": "hot"}},
        {"limit": True},
        {"window": 7},
        {"window": {"start": 5}},
        {"dimensions": ["tag:" + "x" * 65]},
    ],
)
def test_a_query_of_the_wrong_shape_is_refused_and_never_breaks(house: House, body: object) -> None:
    answer = house.post(body)
    assert answer.status_code == (200 if body == {"measures": []} else 422), answer.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"filters": {"model": ["\\u0000", "\\ud83d\\ude00"]}}',
        b'{"filters": {"model": "\\ud800"}}',
        b'{"filters": {"temperature": 1e400}}',
        b'{"limit": 1e400}',
        b'{"limit": 1' + b"0" * 5000 + b"}",
    ],
)
def test_odd_texts_and_numbers_never_break_anything(house: House, body: bytes) -> None:
    assert house.post(body).status_code in {200, 400, 422}


# --------------------------------------------------------------------------------------- single events


def test_an_event_is_shown_by_its_id(busy: House) -> None:
    busy.ledger.add(
        usage(
            0,
            event_id="urn:x/1",
            cost=Decimal("0.5"),
            seconds=1_500_000,
            custom_units={"gpu_hours": 250_000},
            cache_read_text=4,
            metadata='{"a": 1.10, "b": [null]}',
            tags={"team": "search"},
            reported_cost=Decimal("0.4"),
            reported_currency="EUR",
            revised_seq=9,
        )
    )
    event = busy.get("/api/v1/events/urn:x/1").json()
    assert event["event_id"] == "urn:x/1"
    assert event["time"] == "2026-10-15T12:00:00Z"
    assert event["units"] == {"cache_read_text": 4, "seconds": "1.5", "gpu_hours": "0.25"}
    assert event["totals"] == {"input_tokens": 4, "cached_tokens": 4, "total_tokens": 4}
    assert event["cost"] == {
        "total": "0.5",
        "currency": "USD",
        "status": "priced",
        "reason": None,
        "rate_card": None,
    }
    assert event["reported_cost"] == {"amount": "0.4", "currency": "EUR"}
    assert event["metadata"] == {"a": 1.1, "b": [None]}
    assert '"metadata":{"a": 1.10, "b": [null]}' in busy.get("/api/v1/events/urn%3Ax%2F1").text
    assert (event["tags"], event["latency_ms"], event["is_corrected"]) == ({"team": "search"}, 100.0, True)
    assert event["session_id"] is None


def test_an_event_of_another_tenant_is_as_unknown_as_none(busy: House) -> None:
    for event_id in ("theirs", "nothing"):
        answer = busy.get(f"/api/v1/events/{event_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert busy.get("/api/v1/events/theirs", who="other").status_code == 200
    assert busy.refusals("/api/v1/events/evt-1?window=30d") == {("window", "unknown_parameter")}


def test_events_are_listed_newest_first_and_page_by_cursor(busy: House) -> None:
    first = busy.get("/api/v1/events?limit=3&total_count=true").json()
    assert [event["event_id"] for event in first["items"]] == ["evt-2", "evt-1", "evt-4"]
    assert first["total_count"] == 5
    rest = busy.get(f"/api/v1/events?limit=3&cursor={first['next_cursor']}").json()
    assert [event["event_id"] for event in rest["items"]] == ["evt-3", "evt-5"]
    assert (rest["next_cursor"], rest["total_count"]) == (None, None)


def test_events_of_any_age_are_listed_unless_a_window_is_named(busy: House) -> None:
    busy.ledger.add(usage(5000, event_id="old"))
    assert "old" in busy.get("/api/v1/events").text
    assert "old" not in busy.get("/api/v1/events?window=30d").text
    assert "old" not in busy.get("/api/v1/usage").text


def test_events_are_filtered_by_name_alias_tag_and_absence(busy: House) -> None:
    busy.ledger.add(usage(0, event_id="tagged", tags={"team.a": "x y"}, batch=True, max_tokens=5))

    def ids(query: str) -> list[str]:
        return [event["event_id"] for event in busy.get(f"/api/v1/events?{query}").json()["items"]]

    assert ids("model=gpt-4&user_id=bob") == ["evt-2"]
    assert ids("model=claude&model=mystery&status=ok") == ["evt-4", "evt-3", "evt-5"]
    assert ids("service_provider.absent=true") == ["evt-5"]
    assert ids("user_id.absent=false&model_name.not=gpt-4") == ["evt-3", "evt-5"]
    assert ids("model.prefix=cl&currency=EUR") == ["evt-4"]
    assert ids("tag:team.a=x+y&batch=true&max_tokens=5") == ["tagged"]
    assert ids("cost_status=unpriced&tag:team.a.absent=true") == ["evt-5"]


@pytest.mark.parametrize("cursor", ["x", "%20", "é", "AAAA", "A" * 400, "__________________________", "%00"])
def test_a_cursor_that_is_not_ours_is_refused(house: House, cursor: str) -> None:
    assert house.refusals(f"/api/v1/events?cursor={cursor}") == {("cursor", "bad_cursor")}


def test_a_page_follows_either_a_cursor_or_an_offset(busy: House) -> None:
    cursor = busy.get("/api/v1/events?limit=1").json()["next_cursor"]
    assert busy.refusals(f"/api/v1/events?cursor={cursor}&offset=1") == {("offset", "conflicting_parameters")}
    assert busy.refusals("/api/v1/events?limit=10001&offset=-1") == {
        ("limit", "out_of_range"),
        ("offset", "out_of_range"),
    }


def test_usage_counts_and_pages_as_clients_of_the_tracking_system_expect(busy: House) -> None:
    page = busy.get(
        "/api/v1/usage?tenant_id=acme&service_type=llm_service&limit=2&include_billing=true"
    ).json()
    assert [event["event_id"] for event in page["events"]] == ["evt-2", "evt-1"]
    assert (page["total_count"], page["limit"], page["offset"], page["has_more"]) == (5, 2, 0, True)
    last = busy.get("/api/v1/usage?limit=2&offset=4").json()
    assert (len(last["events"]), last["has_more"], last["next_cursor"]) == (1, False, None)
    named = busy.get("/api/v1/usage?start_date=2026-10-13&end_date=2026-10-13&zone=Asia/Tokyo").json()
    assert named["window"]["zone"] == "Asia/Tokyo"
    assert [event["event_id"] for event in named["events"]] == ["evt-4", "evt-3"]
