"""The other names of an event's fields, as clients of several generations write them, in one table.

`translate.py` resolves them in bodies; billing and the checks of registered services read them here.
"""

from __future__ import annotations

ALIASES: dict[str, str] = {
    "timestamp": "time",
    "service_provider": "provider",
    "event_type": "operation",
    "model_name": "model",
    "request_model": "model",
    "answered_model": "response_model",
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_input_tokens": "cached_tokens",
    "cache_read_tokens": "cached_tokens",
    "cache_creation_tokens": "cache_write_tokens",
    "duration_ms": "latency_ms",
    "response_time_ms": "latency_ms",
    "processing_time_ms": "latency_ms",
    "ttft_ms": "time_to_first_token_ms",
    "error_message": "message",
}
"""Other names of canonical fields; the two may not disagree in one body."""

UNIT_ALIASES: dict[str, str] = {
    "pages_processed": "pages",
    "characters_extracted": "characters",
    "file_size_bytes": "bytes",
    "request_count": "requests",
    "payload_size_bytes": "bytes",
    "response_size_bytes": "bytes",
}
"""Counts that the built-in document and API services report by field; those of the same unit are added up."""

SERVICE_FIELDS = frozenset(
    {"document_type", "processing_type", "file_format", "method", "api_version", "model_version"}
)
"""Descriptive fields of the built-in services; kept in `metadata`."""


def canonical_name(name: str) -> str:
    """The name of the field or unit that a name stands for; itself where it is none of the others."""
    return ALIASES.get(name) or UNIT_ALIASES.get(name, name)
