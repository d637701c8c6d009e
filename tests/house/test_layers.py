"""Who may import whom: the contracts of import-linter, and that no package has slipped past them.

The contracts stand in `pyproject.toml`; the picture of the layers is in
`docs/explanation/architecture.md`.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from tests.house.sources import ROOT, modules

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS: dict[str, dict[str, Any]] = {
    contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]
}


def packages_of(folder: str) -> set[str]:
    entries = [path for path in (ROOT / folder).iterdir() if path.is_dir() or path.suffix == ".py"]
    return {path.stem for path in entries if not path.name.startswith("_")}


def test_every_contract_holds(tmp_path: Path) -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--cache-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("contract", "exempt"), [("drivers", {"storage"}), ("http", {"app"})], ids=["drivers", "http"]
)
def test_a_contract_about_drivers_covers_every_package(contract: str, exempt: set[str]) -> None:
    covered = {name.removeprefix("bursar.") for name in CONTRACTS[contract]["source_modules"]}
    assert covered == packages_of("src/bursar") - exempt


def test_engines_are_all_kept_apart() -> None:
    covered = {name.removeprefix("bursar.storage.") for name in CONTRACTS["engines"]["modules"]}
    assert covered == {path.name for path in (ROOT / "src/bursar/storage").iterdir() if path.is_dir()} - {
        "__pycache__"
    }


def test_the_client_never_imports_the_server() -> None:
    guilty = [
        one.name
        for one in modules("clients/python/src")
        if "import bursar\n" in one.text or "from bursar " in one.text or "from bursar." in one.text
    ]
    assert not guilty
