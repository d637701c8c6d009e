"""What Prometheus is told: series that move, by route and never by anything unbounded."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from bursar.app.metrics import Metrics, Readings, Series
from bursar.app.middleware import Frame
from tests.support.asking import ask

_NUMBERS: dict[str, Any] = {
    one.name: {"native": 3, "import": 4} if one.name.startswith("ingest_") else index
    for index, one in enumerate(fields(Readings))
}
READINGS = Readings(**_NUMBERS)


def values(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by name and label values, in the order of the labels' names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def app_with(metrics: Metrics) -> Frame:
    """An app with one templated route."""
    api = FastAPI()

    @api.get("/things/{thing_id}")
    async def thing(thing_id: str) -> str:
        return thing_id

    return Frame(api, metrics.http)


def test_requests_count_by_template_and_not_by_path() -> None:
    metrics = Metrics()
    for path in ("/things/1", "/things/2", "/wp-login.php", "/.env"):
        ask(app_with(metrics), "GET", path)
    ask(app_with(metrics), "BREW", "/things/1")
    found = values(metrics)
    assert found[("bursar_http_requests_total", ("GET", "/things/{thing_id}", "200"))] == 2
    assert found[("bursar_http_requests_total", ("GET", "unmatched", "404"))] == 2
    assert found[("bursar_http_requests_total", ("other", "/things/{thing_id}", "405"))] == 1
    assert found[("bursar_http_request_duration_seconds_count", ("GET", "/things/{thing_id}"))] == 2
    assert found[("bursar_http_requests_in_flight", ())] == 0


def test_readings_are_taken_at_every_scrape() -> None:
    metrics = Metrics()
    taken: list[Readings] = []

    def read() -> Readings:
        taken.append(READINGS)
        return READINGS

    metrics.watch(read)
    found = values(metrics)
    values(metrics)
    assert len(taken) == 2
    assert found[("bursar_ingest_events_accepted_total", ("import",))] == 4
    assert found[("bursar_journal_failures_total", ())] == READINGS.journal_failures
    assert found[("bursar_applier_lag_seconds", ())] == READINGS.applier_lag_seconds


def test_every_declared_series_is_told_and_every_series_told_is_declared() -> None:
    metrics = Metrics()
    metrics.watch(lambda: READINGS)
    ask(app_with(metrics), "GET", "/things/1")
    told = {
        name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        for name, _ in values(metrics)
        if name.startswith("bursar_")
    }
    assert told == {series.name for series in metrics.series}


@pytest.mark.parametrize("series", Metrics().series, ids=lambda series: series.name)
def test_names_follow_the_conventions_of_prometheus(series: Series) -> None:
    assert series.name.startswith("bursar_")
    assert series.name.endswith("_total") == (series.kind == "counter")
    if series.kind == "histogram":
        assert series.name.endswith("_seconds")


def test_the_reference_lists_every_series_with_its_labels() -> None:
    page = Metrics().reference()
    assert "| `bursar_http_requests_total` | counter | `method`, `route`, `status` |" in page
    assert all(f"| `{series.name}` | {series.kind} |" in page for series in Metrics().series)
