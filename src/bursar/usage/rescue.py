"""The items of a list that as a whole is no JSON: one broken event must not refuse its neighbours.

Half a surrogate pair, a bare NaN or ten thousand brackets make a JSON parser give up on the whole body,
though it is clear where the item with them begins and ends. This finds the commas between the items by
looking at nothing but texts and brackets; each item is then judged by itself. It is the slow way (some
60 ns a byte) and only taken where the fast one failed.
"""

from __future__ import annotations

import re

RESCUE_BYTES = 2 * 2**20
"""Larger bodies are refused whole: this much takes a thread 0.1 s, or 0.5 s where it is all brackets."""

_LIST = re.compile(rb"[ \t\r\n]*\[")
_WRAPPED = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"events"[ \t\r\n]*:[ \t\r\n]*\[')
_END = re.compile(rb"[ \t\r\n]*")
_WRAPPED_END = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*")
# The quantifiers give nothing back (`++`, `*+`), so that no body takes more than one pass.
_TOKEN = re.compile(rb'(?P<text>"(?:[^"\\]++|\\.)*+(?P<end>"?))|(?P<open>[\[{]++)|[\]}]|,', re.DOTALL)


def rescue_items(body: bytes) -> list[bytes] | None:
    """The items of a JSON list, or of `{"events": [...]}`, as raw texts that may be no JSON themselves.

    None where even that can't be told: the body is something else, too large, or its list never ends.
    """
    if len(body) > RESCUE_BYTES:
        return None
    for start, end in ((_LIST, _END), (_WRAPPED, _WRAPPED_END)):
        begun = start.match(body)
        if begun is not None:
            split = _split(body, begun.end())
            return split[0] if split and end.fullmatch(body, split[1]) else None
    return None


def _split(body: bytes, start: int) -> tuple[list[bytes], int] | None:
    """The texts between the commas of a list that begins at `start`, and where it ends."""
    items: list[bytes] = []
    depth, item_start = 0, start
    for token in _TOKEN.finditer(body, start):
        kind = token.lastgroup
        if kind == "text":
            if not token["end"]:
                return None
        elif kind == "open":
            depth += token.end() - token.start()
        elif token.group() == b",":
            if depth == 0:
                items.append(body[item_start : token.start()])
                item_start = token.end()
        elif depth:
            depth -= 1
        else:
            items.append(body[item_start : token.start()])
            return items, token.end()
    return None
