"""The package and its tools: one version everywhere, a lock for everybody, targets that explain themselves.

What is checked here breaks silently otherwise: a lock that names somebody's mirror, a version that is
bumped in one place, a target nobody can find.
"""

from __future__ import annotations

import re
import tomllib

import bursar
from tests.house.sources import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PUBLIC_HOSTS = {"https://pypi.org", "https://files.pythonhosted.org"}


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["project"]["version"] == bursar.__version__
    assert re.search(
        rf"^## \[?{re.escape(bursar.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_the_lock_names_public_hosts_only() -> None:
    assert set(re.findall(r"\w+://[^/\"]+", (ROOT / "uv.lock").read_text())) == PUBLIC_HOSTS


def test_the_same_uv_locks_and_installs() -> None:
    pinned = re.search(r"^UV_VERSION := (\S+)$", MAKEFILE, re.MULTILINE)
    assert pinned
    assert f"uv=={pinned[1]}" in PROJECT["dependency-groups"]["dev"]


def test_every_make_target_explains_itself() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):(.*)$", MAKEFILE, re.MULTILINE)
    assert targets
    assert [name for name, rest in targets if "## " not in rest] == []


def test_every_ignored_rule_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.pyright]")]
    ignores = re.findall(r'^    "[A-Z]+\d*",.*$', section, re.MULTILINE)
    assert ignores
    assert [line for line in ignores if "# " not in line] == []


def test_continuous_integration_runs_what_a_contributor_runs() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "make check" in script
    assert "make test" in script


def test_the_gate_before_a_commit_looks_for_holes_in_the_code() -> None:
    wanted = re.search(r"^check: (.*?) ##", MAKEFILE, re.MULTILINE)
    assert wanted is not None
    assert "bandit" in wanted[1].split()
    assert "bandit: setup ##" in MAKEFILE
    assert "scripts.audit --code-only" in MAKEFILE


def test_every_dependency_has_its_place_in_the_record() -> None:
    wanted = {re.split(r"[\[>=<]", one)[0] for one in PROJECT["project"]["dependencies"]}
    record = (ROOT / "docs/decisions/0005-dependencies.md").read_text()
    rows = [line.split("|")[1] for line in record.splitlines() if line.startswith("| ")]
    listed = {name.strip() for row in rows for name in row.split(",")} - {"package"}
    # opentelemetry and psycopg are one row each for several distributions.
    families = {re.sub(r"^opentelemetry-.*", "opentelemetry (api", name) for name in wanted}
    assert {name for name in families if name not in listed} == set()
