"""The file beside the stores that remembers where the audit log's chains ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bursar.identity.audit.store import Remembered
from bursar.storage import audit_places
from bursar.storage.audit_places import AuditPlaces

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_place(chain: str, number: int) -> Remembered:
    return Remembered("acme", chain, number, f"hash {number}", NOON)


def test_the_last_place_of_each_chain_is_remembered_whatever_the_order(tmp_path: Path) -> None:
    places = AuditPlaces(tmp_path / "places")
    assert places.remembered() == []
    for chain, number in (("a", 1), ("b", 7), ("a", 3), ("a", 2)):
        places.remember(a_place(chain, number))
    assert AuditPlaces(tmp_path / "places").remembered() == [a_place("a", 3), a_place("b", 7)]
    assert (tmp_path / "places").stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_cut_short_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "places"
    AuditPlaces(path).remember(a_place("a", 1))
    path.write_bytes(path.read_bytes() + b'{"owner":"ac')
    AuditPlaces(path).remember(a_place("a", 2))
    assert AuditPlaces(path).remembered() == [a_place("a", 2)]


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_places, "COMPACTED_BYTES", 1000)
    places = AuditPlaces(tmp_path / "places")
    for number in range(100):
        places.remember(a_place("a", number))
    assert (tmp_path / "places").stat().st_size < 1200
    assert places.remembered() == [a_place("a", 99)]


def test_a_file_that_cant_be_written_hinders_nothing(tmp_path: Path) -> None:
    AuditPlaces(tmp_path / "none" / "places").remember(a_place("a", 1))
