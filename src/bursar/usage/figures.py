"""What a provider's usage object says in figures, and nothing that a caller put beside them.

A provider passes on what it was told: a user, a label, a breakdown by customer, whose names may be fields
of their own. So a field stays only where its name is made of the words that usage is counted in, and a
text only where it is one of a few words about the service. The figures stay as they were, byte for byte.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

_COUNTED_IN = """
    accepted annotated annotation audio billed breakdown by byok bytes cache cached calls candidates
    characters citation classifications code collections completion completions connector connectors
    content cost count creation details document duration ephemeral eval executed execution executions
    fetch file generated generation hit image images in inference input interpreter is iterations mcp
    metadata miss modality models num output pages prediction premium processed prompt queries read
    reasoning rejected requests response results search searches seconds server side size sources text
    thinking thought thoughts ticks token tokens tool tools total ttl units upstream usage usd use used
    video web write x 12h 1h 30m 5m
"""
COUNTED_IN = frozenset(_COUNTED_IN.split())
"""Words that names of figures are made of, in the usage objects of all providers that are read."""
ABOUT_THE_SERVICE = frozenset(
    [
        *("service_tier", "serviceTier", "speed", "inference_geo", "modality", "traffic_type", "trafficType"),
        *("type", "model", "object", "ttl"),
    ]
)
"""Fields that hold one word, or the number of one."""
_TEXT_OF_CALLER = "metadata"
"""In a usage object it is what the caller said, and no figures."""
_NAME_PARTS = re.compile(r"\d+[a-z]+|[A-Z]?[a-z]+")
_A_WORD = re.compile(rb'null|[0-9]{1,2}|"[0-9]{1,2}[mhd]"|"[A-Za-z][A-Za-z0-9_.:/-]{0,63}"')
_A_FIGURE = re.compile(rb'-?[0-9][0-9.eE+-]*|true|false|null|"SERVER_SIDE_TOOL_[A-Z_]{1,40}"')
"""xAI lists the tools that it used by constants of its own, which no caller can choose."""

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def figures_of(content: bytes) -> bytes:
    """The usage object without anything but figures; `null` for what is no JSON."""
    try:
        return _figures_of(content.strip())
    except (msgspec.DecodeError, RecursionError):
        return b"null"


def besides_figures(content: bytes) -> list[bytes]:
    """What `figures_of` leaves out, piece by piece: fields with their names, and texts."""
    pieces: list[bytes] = []
    try:
        _leave_out(content.strip(), pieces)
    except (msgspec.DecodeError, RecursionError):
        return [content]
    return pieces


def _leave_out(text: bytes, pieces: list[bytes]) -> None:
    if text.startswith(b"{"):
        for name, value in _decode_object(text).items():
            if not _is_kept(name, bytes(value)):
                pieces.append(_encode(name) + b":" + bytes(value))
            elif name not in ABOUT_THE_SERVICE:
                _leave_out(bytes(value), pieces)
    elif text.startswith(b"["):
        for value in _decode_list(text):
            _leave_out(bytes(value), pieces)
    elif not _A_FIGURE.fullmatch(text):
        pieces.append(text)


def _figures_of(text: bytes) -> bytes:
    if text.startswith(b"{"):
        parts: Iterable[bytes] = (
            _encode(name) + b":" + (bytes(value) if name in ABOUT_THE_SERVICE else _figures_of(bytes(value)))
            for name, value in _decode_object(text).items()
            if _is_kept(name, bytes(value))
        )
        return b"{%b}" % b",".join(parts)
    if text.startswith(b"["):
        return b"[%b]" % b",".join(_figures_of(bytes(value)) for value in _decode_list(text))
    return text if _A_FIGURE.fullmatch(text) else b"null"


def _is_kept(name: str, value: bytes) -> bool:
    return _A_WORD.fullmatch(value) is not None if name in ABOUT_THE_SERVICE else _is_figure(name)


@lru_cache(maxsize=1024)
def _is_figure(name: str) -> bool:
    parts = _NAME_PARTS.findall(name)
    is_whole = "".join(parts) == name.replace("_", "")
    return name != _TEXT_OF_CALLER and is_whole and all(part.lower() in COUNTED_IN for part in parts)
