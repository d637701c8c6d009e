"""The house rules that no linter knows: sizes, names that say nothing, opening paragraphs.

Complexity and the number of parameters are held by ruff, layers by import-linter (`test_layers.py`).
The rules and their reasons are in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.sources import CODE_FOLDERS, TEST_FOLDERS, Function, Module, modules

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


def of(module: Module) -> str:
    return module.name


def lines_of(function: Function) -> int:
    """From `def` to the end, with the docstring and functions inside it."""
    return (function.end_lineno or 0) - function.lineno + 1


@pytest.mark.parametrize("module", [*CODE, *TESTS], ids=of)
def test_a_function_fits_on_a_screen(module: Module) -> None:
    sizes = [(found.name, lines_of(found)) for found in module.functions()]
    assert not [(name, size) for name, size in sizes if size > FUNCTION_LINES]


@pytest.mark.parametrize("module", CODE, ids=of)
def test_a_module_stays_small(module: Module) -> None:
    assert len(module.text.splitlines()) <= MODULE_LINES_AT_MOST


@pytest.mark.parametrize("module", TESTS, ids=of)
def test_a_test_module_stays_readable(module: Module) -> None:
    assert len(module.text.splitlines()) <= TEST_MODULE_LINES


def test_a_module_over_the_usual_size_is_an_exception() -> None:
    large = [module.name for module in CODE if len(module.text.splitlines()) > MODULE_LINES]
    assert len(large) <= len(CODE) / 20, large


@pytest.mark.parametrize("module", [*CODE, *TESTS], ids=of)
def test_a_module_is_named_for_what_it_knows(module: Module) -> None:
    words = {word for part in module.name.removesuffix(".py").split("/") for word in part.split("_")}
    assert not words & NAMES_THAT_SAY_NOTHING


@pytest.mark.parametrize("module", [*CODE, *TESTS], ids=of)
def test_a_module_opens_with_a_paragraph(module: Module) -> None:
    docstring = ast.get_docstring(module.tree) or ""
    assert len(docstring) >= PARAGRAPH_CHARACTERS, docstring


@pytest.mark.parametrize("module", CODE, ids=of)
def test_a_docstring_never_just_repeats_the_name(module: Module) -> None:
    documented = [node for node in ast.walk(module.tree) if isinstance(node, Function | ast.ClassDef)]
    echoes = [
        node.name for node in documented if words_of(ast.get_docstring(node) or "x") <= words_of(node.name)
    ]
    assert not echoes


def words_of(text: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.partition("\n")[0]).lower()
    return set(re.findall(r"[a-z]+", spaced.replace("_", " "))) - {"the", "a", "an", "of"}
