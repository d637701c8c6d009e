"""Reading single fields out of foreign answers, where nothing is trusted to have its type.

What the fields mean is in `answer_facts.py` and `answer_units.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from bursar.usage.providers.chunks import object_in

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_LIMIT = 128
IDENTIFIER_LIMIT = 256
MESSAGE_LIMIT = 2000
"""The limits of `usage/event.py`; longer texts are cut, for they only describe."""


def first_text(owner: Mapping[str, Any], limit: int, *names: str) -> str | None:
    """The first of these fields that holds a text, cut to the limit."""
    for name in names:
        value = owner.get(name)
        if isinstance(value, str) and value:
            return value[:limit]
    return None


def object_at(owner: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under this name, an empty one where there is none."""
    return object_in(owner.get(name))


def objects_at(owner: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of the list under this name."""
    value = owner.get(name)
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
