"""`make audit` keeps no finding silent: new ones, vanished ones, and packages that nobody looked up."""

from __future__ import annotations

from collections import Counter
from typing import Any

from scripts.audit import PAGE, differences, explained, found_by_bandit, found_by_pip_audit


def test_every_row_of_the_page_is_read_and_names_a_file_that_exists() -> None:
    page = PAGE.read_text()
    known = explained(page)
    rows = [line for line in page.splitlines() if line.startswith("| B")]
    assert len(known) == len(rows) > 20
    assert [place for _, place in known if not (PAGE.parents[2] / place).is_file()] == []


def test_a_finding_more_or_less_than_explained_is_told() -> None:
    results = [{"test_id": "B608", "filename": "a.py"}, {"test_id": "B608", "filename": "a.py"}]
    found = found_by_bandit({"results": results})
    assert differences(found, Counter({("B608", "a.py"): 2})) == []
    assert differences(found, Counter({("B608", "a.py"): 1})) == ["B608 in a.py: found 2, explained 1"]
    assert differences(Counter(), found) == ["B608 in a.py: found 0, explained 2"]


def test_a_package_that_was_not_looked_up_is_not_clean() -> None:
    report: dict[str, Any] = {
        "dependencies": [
            {"name": "good", "version": "1", "vulns": []},
            {"name": "bad", "version": "1", "vulns": [{"id": "PYSEC-2026-1"}]},
            {"name": "unknown", "skip_reason": "Dependency not found on PyPI"},
        ]
    }
    assert found_by_pip_audit(report) == (Counter({("PYSEC-2026-1", "bad"): 1}), ["unknown"])
