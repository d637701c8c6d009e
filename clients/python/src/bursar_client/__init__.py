"""Records AI usage with Bursar, and asks it who spent what.

    from bursar_client import BursarClient

    with BursarClient("http://127.0.0.1:8000", "bur_…") as bursar:
        bursar.send([{"provider": "openai", "model": "gpt-5.4-mini",
                      "input_tokens": 812, "output_tokens": 145}])

Everything a program needs is importable from here. `client.py` is the place to start reading;
`errors.py` draws the tree of what can go wrong.
"""

from __future__ import annotations

from bursar_client.client import BursarClient
from bursar_client.errors import (
    AccessRefused,
    BursarClientError,
    ConnectionFailed,
    EventsRejected,
    NotFound,
    Overloaded,
    ProblemAnswer,
    RequestRefused,
    ServerFailed,
    UnreadableAnswer,
    UnsendableEvent,
)
from bursar_client.events import new_event_id, with_event_ids
from bursar_client.results import (
    Cost,
    QueryAnswer,
    RejectedEvent,
    RejectionReason,
    SendResult,
    SentEvent,
    read_query_answer,
)
from bursar_client.retries import RetryPolicy

__version__ = "0.1.0"

__all__ = [
    "AccessRefused",
    "BursarClient",
    "BursarClientError",
    "ConnectionFailed",
    "Cost",
    "EventsRejected",
    "NotFound",
    "Overloaded",
    "ProblemAnswer",
    "QueryAnswer",
    "RejectedEvent",
    "RejectionReason",
    "RequestRefused",
    "RetryPolicy",
    "SendResult",
    "SentEvent",
    "ServerFailed",
    "UnreadableAnswer",
    "UnsendableEvent",
    "new_event_id",
    "read_query_answer",
    "with_event_ids",
]
