"""A provider's own answer, posted as it came, turned into the native event that the door for events takes.

The body is the answer: JSON, server-sent events, or AWS's event stream. What it can't tell (who was asked,
for whom, when) stands in the query. Reading is `usage/formats/`'s business; everything that holds for events,
every limit and every refusal, holds for the event made here, because it goes on as if it had been posted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.errors import Invalid, Reason, TooLarge
from bursar.usage.formats.provider_answers import is_of_content, read_told_answer
from bursar.usage.formats.recordings import Told
from bursar.usage.providers.registry import provider_labelled
from bursar.usage.record import encode_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.event import UsageEvent

STREAM_TYPES = frozenset(
    ("text/event-stream", "application/stream+json", "application/vnd.amazon.eventstream")
)
"""Bodies of these types are always a provider's answer."""
ANSWER_PARAMETERS = {
    "provider": "Whose answer the body is (`openai`, `bedrock`, …); with it a JSON body is an answer too.",
    "model": "The model as it was asked for, where the answer doesn't name it.",
    "event_id": "The event's id, instead of the answer's own.",
    "time": "When it was answered (RFC 3339), instead of what the answer says.",
    "project_id": "The project that asked.",
    "user_id": "The user who asked.",
    "session_id": "The session in which it was asked.",
    "request_id": "The request's id, instead of the answer's.",
    "operation": "What was done, instead of the API's name.",
    "environment": "Where it was asked from: `production`, `staging`, …",
}
"""Query parameters by what they say of the answer; all but the first are fields of the event."""
ANSWER_BYTES_LIMIT = 16 * 1024 * 1024
"""No answer is this large; a stream's chunks take several times its bytes while it is folded."""
_PASSED_ON = re.compile(r"x-amzn-|x-request-id$|request-id$|apim-request-id$|x-ms-region$|date$")
"""Headers of the provider's answer that a caller may pass on with it."""


def is_answer(headers: Mapping[str, str], parameters: Mapping[str, str]) -> bool:
    """Whether the body is meant as a provider's answer, not as events."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = media_type in {"", "application/json"}
    return media_type in STREAM_TYPES or (is_json and "provider" in parameters)


def event_of_answer(body: bytes, headers: Mapping[str, str], parameters: Mapping[str, str]) -> bytes:
    """The JSON of the event that an answer is, with what the query says of it.

    Raises:
        Invalid: the provider isn't known, or the body holds nothing that happened; the code says which.
        TooLarge: it is no answer of any model.
    """
    if len(body) > ANSWER_BYTES_LIMIT:
        raise TooLarge(f"An answer may have at most {ANSWER_BYTES_LIMIT} bytes.")
    provider = parameters.get("provider")
    if provider is not None and provider_labelled(provider) is None:
        text = f"Answers of '{provider[:64]}' can't be read; send an event with units instead."
        raise _refusal("provider", "provider_not_supported_yet", text)
    passed_on = {name: value for name, value in headers.items() if _PASSED_ON.match(name)}
    reading = read_told_answer(body, Told(provider, parameters.get("model"), passed_on))
    if reading.event is None:
        raise _refusal("$", str(reading.reason), reading.detail)
    return encode_event(_fields_of(reading.event, parameters))


def _fields_of(event: UsageEvent, parameters: Mapping[str, str]) -> dict[str, Any]:
    fields = msgspec.structs.asdict(event)
    if is_of_content(event.event_id or ""):
        # Two equal answers have it in common: without an id of its own the event gets a fresh one.
        del fields["event_id"]
    said = {name: parameters[name] for name in ANSWER_PARAMETERS if name in parameters and name != "provider"}
    return {name: value for name, value in {**fields, **said}.items() if value is not None}


def _refusal(field: str, code: str, text: str) -> Invalid:
    return Invalid("The answer was refused.", reasons=(Reason(field, code, text),))
