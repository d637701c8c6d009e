'''Fields that say what they are: the words below a field in its class, for documents about it.

A class of an answer or of settings explains a field in a text right below it:

    last_seq: int
    """Up to where it is on disk."""

The OpenAPI document and the pages about settings show these words. They are read from the source when
somebody asks for a document and not before (pydantic's `use_attribute_docstrings` would parse the sources
at every start), and without `ast`, whose parser fails in CPython 3.11 when two threads are in it.
'''

from __future__ import annotations

import inspect
import re
import sys
from functools import cache
from typing import Any

_FIELD_AND_WORDS = re.compile(r'^    (\w+):(?:(?!^    \w).)*?^    """(.*?)"""', re.MULTILINE | re.DOTALL)


@cache
def field_words(described: type) -> dict[str, str]:
    """The words below each field of a class at the top of its module; fields without any are left out."""
    source = inspect.getsource(sys.modules[described.__module__])
    opening = re.search(rf"^class {described.__name__}\b.*\n", source, re.MULTILINE)
    if opening is None:
        return {}
    body = source[opening.end() :]
    after = re.search(r"^\S", body, re.MULTILINE)
    found = _FIELD_AND_WORDS.findall(body[: after.start()] if after else body)
    return {field: inspect.cleandoc(words) for field, words in found}


def describe_fields(schema: dict[str, Any], described: type) -> None:
    """Put the words below a class's fields into its JSON schema; words that are there already stay."""
    words = field_words(described)
    for field, shape in schema.get("properties", {}).items():
        if field in words:
            shape.setdefault("description", words[field])


DESCRIBED: dict[str, Any] = {"json_schema_extra": describe_fields}
"""A class with this as its pydantic configuration has its fields described."""
