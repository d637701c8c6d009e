"""Small questions that every fold asks of a stream's chunks, whose types nobody may trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.usage.providers.provider import Chunk


def keep(answer: Chunk, chunk: Chunk, *names: str) -> None:
    """Take over the fields that say something; the last one that does wins."""
    for name in names:
        value = chunk.get(name)
        if value is not None and value not in ("", 0):
            answer[name] = value


def object_in(value: object) -> Chunk:
    """The value where it is an object, else an empty one."""
    return cast("Chunk", value) if isinstance(value, dict) else {}


def objects_in(value: object) -> list[Chunk]:
    """The list's items, each an object or an empty one; nothing where it is no list."""
    return [object_in(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def text_in(value: object) -> str:
    """The value where it is a text, else none."""
    return value if isinstance(value, str) else ""


def texts_in(value: object) -> list[str]:
    """The list's texts, nothing where it is no list."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]


def starting(name: str, *beginnings: str) -> Callable[[Chunk], bool]:
    """Recognises chunks in which this field begins with one of these words."""

    def starts(chunk: Chunk) -> bool:
        word = chunk.get(name)
        return isinstance(word, str) and word.startswith(beginnings)

    return starts
