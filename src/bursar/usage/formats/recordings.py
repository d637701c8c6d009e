"""A file with a provider's answer, taken apart: who was asked what, how, and the answer as a whole.

A recording has its request beside it (`{"provider", "api", "request", "response"}`). A bare answer is the
JSON body alone, Gemini's JSON array of chunks, or a stream as it came: server-sent events, JSON lines, or
AWS's event stream. There the answer itself must tell who made it, or the caller. Streams are folded here;
what the answer means is in `answer_facts.py`, and what becomes of it in `provider_answers.py`.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, urlsplit

import msgspec

from bursar.exact import decode_json
from bursar.usage.formats.answer_fields import IDENTIFIER_LIMIT, NAME_LIMIT, first_text, object_at
from bursar.usage.formats.batch_lines import answer_in_line
from bursar.usage.formats.several_answers import are_several
from bursar.usage.providers.chunks import object_in
from bursar.usage.providers.event_stream import Frames, event_stream_chunks, is_event_stream
from bursar.usage.providers.provider import CallPlace, Provider, segment_after
from bursar.usage.providers.registry import PROVIDERS, provider_labelled
from bursar.usage.providers.streams import (
    FoldedStream,
    chunks_of_text,
    fold_chunks,
    fold_frames,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HTTP_STATUSES = range(100, 600)
URL_LIMIT = 4096


class Unread(StrEnum):
    """Why there is no answer in a file, or none that can be read."""

    UNREADABLE_FILE = "unreadable_file"
    UNKNOWN_ANSWER = "unknown_answer"
    PROVIDER_NOT_SUPPORTED_YET = "provider_not_supported_yet"
    SEVERAL_ANSWERS = "several_answers"


@dataclass(frozen=True, slots=True)
class Recording:
    """One answer as a whole and what is known about its call; empty where nothing is."""

    body: dict[str, Any]
    digest: str
    """Hash of the file's content."""
    provider: str | None
    api: str
    is_streamed: bool = False
    is_complete: bool = True
    """False where a stream was cut."""
    model: str | None = None
    """As the request named it."""
    path: str = ""
    status: int = 0
    """The HTTP status."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    region: str | None = None
    """Where it was answered, as its address or a header says."""
    is_batch: bool = False
    """Whether it is a line of a batch's results."""
    names_models: bool = True
    """Whether the model in the answer is the one that the provider's price list names."""
    text: str = ""
    """What a stream said that has no usage: only to be counted, never kept."""
    asked: object = None
    """The request's body or what the recording kept of it: only to be counted, never kept."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller tells of an answer that doesn't tell it itself."""

    provider: str | None = None
    model: str | None = None
    """As the request named it."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the answer, in lower case; Bedrock counts in them."""


NOTHING_TOLD = Told()


def read_recording(content: bytes, told: Told = NOTHING_TOLD) -> Recording | Unread:
    """The answer in a file, or why there is none; never raises, whatever is in it."""
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    if is_event_stream(content):
        frames = event_stream_chunks(content)
        if _are_several(frames.chunks):
            return Unread.SEVERAL_ANSWERS
        folded = fold_frames(frames)
        return _bare({}, folded, told, digest) if folded else Unread.UNKNOWN_ANSWER
    try:
        value = decode_json(content)
    except (ValueError, RecursionError, msgspec.DecodeError):
        chunks = _chunks_of(content)
        return _folded(chunks, told, digest, Unread.UNREADABLE_FILE)
    if isinstance(value, list):
        return _folded(cast("list[Any]", value), told, digest, Unread.UNKNOWN_ANSWER)
    if not isinstance(value, dict):
        return Unread.UNKNOWN_ANSWER
    return _read_object(cast("dict[str, Any]", value), told, digest)


def _folded(chunks: Sequence[object], told: Told, digest: str, otherwise: Unread) -> Recording | Unread:
    """The answer that these chunks are pieces of."""
    if _are_several(chunks):
        return Unread.SEVERAL_ANSWERS
    folded = fold_chunks(chunks)
    return _bare({}, folded, told, digest) if folded else otherwise


def _are_several(chunks: Sequence[object]) -> bool:
    return are_several(chunks, lambda chunk: bool(_api_of(None, chunk)))


def _read_object(body: dict[str, Any], told: Told, digest: str) -> Recording | Unread:
    """A recording with its request, a line of a batch's results, or a bare answer."""
    if isinstance(body.get("response"), dict) and ("request" in body or "provider" in body):
        return _recorded(body, told, digest)
    line = answer_in_line(body)
    if line is None:
        return _bare(body, None, told, digest)
    answer = _bare(line.body, None, told, digest)
    return answer if isinstance(answer, Unread) else replace(answer, is_batch=True, status=line.status)


def _recorded(file: dict[str, Any], told: Told, digest: str) -> Recording | Unread:
    label = first_text(file, NAME_LIMIT, "provider") or told.provider
    known = provider_labelled(label) if label else None
    if label is not None and known is None:
        return Unread.PROVIDER_NOT_SUPPORTED_YET
    response, request = object_at(file, "response"), object_at(file, "request")
    found = _body_of(response)
    if isinstance(found, Unread):
        return found
    body, folded = found
    known = known or _provider_of(body)
    headers, url = _headers_of(response), _url_of(request)
    asked = object_at(request, "body") or object_at(request, "body_summary")
    place = _place_of(known, url)
    status = response.get("status")
    return Recording(
        _retold(known, body, headers),
        digest,
        provider=place.provider or _biller(known, headers),
        api=first_text(file, NAME_LIMIT, "api") or (folded.api if folded else _api_of(known, body)),
        is_streamed=folded is not None,
        is_complete=folded is None or folded.is_complete,
        model=_model_asked(file, asked, place),
        path=url.path[:IDENTIFIER_LIMIT],
        status=status if type(status) is int and status in HTTP_STATUSES else 0,
        headers=headers,
        region=(headers.get("x-ms-region") or place.region or "")[:NAME_LIMIT] or None,
        names_models=known is None or known.names_models,
        text=folded.text if folded else "",
        asked=asked or None,
    )


def _bare(body: dict[str, Any], folded: FoldedStream | None, told: Told, digest: str) -> Recording | Unread:
    known = provider_labelled(told.provider) if told.provider else None
    if told.provider is not None and known is None:
        return Unread.PROVIDER_NOT_SUPPORTED_YET
    body = folded.answer if folded else body
    known = known or _provider_of(body)
    return Recording(
        _retold(known, body, told.headers),
        digest,
        known.name if known else None,
        folded.api if folded else _api_of(known, body),
        is_streamed=folded is not None,
        is_complete=folded is None or folded.is_complete,
        model=told.model,
        headers=told.headers,
        names_models=known is None or known.names_models,
        text=folded.text if folded else "",
    )


def _retold(known: Provider | None, body: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """The answer under the names that most use."""
    return dict(known.answer_of(body, headers)) if known and known.answer_of else body


def _body_of(response: dict[str, Any]) -> tuple[dict[str, Any], FoldedStream | None] | Unread:
    """The answer of a recorded response, folded where it was streamed."""
    content, text, frames = response.get("json"), response.get("sse"), response.get("base64")
    if isinstance(content, dict):
        return cast("dict[str, Any]", content), None
    if isinstance(frames, str):
        stream = _frames_of(frames)
    else:
        chunks = chunks_of_text(text) if isinstance(text, str) else []
        pieces = cast("list[object]", content) if isinstance(content, list) else chunks
        stream = Frames([piece for piece in map(object_in, pieces) if piece])
    if _are_several(stream.chunks):
        return Unread.SEVERAL_ANSWERS
    folded = fold_frames(stream)
    return (folded.answer, folded) if folded else Unread.UNKNOWN_ANSWER


def _frames_of(text: str) -> Frames:
    try:
        return event_stream_chunks(b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return Frames()


def _chunks_of(content: bytes) -> list[object]:
    try:
        return chunks_of_text(content.decode())
    except UnicodeDecodeError:
        return []


def _provider_of(body: Mapping[str, Any]) -> Provider | None:
    """Who answers in this shape and no other; OpenAI's shape is many a provider's."""
    return next(
        (known for known in PROVIDERS if not known.is_imitated and known.api_of and known.api_of(body)), None
    )


def _api_of(known: Provider | None, body: Mapping[str, Any]) -> str:
    """Which API answers in this shape, the provider's own before all others; empty where none does."""
    for provider in (known, *PROVIDERS):
        if provider is not None and provider.api_of and (api := provider.api_of(body)):
            return api
    return ""


def _model_asked(file: dict[str, Any], asked: Mapping[str, Any], place: CallPlace) -> str | None:
    """The model as the request named it: in its body, in its path, or in the recording's own notes."""
    named = first_text(asked, IDENTIFIER_LIMIT, "model", "model_id", "modelId") or place.model
    return (named or first_text(file, IDENTIFIER_LIMIT, "model") or "").removeprefix("models/") or None


def _biller(known: Provider | None, headers: Mapping[str, str]) -> str | None:
    """Who bills: the provider, or whom a router among them passed the call on to."""
    if known is None:
        return None
    return (known.passed_to(headers) if known.passed_to else None) or known.name


def _place_of(known: Provider | None, url: SplitResult) -> CallPlace:
    """What the call's address says; many put the model or a deployment into its path."""
    if known is not None and known.call_of is not None:
        return known.call_of(url)
    return CallPlace(segment_after(url.path, "/models/") or segment_after(url.path, "/deployments/") or None)


def _url_of(request: dict[str, Any]) -> SplitResult:
    try:
        return urlsplit(first_text(request, URL_LIMIT, "url") or "")
    except ValueError:
        return urlsplit("")


def _headers_of(response: dict[str, Any]) -> dict[str, str]:
    headers = object_at(response, "headers")
    return {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
