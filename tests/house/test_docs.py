"""Documentation that can't rot: generated pages are fresh and complete, links lead somewhere.

`make docs` writes the generated pages; `scripts/generate_docs.py` says which they are.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from bursar.app.metrics import Metrics
from bursar.app.problems import all_kinds
from bursar.cli.main import app as cli
from bursar.identity.permissions import BUNDLES, OF_TENANTS, Permission
from bursar.identity.roles import BUILT_IN
from bursar.settings import Settings, names_of
from scripts.generate_docs import PAGES
from tests.house.sources import ROOT

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = ROOT / "docs/reference"
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
DECISION_PARTS = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by"]
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "clients").rglob("*.md")])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_fresh(name: str) -> None:
    assert (ROOT / name).read_text() == PAGES[name](), "run `make docs`"


def test_every_setting_is_documented() -> None:
    text = (REFERENCE / "settings.md").read_text()
    assert [
        name for field in Settings.model_fields for name in names_of(field) if f"`{name}`" not in text
    ] == []


def test_every_command_is_documented() -> None:
    text = (REFERENCE / "commands.md").read_text()
    names = [
        command.name or command.callback.__name__ for command in cli.registered_commands if command.callback
    ]
    groups = [group.name for group in cli.registered_groups if group.name]
    assert names
    assert [name for name in [*names, *groups] if f"## bursar {name.replace('_', '-')}" not in text] == []


def test_every_series_is_documented() -> None:
    text = (REFERENCE / "metrics.md").read_text()
    assert [series.name for series in Metrics().series if f"`{series.name}`" not in text] == []


def test_every_error_code_is_documented_and_belongs_to_one_kind() -> None:
    text = (REFERENCE / "errors.md").read_text()
    codes = [kind.code for kind in all_kinds()]
    assert [code for code in codes if f"`{code}`" not in text] == []
    assert len(codes) == len(set(codes))


def test_every_operation_of_the_api_says_what_it_does() -> None:
    document = json.loads((REFERENCE / "openapi.json").read_text())
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]
    assert operations
    assert [name for name, one in operations if not one.get("summary") or not one.get("description")] == []


def test_the_table_of_permissions_says_what_each_role_and_each_scope_grants() -> None:
    head, _line, *rows = table_below("Roles and scopes", (REFERENCE / "permissions.md").read_text())
    granted = [
        *((f"role {name}", role.permissions) for name, role in BUILT_IN.items()),
        *((f"scope `{name}`", permissions) for name, permissions in BUNDLES.items()),
    ]
    assert head[2:] == [who for who, _ in granted]
    assert len(set(head)) == len(head)
    assert {len(row) for row in rows} == {len(head)}
    assert [row[0].strip("`* ") for row in rows] == [one for one in Permission if one in OF_TENANTS]
    wrong = [
        (row[0], who, cell)
        for row in rows
        for (who, permissions), cell in zip(granted, row[2:], strict=True)
        if cell != ("yes" if row[0].strip("`* ") in permissions else "")
    ]
    assert wrong == []


def table_below(heading: str, page: str) -> list[list[str]]:
    """The cells of the first table of a section, line by line."""
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_make_targets_named_in_documents_exist(path: Path) -> None:
    known = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z][a-z-]*)", path.read_text())) <= known


@pytest.mark.parametrize("path", DECISIONS, ids=name_of)
def test_a_decision_says_why_and_what_holds_it(path: Path) -> None:
    assert re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE) == DECISION_PARTS


def test_the_tests_that_the_page_on_security_names_exist() -> None:
    named = set(re.findall(r"\b(test_\w+)\b(?!\.py)", (ROOT / "docs/explanation/security.md").read_text()))
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 1
    assert named - set(re.findall(r"^ *(?:async )?def (test_\w+)\(", sources, re.MULTILINE)) == set()


def test_every_how_to_page_is_listed() -> None:
    listed = (ROOT / "docs/how-to/README.md").read_text()
    pages = {path.name for path in (ROOT / "docs/how-to").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in listed} == set()


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    listed = (ROOT / "docs/decisions/README.md").read_text()
    assert [path.name for path in DECISIONS if path.name not in listed] == []
