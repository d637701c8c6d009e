"""The house rules that no linter knows: sizes, names that say nothing, opening paragraphs.

Complexity and the number of parameters are held by ruff, layers by import-linter (`test_layers.py`).
The rules and their reasons are in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.house.sources import CODE_FOLDERS, TEST_FOLDERS, Function, Module, modules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FUNCTION_LINES = 40
MODULE_LINES, MODULE_LINES_AT_MOST = 300, 400
TEST_MODULE_LINES = 500
PARAGRAPH_CHARACTERS = 60
NAMES_THAT_SAY_NOTHING = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "base",
    "core",
    "manager",
    "handler",
    "service",
    "lib",
}
CODE = modules(*CODE_FOLDERS)
TESTS = modules(*TEST_FOLDERS)


def guilty(looked_at: Sequence[Module], faults_of: Callable[[Module], object]) -> dict[str, object]:
    """What is wrong with each module that something is wrong with."""
    found = {module.name: faults_of(module) for module in looked_at}
    return {name: faults for name, faults in found.items() if faults}


def lines_of(function: Function) -> int:
    """From `def` to the end, with the docstring and functions inside it."""
    return (function.end_lineno or 0) - function.lineno + 1


def test_a_function_fits_on_a_screen() -> None:
    def too_long(module: Module) -> dict[str, int]:
        sizes = {found.name: lines_of(found) for found in module.functions()}
        return {name: size for name, size in sizes.items() if size > FUNCTION_LINES}

    assert guilty([*CODE, *TESTS], too_long) == {}


@pytest.mark.parametrize(
    ("folders", "at_most"), [(CODE, MODULE_LINES_AT_MOST), (TESTS, TEST_MODULE_LINES)], ids=["code", "tests"]
)
def test_a_module_stays_readable(folders: Sequence[Module], at_most: int) -> None:
    sizes = {module.name: len(module.text.splitlines()) for module in folders}
    assert {name: size for name, size in sizes.items() if size > at_most} == {}


def test_a_module_over_the_usual_size_is_an_exception() -> None:
    large = [module.name for module in CODE if len(module.text.splitlines()) > MODULE_LINES]
    assert len(large) <= len(CODE) / 20, large


def test_a_module_is_named_for_what_it_knows() -> None:
    def empty_words(module: Module) -> set[str]:
        parts = module.name.removesuffix(".py").split("/")
        return {word for part in parts for word in part.split("_")} & NAMES_THAT_SAY_NOTHING

    assert guilty([*CODE, *TESTS], empty_words) == {}


def test_a_module_opens_with_a_paragraph() -> None:
    opening = {module.name: ast.get_docstring(module.tree) or "" for module in (*CODE, *TESTS)}
    assert {name: text for name, text in opening.items() if len(text) < PARAGRAPH_CHARACTERS} == {}


def test_a_docstring_never_just_repeats_the_name() -> None:
    def echoes(module: Module) -> list[str]:
        documented = [node for node in ast.walk(module.tree) if isinstance(node, Function | ast.ClassDef)]
        return [
            node.name
            for node in documented
            if words_of(ast.get_docstring(node) or "x") <= words_of(node.name)
        ]

    assert guilty(CODE, echoes) == {}


def words_of(text: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.partition("\n")[0]).lower()
    return set(re.findall(r"[a-z]+", spaced.replace("_", " "))) - {"the", "a", "an", "of"}
