"""What `bursar prices` prints: changes, disagreements, and rows of the book in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANGES_SHOWN = 40
VANISHED_SHOWN = 10
"""A data file of a few models leaves out thousands."""


def show_diff(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a source changes, or would change."""
    from bursar.cli.printing import print_json, print_table

    if as_json:
        print_json(found)
        return
    counts = ", ".join(f"{count} {name}" for name, count in found["counts"].items() if count) or "no change"
    print(f"{found['source']} {found['version']}: {counts}")
    rows = [
        (
            one["kind"],
            one["provider"],
            one["model"],
            one["unit"],
            words_of(one),
            one["old"],
            one["new"],
            None if one["percent"] is None else f"{one['percent']} %",
            one["since"] or "always",
        )
        for one in found["changes"][:CHANGES_SHOWN]
    ]
    if rows:
        columns = ("what", "provider", "model", "unit", "conditions", "old", "new", "by", "from")
        print_table(columns, rows, numbers=("old", "new", "by"))
    if len(found["changes"]) > CHANGES_SHOWN:
        print(f"The first {CHANGES_SHOWN} are shown; --json has more.")
    if found["vanished"]:
        names = found["vanished"]
        more = f" and {len(names) - VANISHED_SHOWN} more; --json names them" if names[VANISHED_SHOWN:] else ""
        print(f"No longer listed: {', '.join(names[:VANISHED_SHOWN])}{more}.")
        print("Their prices stay; --retire ends them.")
    if found["disagreements"]:
        count = found["counts"]["disagreements"]
        show_disagreements(found["disagreements"], count, f"{found['source']} {found['version']}")


def show_disagreements(found: list[dict[str, Any]], count: int, source: str) -> None:
    """Print prices beside prices, as far as they fit."""
    from bursar.cli.printing import print_table

    rows = [
        (
            one["provider"],
            one["model"],
            one["unit"],
            words_of(one),
            one["ours"],
            one["theirs"],
            None if one["percent"] is None else f"{one['percent']} %",
        )
        for one in found[:CHANGES_SHOWN]
    ]
    columns = ("provider", "model", "unit", "conditions", "ours", "theirs", "by")
    print_table(columns, rows, title=f"{source} disagrees {count} times", numbers=("ours", "theirs", "by"))


def words_of(row: Mapping[str, Any]) -> str:
    """The conditions of a price in one line."""
    return ", ".join(f"{name} {value}" for name, value in row["conditions"].items())


def end_of(row: Mapping[str, Any]) -> str:
    """When a row of the history holds no longer; empty where no end is known."""
    ends = [end["ends_at"] for end in row["ended_by"]]
    if row["valid_to"] is not None:
        ends.append(row["valid_to"])
    return min(ends) if ends else ""


def title_of(found: Mapping[str, Any]) -> str:
    """Which entry a name meant, by which rule."""
    return f"{found['provider']}/{found['model']} ({found['rule']}), {found['book_version']}"
