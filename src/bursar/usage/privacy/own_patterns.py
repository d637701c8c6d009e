r"""Regular expressions of tenants, matched by an engine that takes linear time whatever they say.

RE2 knows neither references back nor looking around, which is what makes others take exponential time; it
refuses them with a reason. Its syntax is otherwise the usual one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import re2  # pyright: ignore[reportMissingTypeStubs] - it has none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bursar.usage.privacy.detectors import Span

PATTERN_LIMIT = 500
MEMORY_LIMIT = 1 << 20
"""Bytes that one compiled pattern may take; `(a{1,1000}){1,1000}` would take gigabytes."""

_re2 = cast("Any", re2)  # It comes without types.


def spans_of(pattern: str) -> Callable[[str], Iterator[Span]]:
    """What finds a pattern in a text.

    Raises:
        ValueError: it is no pattern, it takes too much memory, or it is found in nothing at all; the text
            says why.
    """
    options = _re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY_LIMIT
    try:
        compiled = _re2.compile(pattern, options)
    except _re2.error as error:
        raise ValueError(_words_of(error)) from None
    if compiled.search("") is not None:
        message = "it is found in an empty text, so it would be found everywhere"
        raise ValueError(message)

    def spans(text: str) -> Iterator[Span]:
        # Half of a pair has no place in UTF-8; another character takes its place, for as many must be there.
        text = text.encode("utf-8", "replace").decode()
        if compiled.search(text) is None:
            return
        for found in compiled.finditer(text):
            if found.end() > found.start():
                yield found.span()

    return spans


def _words_of(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
