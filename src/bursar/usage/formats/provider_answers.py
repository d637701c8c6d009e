"""Recorded answers of AI providers, read from files into usage events.

Each file becomes an `AnswerReading`: an event ready for the one door, a named reason why it carries no
usage, or both. No file makes this raise. How a file is taken apart is in `recordings.py`, what an
answer's fields mean in `answer_facts.py`, and what its usage counts in `usage/providers/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.errors import Invalid
from bursar.usage.event import Estimate, UsageEvent
from bursar.usage.formats.answer_facts import AnswerFacts, facts_of, time_of_header
from bursar.usage.formats.answer_fields import IDENTIFIER_LIMIT, first_text
from bursar.usage.formats.asked_text import asked_text
from bursar.usage.formats.batch_files import lines_of_batch
from bursar.usage.formats.estimating import estimate_tokens
from bursar.usage.formats.recordings import Recording, Told, Unread, read_recording
from bursar.usage.providers.normalise import normalise_usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_BYTES_LIMIT = 64 * 1024 * 1024
"""No answer is this large; the limit keeps a stray file from filling the memory."""
HTTP_ERROR = 400

OPERATIONS: dict[str, str] = {
    "chat": "chat",
    "grpc_chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "generateContent": "chat",
    "interactions": "chat",
    "complete": "text_completion",
    "completions": "text_completion",
    "converse": "chat",
    "textgen": "text_completion",
    "generate": "text_completion",
    "embed": "embeddings",
    "embeddings": "embeddings",
    "images": "image_generation",
    "transcription": "speech_to_text",
    "speech": "text_to_speech",
    "realtime": "realtime",
    "responses_compact": "compaction",
    "runs": "agent_run",
}
"""One word for the same act of every provider; an API that isn't here is its own word."""
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")
COUNTING = frozenset(("count_tokens", "countTokens", "input_tokens"))
CACHE_STORAGE = "cachedContents"
NEVER_STREAMS_USAGE = "complete"
_CONTENT_ID = re.compile(r"answer:[0-9a-f]{32}")
_VERSION = re.compile(r"_v\d+$")


class WithoutUsage(StrEnum):
    """Why an answer carries no usage."""

    NO_USAGE_IN_STREAM = "no_usage_in_stream"
    NO_USAGE_IN_ANSWER = "no_usage_in_answer"
    ERROR_ANSWER = "error_answer"
    COUNT_ONLY = "count_only"
    NOT_FINISHED = "not_finished"
    CACHE_STORAGE_ONLY = "cache_storage_only"
    USAGE_REFUSED = "usage_refused"


NoUsage = WithoutUsage | Unread

EXPLANATIONS: dict[NoUsage, str] = {
    WithoutUsage.NO_USAGE_IN_STREAM: "The stream ended without usage; OpenAI sends it with `include_usage`.",
    WithoutUsage.NO_USAGE_IN_ANSWER: "The answer says nothing about usage.",
    WithoutUsage.COUNT_ONLY: "Tokens were only counted; no model was asked.",
    WithoutUsage.NOT_FINISHED: "The answer was still being made; the finished one carries the usage.",
    WithoutUsage.CACHE_STORAGE_ONLY: "A stored cache is billed by tokens and hours, not by this answer.",
    Unread.UNKNOWN_ANSWER: "This is no answer of a provider that is known here.",
    Unread.PROVIDER_NOT_SUPPORTED_YET: "Answers of this provider can't be read yet.",
    Unread.SEVERAL_ANSWERS: "It has several whole answers or streams; give them one by one.",
    Unread.UNREADABLE_FILE: "It is neither JSON nor a stream: server-sent events, JSON lines, AWS's frames.",
}
CUT_STREAM = "The stream was cut; the usage is what it had said by then."


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """What one file gave: an event to record, a reason why it has no usage, or both.

    Both: the call did happen, but it failed or nobody counted, so it is recorded without usage. A reason
    alone: nothing happened that is billed, or nothing could be recorded right.
    """

    event: UsageEvent | None = None
    reason: NoUsage | None = None
    detail: str = ""
    """A sentence for a person; also where a stream was cut after saying something about usage."""


def read_answers(folder: Path, provider: str | None = None) -> Iterator[tuple[Path, AnswerReading]]:
    """Every file of a folder and its subfolders (or the one file), sorted by path, with its reading.

    A file of a batch's results has a reading for each line, with the line's number behind its name.
    `provider` names the provider of bare answers that don't tell it themselves.
    """
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    root = folder.resolve()
    for path in paths:
        try:
            if not path.resolve().is_relative_to(root):
                # Somebody else's folder may have links to what is this machine's business alone.
                yield path, AnswerReading(None, Unread.UNREADABLE_FILE, "It is a link out of the folder.")
                continue
            if path.stat().st_size > FILE_BYTES_LIMIT:
                yield path, AnswerReading(None, Unread.UNREADABLE_FILE, "The file is too large.")
                continue
            content = path.read_bytes()
        except OSError as error:
            yield path, AnswerReading(None, Unread.UNREADABLE_FILE, error.strerror or "It can't be opened.")
            continue
        batch = lines_of_batch(content)
        if batch is None:
            yield path, read_answer(content, provider)
            continue
        for number, line in batch:
            yield path.with_name(f"{path.name}:{number}"), read_answer(line, provider)


def read_answer(content: bytes, provider: str | None = None) -> AnswerReading:
    """The reading of one file's content; never raises, whatever is in it."""
    return read_told_answer(content, Told(provider))


def read_told_answer(content: bytes, told: Told) -> AnswerReading:
    """The reading of an answer of which its caller tells something too; never raises, whatever is in it."""
    recording = read_recording(content, told)
    if isinstance(recording, Unread):
        return _without(recording)
    facts = facts_of(recording.body, recording.provider)
    if facts.usage is not None and recording.api != CACHE_STORAGE:
        return _read_usage(recording, facts, facts.usage)
    if _has_failed(recording, facts):
        message = facts.error[1] if facts.error else f"HTTP {recording.status}"
        return AnswerReading(_estimated(recording, facts), WithoutUsage.ERROR_ANSWER, message)
    return _read_without_usage(recording, facts)


def _read_usage(recording: Recording, facts: AnswerFacts, usage: dict[str, Any]) -> AnswerReading:
    try:
        normalise_usage(usage, recording.provider)
    except Invalid as error:
        reasons = "; ".join(f"{reason.field}: {reason.message}" for reason in error.reasons)
        return _without(WithoutUsage.USAGE_REFUSED, reasons)
    return AnswerReading(_event_of(recording, facts), None, "" if recording.is_complete else CUT_STREAM)


def _read_without_usage(recording: Recording, facts: AnswerFacts) -> AnswerReading:
    if recording.api == CACHE_STORAGE:
        return _without(WithoutUsage.CACHE_STORAGE_ONLY)
    if recording.api in COUNTING or facts.is_count_only:
        return _without(WithoutUsage.COUNT_ONLY)
    if facts.is_pending:
        return _without(WithoutUsage.NOT_FINISHED)
    if facts.units:
        return AnswerReading(_event_of(recording, facts))
    if not recording.api:
        return _without(Unread.UNKNOWN_ANSWER)
    reason = WithoutUsage.NO_USAGE_IN_ANSWER
    if recording.is_streamed and recording.api != NEVER_STREAMS_USAGE:
        reason = WithoutUsage.NO_USAGE_IN_STREAM
    event = _estimated(recording, facts)
    return AnswerReading(event, reason, EXPLANATIONS[reason] + _words_of(event.estimate))


def _estimated(recording: Recording, facts: AnswerFacts) -> UsageEvent:
    """The event of an answer that nobody counted, its tokens estimated where a stream left its text."""
    event = _event_of(recording, facts)
    if not recording.text:
        return event
    model = event.response_model or event.model
    output, asked = estimate_tokens(recording.text, model), asked_text(recording.asked)
    units: dict[str, int | Decimal] = {**(event.units or {}), "output_text": output.tokens}
    method = output.method
    if asked is not None:
        given = estimate_tokens(asked, model)
        units["input_text"] = given.tokens
        method = method if given.method == method else f"{given.method}/{method}"
    return msgspec.structs.replace(event, units=units, estimate=Estimate(method, asked is not None))


def _words_of(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    known = "" if estimate.input_known else "; the request isn't known, so neither is the cost"
    return f" Its tokens were estimated by {estimate.method}{known}."


def _without(reason: NoUsage, detail: str = "") -> AnswerReading:
    return AnswerReading(None, reason, detail or EXPLANATIONS.get(reason, ""))


def _has_failed(recording: Recording, facts: AnswerFacts) -> bool:
    return facts.error is not None or recording.status >= HTTP_ERROR


def _event_of(recording: Recording, facts: AnswerFacts) -> UsageEvent:
    failed = _has_failed(recording, facts)
    code, message = facts.error or (None, None)
    headers = recording.headers
    request_id = first_text(headers, IDENTIFIER_LIMIT, *REQUEST_ID_HEADERS)
    return UsageEvent(
        event_id=_event_id(recording, facts),
        time=facts.time or time_of_header(headers.get("date", "")),
        request_id=request_id or first_text(recording.body, IDENTIFIER_LIMIT, "request_id"),
        provider=recording.provider,
        model=recording.model or facts.model,
        response_model=facts.model if recording.names_models else None,
        operation=_operation_of(recording.api),
        endpoint=recording.path or None,
        region=recording.region,
        service_tier=facts.service_tier,
        batch=recording.is_batch or None,
        speed=facts.speed,
        status="error" if failed else "ok",
        error_code=code or (str(recording.status) if failed and recording.status else None),
        message=message or None,
        units=dict[str, int | Decimal](facts.units) or None,
        usage=facts.usage,
    )


def _operation_of(api: str) -> str | None:
    """One word for what was done, whatever version of an API did it."""
    plain = _VERSION.sub("", api)
    return OPERATIONS.get(plain, plain) or None


def is_of_content(event_id: str) -> bool:
    """Whether an event's id is only the hash of its answer, which two equal answers have in common."""
    return _CONTENT_ID.fullmatch(event_id) is not None


def _event_id(recording: Recording, facts: AnswerFacts) -> str:
    """The provider's own id of the answer, so that reading it twice counts once; else the content's hash."""
    if facts.response_id is None:
        return f"answer:{recording.digest}"
    return f"{recording.provider or 'answer'}:{facts.response_id}"[:IDENTIFIER_LIMIT]
