"""What is old in one project goes, and its sums stay: alone, and beside whatever else happens to its events.

The plain model and its histories are those of `test_changes.py`, whose random ones have such expiries too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.storage.test_changes import CROSS, FOUR, START, a_call, check_history, usage_of
from tests.support.change_model import DAY
from tests.support.changed_store import ChangedStore, Lines
from tests.support.ledger import a_change

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXPIRE = ("expire project", "acme", "events", 1, "p")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "steps",
    [
        [*FOUR, EXPIRE, ("rewrite",), ("deliver", "acme", "a", a_call(0, "q")), ("drop", 0)],
        [*FOUR, *CROSS, EXPIRE, ("deliver again", 0), ("deliver again", 1)],
        [*FOUR, ("void", "acme", ["a", "b"]), EXPIRE, ("deliver again", 0)],
        [
            *FOUR,
            EXPIRE,
            ("expire", "acme", "events", 2),
            ("rewrite",),
            ("erase", "acme", "mara"),
            ("expire project", "acme", "rollups", 3, "p"),
        ],
        [*FOUR, EXPIRE, ("rewrite",), ("drop", 0), ("reset project", "acme", "p"), FOUR[0], EXPIRE],
        [*FOUR, EXPIRE, ("deliver again", 0), ("reset", "acme"), ("deliver again", 0)],
        [*FOUR, ("run", "acme", [(0, 7), (1, None)]), EXPIRE, ("rewrite at once",), ("drop", 0)],
        [*FOUR, ("deliver", "acme", "a", a_call(0, "q", cents=3)), EXPIRE, ("deliver again", 4)],
    ],
    ids=["again", "moved", "voided", "all kinds", "reset", "all reset", "rated", "aside"],
)
def test_what_is_old_in_a_project_goes_and_its_sums_stay(steps: list[tuple[Any, ...]]) -> None:
    assert check_history(steps).expiries


@pytest.mark.timeout(120)
def test_its_sums_outlive_the_journal_that_they_came_from() -> None:
    steps = [FOUR[0], EXPIRE, ("rewrite",), ("deliver", "acme", "c", a_call(2, "q")), ("drop", 0)]
    history = check_history(steps)
    assert history.rewritten.dropped >= 2
    assert sum(row[0] for row in history.model.by_hour().values()) == 2


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ChangedStore]:
    made = ChangedStore(tmp_path)
    yield made
    made.close()


@pytest.fixture
def lines() -> Lines:
    """An event of each project, one of none, and one of another tenant's project of the same id."""
    found = Lines()
    for event_id, project in (("a", "p"), ("b", "q"), ("c", None)):
        found.add(usage_of("acme", event_id, a_call(0, project)))
    found.add(usage_of("umbrella", "a", a_call(0, "p")))
    return found


def an_expiry(what: str = "events", project_id: str | None = "p") -> dict[str, Any]:
    return a_change("project_expire", what=what, before=START + DAY, project_id=project_id)


def test_events_of_others_and_of_no_project_stay(store: ChangedStore, lines: Lines) -> None:
    store.apply(lines)
    sums = store.dump()["usage_by_hour"]
    lines.add(an_expiry())
    store.apply(lines)
    left = [("acme", "b"), ("acme", "c"), ("umbrella", "a")]
    assert store.ask("SELECT tenant_id, event_id FROM usage_events ORDER BY ALL") == left
    assert store.dump()["usage_by_hour"] == sums
    assert store.ask("SELECT what FROM project_horizons") == [("events",)]
    lines.add(an_expiry("rollups"))
    store.apply(lines)
    by_project = "SELECT tenant_id, project_id, sum(events) FROM usage_by_user_day GROUP BY ALL ORDER BY ALL"
    assert store.ask(by_project) == [("acme", "q", 1), ("acme", None, 1), ("umbrella", "p", 1)]
    assert store.recount(lines).differences == []


@pytest.mark.parametrize(
    "change",
    [
        an_expiry("quarantine"),
        an_expiry(project_id=None),
        {**an_expiry(), "kind": "expire"},
        {**an_expiry(), "before": START + 1},
    ],
    ids=["of quarantine", "of no project", "as the tenant's", "not at midnight"],
)
def test_one_that_can_not_be_is_kept_aside_and_takes_nothing(
    store: ChangedStore, lines: Lines, change: dict[str, Any]
) -> None:
    lines.add(change)
    store.apply(lines)
    assert store.ask("SELECT reason FROM quarantine") == [("unreadable_record",)]
    assert store.ask("SELECT count(*) FROM usage_events") == [(4,)]
    assert store.recount(lines).differences == []


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE project_horizons SET before = before + INTERVAL 1 DAY",
        "UPDATE project_horizons SET project_id = 'q'",
        "DELETE FROM kept_by_hour",
        "DELETE FROM project_horizons",
    ],
)
def test_a_recount_sees_what_is_off(store: ChangedStore, lines: Lines, harm: str) -> None:
    lines.add(an_expiry())
    store.apply(lines)
    assert store.recount(lines).differences == []
    store.database.execute(harm)
    assert store.recount(lines).differences


def test_a_store_from_before_there_were_such_expiries_takes_them(tmp_path: Path, lines: Lines) -> None:
    older = ChangedStore(tmp_path)
    older.apply(lines)
    older.database.execute("DROP TABLE project_horizons")
    older.close()
    store = ChangedStore(tmp_path)
    lines.add(an_expiry())
    store.apply(lines)
    assert store.recount(lines).differences == []
    store.close()
