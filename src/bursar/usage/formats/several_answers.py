"""Whether a body that should be one answer holds several: folded as one, all but the last would be lost.

Whole answers are told apart by their ids, and so are streams, each piece of which names its answer or
belongs to the one before. A stream counts as one more only where it is whole: what a provider numbers anew
in every piece is still one. Who reads the answer is `recordings.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.usage.formats.answer_fields import IDENTIFIER_LIMIT, first_text
from bursar.usage.providers.chunks import object_in
from bursar.usage.providers.streams import fold_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bursar.usage.providers.provider import Chunk

_BEGINNINGS = frozenset({"message_start", "message-start", "stream-start", "response.created"})
"""What the first chunk of a stream says it is: Anthropic's, both of Cohere's, OpenAI's Responses."""
_LEAST_CHUNKS = 2
"""Of a stream; one chunk that says all is a whole answer, and its id tells."""


def are_several(chunks: Sequence[object], is_whole: Callable[[Mapping[str, object]], bool]) -> bool:
    """Whether these chunks are more than one answer, or more than one whole stream.

    Args:
        chunks: what the body holds, decoded.
        is_whole: whether one of them is a whole answer by itself.
    """
    found = [chunk for chunk in map(object_in, chunks) if chunk]
    named = {_id_of(chunk): chunk for chunk in found}
    whole = [chunk for name, chunk in named.items() if name and is_whole(chunk)]
    return len(whole) > 1 or _has_several_streams(found)


def _has_several_streams(chunks: Sequence[Chunk]) -> bool:
    if sum(_is_last_of_ollama(chunk) for chunk in chunks) > 1:
        return True
    streams = _streams_of(chunks)
    return len(streams) > 1 and sum(map(_is_whole_stream, streams)) > 1


def _streams_of(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """The chunks by the answer that they are of."""
    streams: list[list[Chunk]] = []
    current: str | None = None
    for chunk in chunks:
        name = _id_of(chunk)
        if not streams or _begins(chunk) or (name and current and name != current):
            streams.append([])
            current = None
        current = name or current
        streams[-1].append(chunk)
    return streams


def _is_whole_stream(chunks: Sequence[Chunk]) -> bool:
    folded = fold_chunks(chunks) if len(chunks) >= _LEAST_CHUNKS else None
    return folded is not None and folded.is_complete


def _id_of(chunk: Chunk) -> str | None:
    """The id of the answer that a chunk is of, where it says so."""
    for place in (chunk, object_in(chunk.get("response")), object_in(chunk.get("message"))):
        if name := first_text(place, IDENTIFIER_LIMIT, "id", "responseId", "generation_id"):
            return name
    return None


def _begins(chunk: Chunk) -> bool:
    kind = chunk.get("type", chunk.get("event_type"))
    return (isinstance(kind, str) and kind in _BEGINNINGS) or "messageStart" in chunk


def _is_last_of_ollama(chunk: Chunk) -> bool:
    """Whether a chunk is the one that ends a stream of Ollama's, which has no id."""
    return chunk.get("done") is True and "model" in chunk
