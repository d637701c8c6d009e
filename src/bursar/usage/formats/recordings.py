"""A file with a provider's answer, taken apart: who was asked what, how, and the answer as a whole.

A recording has its request beside it (`{"provider", "api", "request", "response"}`). A bare answer is the
JSON body alone, Gemini's JSON array of chunks, or a stream of server-sent events as it came; there the
answer itself must tell who made it. Streams are folded here; what the answer means is in
`answer_facts.py`, and what becomes of it in `provider_answers.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import msgspec

from bursar.usage.formats.answer_facts import IDENTIFIER_LIMIT, NAME_LIMIT, first_text, object_at
from bursar.usage.providers.streams import FoldedStream, fold_chunks, fold_sse
from bursar.usage.record import decode_json

if TYPE_CHECKING:
    from collections.abc import Mapping

HTTP_STATUSES = range(100, 600)
URL_LIMIT = 4096

PROVIDERS: dict[str, str] = {
    "openai": "openai",
    "azure": "azure",
    "anthropic": "anthropic",
    "gemini": "google",
    "google": "google",
    "vertex": "google",
}
"""Providers whose answers are read, by the name in a recording, as events call them."""


class Unread(StrEnum):
    """Why there is no answer in a file, or none that can be read."""

    UNREADABLE_FILE = "unreadable_file"
    UNKNOWN_ANSWER = "unknown_answer"
    PROVIDER_NOT_SUPPORTED_YET = "provider_not_supported_yet"


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

    @property
    def region(self) -> str | None:
        """Where it was answered: Azure says it in a header, Vertex in its path."""
        return (self.headers.get("x-ms-region") or _after(self.path, "/locations/"))[:NAME_LIMIT] or None


def read_recording(content: bytes, provider: str | None = None) -> Recording | Unread:
    """The answer in a file, or why there is none; never raises, whatever is in it."""
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    try:
        value = decode_json(content)
    except (ValueError, RecursionError, msgspec.DecodeError):
        folded = _fold_text(content)
        return _bare(folded.answer, folded, provider, digest) if folded else Unread.UNREADABLE_FILE
    if isinstance(value, list):
        folded = fold_chunks(cast("list[Any]", value))
        return _bare(folded.answer, folded, provider, digest) if folded else Unread.UNKNOWN_ANSWER
    if not isinstance(value, dict):
        return Unread.UNKNOWN_ANSWER
    body = cast("dict[str, Any]", value)
    if isinstance(body.get("response"), dict) and ("request" in body or "provider" in body):
        return _recorded(body, provider, digest)
    return _bare(body, None, provider, digest)


def _recorded(file: dict[str, Any], provider: str | None, digest: str) -> Recording | Unread:
    label = first_text(file, NAME_LIMIT, "provider") or provider
    if label is not None and label not in PROVIDERS:
        return Unread.PROVIDER_NOT_SUPPORTED_YET
    response, request = object_at(file, "response"), object_at(file, "request")
    body, folded = _body_of(response)
    if body is None:
        return Unread.UNKNOWN_ANSWER
    path, status = _path_of(request), response.get("status")
    return Recording(
        body,
        digest,
        provider=PROVIDERS[label] if label else _provider_of(body),
        api=first_text(file, NAME_LIMIT, "api") or (folded.api if folded else ""),
        is_streamed=folded is not None,
        is_complete=folded is None or folded.is_complete,
        model=_model_asked(file, request, path),
        path=path,
        status=status if type(status) is int and status in HTTP_STATUSES else 0,
        headers=_headers_of(response),
    )


def _bare(
    body: dict[str, Any], folded: FoldedStream | None, provider: str | None, digest: str
) -> Recording | Unread:
    if provider is not None and provider not in PROVIDERS:
        return Unread.PROVIDER_NOT_SUPPORTED_YET
    named = PROVIDERS[provider] if provider else _provider_of(body)
    if folded is None:
        return Recording(body, digest, named, _api_of(body))
    return Recording(body, digest, named, folded.api, is_streamed=True, is_complete=folded.is_complete)


def _body_of(response: dict[str, Any]) -> tuple[dict[str, Any] | None, FoldedStream | None]:
    """The answer of a recorded response, folded where it was streamed; None where it is nobody's."""
    content, text = response.get("json"), response.get("sse")
    if isinstance(content, dict):
        return cast("dict[str, Any]", content), None
    folded = fold_sse(text) if isinstance(text, str) else None
    if isinstance(content, list):
        folded = fold_chunks(cast("list[Any]", content))
    return (folded.answer, folded) if folded else (None, None)


def _fold_text(content: bytes) -> FoldedStream | None:
    try:
        return fold_sse(content.decode())
    except UnicodeDecodeError:
        return None


def _provider_of(body: Mapping[str, Any]) -> str | None:
    """Who answers in this shape and no other; OpenAI's shape is many a provider's."""
    if "usageMetadata" in body or "modelVersion" in body:
        return "google"
    if first_text(body, NAME_LIMIT, "type") in {"message", "completion"}:
        return "anthropic"
    return None


def _api_of(body: Mapping[str, Any]) -> str:
    """Which API answers in this shape, empty where it can't be told."""
    kinds = {
        "chat.completion": "chat",
        "response": "responses",
        "response.compaction": "responses_compact",
        "text_completion": "completions",
        "thread.run": "runs",
        "interaction": "interactions",
        "message": "messages",
        "completion": "complete",
    }
    kind = first_text(body, NAME_LIMIT, "object", "type") or ""
    return kinds.get(kind, "generateContent" if "candidates" in body else "")


def _model_asked(file: dict[str, Any], request: dict[str, Any], path: str) -> str | None:
    """The model as the request named it: in its body, in its path, or in the recording's own notes."""
    named = first_text(object_at(request, "body_summary"), IDENTIFIER_LIMIT, "model")
    model = named or _after(path, "/models/") or _after(path, "/deployments/")
    return (model or first_text(file, IDENTIFIER_LIMIT, "model") or "").removeprefix("models/") or None


def _after(path: str, mark: str) -> str:
    """The path segment after a mark, without Google's `:method`."""
    return path.partition(mark)[2].partition("/")[0].partition(":")[0]


def _path_of(request: dict[str, Any]) -> str:
    try:
        return urlsplit(first_text(request, URL_LIMIT, "url") or "").path[:IDENTIFIER_LIMIT]
    except ValueError:
        return ""


def _headers_of(response: dict[str, Any]) -> dict[str, str]:
    headers = object_at(response, "headers")
    return {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
