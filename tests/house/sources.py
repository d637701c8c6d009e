"""The repository's own files, as the house tests look at them: which there are, and what is in them.

Only what is committed counts, and what would be: caches, environments and data folders are left out.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("src", "clients/python/src", "scripts", "bench")
TEST_FOLDERS = ("tests",)
TEXT_SUFFIXES = frozenset({".py", ".md", ".toml", ".yaml", ".yml", ".json", ".mako", ".example", ".sh", ""})

NOT_OURS = frozenset({"uv.lock", ".env", ".git"})
"""Beside the folders: made by tools. `.git` is a file where several work trees share a repository."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file and its syntax tree."""

    path: Path
    text: str

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return _parse(self.text)

    @property
    def name(self) -> str:
        """Its path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    def functions(self) -> list[Function]:
        """All its functions and methods, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """The Python files of some folders, in order."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(Module(path, path.read_text()) for path in paths if "__pycache__" not in path.parts)


def text_files() -> list[Path]:
    """Every text that people read in this repository, the lock file and recorded data aside."""
    folders = (*CODE_FOLDERS, *TEST_FOLDERS, "docs", "clients/python", ".ci")
    inside = {path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()}
    beside = {path for path in ROOT.iterdir() if path.is_file() and path.name not in NOT_OURS}
    return sorted(
        path
        for path in inside | beside
        if path.suffix in TEXT_SUFFIXES and not {"__pycache__", "recorded"} & set(path.parts)
    )
