"""CloudEvents 1.0 (JSON format, and HTTP binary mode) into the body of a usage event.

Identity is source plus id, as the specification says, so two sources may use the same id. The
event's `data` is an ordinary usage body; attributes fill only what it doesn't say itself.
Specification: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from bursar.errors import Invalid, Reason
from bursar.usage.json_shape import is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUIRED = ("id", "source", "type", "specversion")
_KNOWN = frozenset(
    {*_REQUIRED, "time", "subject", "datacontenttype", "dataschema", "data", "data_base64", "traceparent"}
)
_TRACEPARENT_PARTS = 4


def is_cloudevent(body: Mapping[str, Any]) -> bool:
    """Whether a JSON object is meant as a CloudEvent."""
    return "specversion" in body


def body_of_cloudevent(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The usage body inside a CloudEvent, its attributes filled in.

    Raises:
        Invalid: with every attribute that is missing or wrong.
    """
    reasons = [
        Reason(name, "required", f"A CloudEvent needs '{name}' as a non-empty string.")
        for name in _REQUIRED
        if not (isinstance(envelope.get(name), str) and envelope[name])
    ]
    # A tuple, for what is there may be a list, and no set can be asked about one.
    if envelope.get("specversion") not in (None, "", "1.0"):
        reasons.append(
            Reason("specversion", "unsupported", "Only CloudEvents specversion 1.0 is understood.")
        )
    data = envelope.get("data")
    if not is_object(data):
        text = "'data' must be a JSON object with the usage event; data_base64 is not accepted."
        reasons.append(Reason("data", "wrong_type", text))
    if reasons:
        raise Invalid("The CloudEvent was refused.", reasons=tuple(reasons))
    body: dict[str, Any] = dict(data) if is_object(data) else {}
    body["event_id"] = event_id_of(envelope["source"], envelope["id"])
    _fill(body, envelope)
    return body


def event_id_of(source: str, identifier: str) -> str:
    """One id out of source and id, such that no two different pairs give the same."""
    return f"{source.replace('%', '%25').replace('#', '%23')}#{identifier}"


def envelope_of_headers(headers: Mapping[str, str], data: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """The envelope of a CloudEvent sent in binary mode: attributes in `ce-` headers, data as body.

    Header values are percent-encoded (HTTP protocol binding, 3.1.3.2), so that either mode gives an event
    the same id.
    """
    envelope: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")
    }
    envelope["data"] = data
    return envelope


def _fill(body: dict[str, Any], envelope: Mapping[str, Any]) -> None:
    if "time" in envelope and "timestamp" not in body:
        body.setdefault("time", envelope["time"])
    if "event_type" not in body:
        body.setdefault("operation", envelope["type"])
    if envelope.get("subject"):
        body.setdefault("user_id", envelope["subject"])
    traceparent = envelope.get("traceparent")
    parts = traceparent.split("-") if isinstance(traceparent, str) else []
    if len(parts) == _TRACEPARENT_PARTS:
        body.setdefault("trace_id", parts[1])
        body.setdefault("span_id", parts[2])
    extensions = {name: value for name, value in envelope.items() if name not in _KNOWN}
    if extensions:
        metadata = body.get("metadata")
        if metadata is None or is_object(metadata):
            body["metadata"] = {"cloudevent": extensions, **(metadata or {})}
