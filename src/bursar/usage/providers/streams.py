"""Streamed answers, folded into the answer that would have come unstreamed.

A provider spreads usage over its stream in its own way: OpenAI says it once in a last chunk, Anthropic
begins with the input and then repeats growing counts, Gemini repeats everything in every chunk. None of
them is ever summed. Each provider's own file says how; here the stream is taken apart and the right fold
is found. A stream that was cut keeps what it had said by then, and says that it was cut. The text itself
is handed on once, for an estimate where nobody counted, and kept nowhere.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import msgspec

from bursar.exact import decode_json
from bursar.usage.providers.chunks import object_in
from bursar.usage.providers.event_stream import event_stream_chunks
from bursar.usage.providers.registry import FOLDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bursar.usage.providers.event_stream import Frames
    from bursar.usage.providers.provider import Chunk, Fold

_LINE_END = re.compile(r"\r\n|\n|\r")
"""The line ends of server-sent events; `str.splitlines` knows others, which occur inside JSON strings."""
_DATA = re.compile(r"(?:^|[\r\n]|\ufeff)data:")


@dataclass(frozen=True, slots=True)
class FoldedStream:
    """One streamed answer as a whole."""

    api: str
    """Which kind of stream it was: `chat`, `messages`, …; empty where it broke off before telling."""
    answer: Chunk
    """Ids, models, times and usage under the names of the unstreamed answer; `error` if it broke off."""
    is_complete: bool
    """Whether the stream reached its end; where not, more may have been billed than it says."""
    text: str = ""
    """What it said, where it said nothing about usage: only to be counted, never kept."""


def fold_sse(text: str) -> FoldedStream | None:
    """The whole answer behind a recorded stream of server-sent events, None where it is nobody's."""
    return fold_chunks(chunks_of_text(text))


def fold_event_stream(content: bytes) -> FoldedStream | None:
    """The whole answer behind AWS's binary event stream, None where it is nobody's."""
    return fold_frames(event_stream_chunks(content))


def fold_frames(frames: Frames) -> FoldedStream | None:
    """The same of a stream that is taken apart already."""
    folded = fold_chunks(frames.chunks)
    if folded is None or frames.is_whole:
        return folded
    return replace(folded, is_complete=False)


def fold_chunks(chunks: Sequence[object]) -> FoldedStream | None:
    """The whole answer behind decoded chunks, such as Gemini's JSON array of them."""
    known = [cast("Chunk", chunk) for chunk in chunks if isinstance(chunk, dict)]
    fold = next((fold for fold in FOLDS if not fold.only_fills and _fits(fold, known)), None)
    beside = [fold for fold in FOLDS if fold.only_fills and _fits(fold, known)]
    if fold is None and beside:
        fold = beside.pop()
    if fold is not None:
        return _fold(fold, beside, known)
    broken = next((chunk for chunk in known if isinstance(chunk.get("error"), dict)), None)
    return FoldedStream("", {"error": broken["error"]}, is_complete=False) if broken else None


def _fits(fold: Fold, chunks: Sequence[Chunk]) -> bool:
    return any(fold.recognises(chunk) for chunk in chunks)


def _fold(fold: Fold, beside: Sequence[Fold], chunks: Sequence[Chunk]) -> FoldedStream:
    answer: Chunk = {}
    ends = [fold.take(answer, chunk) for chunk in chunks]
    for chunk in chunks:
        if isinstance(chunk.get("error"), dict):
            answer.setdefault("error", chunk["error"])
    for other in beside:
        said: Chunk = {}
        ends += [other.take(said, chunk) for chunk in chunks]
        for name, value in said.items():
            answer.setdefault(name, value)
    text = ""
    if fold.text_of is not None and not _says_usage(answer):
        text = "".join(fold.text_of(chunk) for chunk in chunks)
    return FoldedStream(fold.api, answer, any(ends), text)


def _says_usage(answer: Chunk) -> bool:
    return any(object_in(answer.get(name)) for name in ("usage", "usageMetadata"))


def sse_data(text: str) -> Iterator[str]:
    """The data of each event, in order: several `data` lines are one, comments and other fields none.

    As the WHATWG standard has it, but for an event at the very end that no blank line follows: it counts,
    because recordings are often trimmed.
    """
    lines: list[str] = []
    for line in _LINE_END.split(text.removeprefix("\ufeff")):
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                lines.append(value.removeprefix(" "))
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def chunks_of_text(text: str) -> list[object]:
    """The decoded chunks of server-sent events, or of JSON lines (Cohere's first API, Ollama's own)."""
    chunks: list[object] = []
    for data in sse_data(text) if _DATA.search(text) else _LINE_END.split(text):
        # What can't be read is `[DONE]`, or the half of an event that a cut stream ends in.
        with suppress(ValueError, RecursionError, msgspec.DecodeError):
            chunks.append(decode_json(data.encode()))
    return chunks
