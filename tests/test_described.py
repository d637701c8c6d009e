"""The words below fields: found in the source, put into schemas, and never by parsing it with `ast`."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, TypeAdapter

from bursar.described import DESCRIBED, field_words
from bursar.settings import Settings
from bursar.settings.spelling import Group
from tests.house.sources import ROOT, modules

if TYPE_CHECKING:
    from tests.house.sources import Module


@dataclass
class Inner:
    """Not the field's words."""

    __pydantic_config__: ClassVar = DESCRIBED

    plain: int
    told: int
    """In one line."""
    long: Annotated[
        int,
        Field(ge=1),
    ] = Field(
        default=1,
    )
    """Over
    two lines."""
    said: Annotated[int, Field(description="Said already.")] = 0
    """Said otherwise."""

    def method(self) -> None:
        """No field's words."""


@dataclass
class Outer:
    """Has no words of its own."""

    inner: Inner


def test_the_words_below_a_field_are_its_own() -> None:
    assert field_words(Inner) == {
        "told": "In one line.",
        "long": "Over\ntwo lines.",
        "said": "Said otherwise.",
    }
    assert field_words(Outer) == {}


def test_words_below_fields_describe_them_in_a_schema() -> None:
    schema = TypeAdapter(Outer).json_schema()["$defs"]["Inner"]["properties"]
    described = {field: shape.get("description") for field, shape in schema.items()}
    assert described == {
        "plain": None,
        "told": "In one line.",
        "long": "Over\ntwo lines.",
        "said": "Said already.",
    }


def test_words_are_what_a_parser_finds() -> None:
    """Read without `ast`, the words of every class of settings are the same as with it."""
    groups = [group for group in Settings.__mro__[1:] if issubclass(group, Group) and group is not Group]
    told = {field for group in groups for field in field_words(group)}
    assert told == set(Settings.model_fields)
    for group in groups:
        path = ROOT / f"src/{group.__module__.replace('.', '/')}.py"
        module = next(one for one in modules("src") if one.path == path)
        assert field_words(group) == _parsed_words(module, group.__name__)


def test_no_source_is_parsed_to_serve_or_to_describe() -> None:
    """CPython 3.11 fails where two threads parse at once; a server may be made in any thread."""
    program = """if True:
        import ast, bursar.app.http, bursar.app.server

        def refuse(*source, **options):
            raise AssertionError(source)

        ast.parse = refuse
        print(len(bursar.app.http.make_bare_api().openapi()["paths"]))
    """
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(run.stdout) > 20


def _parsed_words(module: Module, name: str) -> dict[str, str]:
    body = next(
        node.body for node in module.tree.body if isinstance(node, ast.ClassDef) and node.name == name
    )
    return {
        field.target.id: inspect.cleandoc(words.value.value)
        for field, words in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(words, ast.Expr)
        and isinstance(words.value, ast.Constant)
        and isinstance(words.value.value, str)
    }
