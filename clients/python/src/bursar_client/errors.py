"""Everything that this client raises on purpose, as one tree.

    BursarClientError
    ├── UnsendableEvent       an event can't be written as JSON; nothing was sent
    ├── ConnectionFailed      no answer came, in any of the tries
    ├── UnreadableAnswer      an answer came that is not Bursar's
    ├── EventsRejected        raised by `SendResult.raise_for_rejected()` only
    └── ProblemAnswer         the server answered with a problem document (RFC 9457)
        ├── RequestRefused    the request is wrong: 400, 409, 413, 415, 422 and other 4xx
        ├── AccessRefused     the key is missing, unknown, or may not do this: 401, 403
        ├── NotFound          404
        ├── Overloaded        429 or 503, still after the last try; `retry_after_seconds`
        └── ServerFailed      any other 5xx

An error raised by `send` also says what became of the events: `sent` is what the server had
acknowledged by then, `unsent` are the others, with their ids. `client.send(error.unsent)` is safe
at any later time, because an event id counts once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar_client.results import RejectedEvent, SendResult


class BursarClientError(Exception):
    """The root of the tree."""

    sent: SendResult | None = None
    """What the server had acknowledged before this happened; None outside `send`."""
    unsent: tuple[Mapping[str, Any], ...] = ()
    """The events that were not acknowledged, with their ids, ready to be sent again."""


class UnsendableEvent(BursarClientError):
    """An event can't be written as JSON; nothing was sent."""

    def __init__(self, index: int, why: str) -> None:
        """Name the event by its place in what was given to `send`."""
        super().__init__(f"Event {index} can't be written as JSON: {why}")
        self.index = index


class ConnectionFailed(BursarClientError):
    """No answer came, in any of the tries."""


class UnreadableAnswer(BursarClientError):
    """An answer came that is not Bursar's; the address may be another program's."""


class EventsRejected(BursarClientError):
    """The server refused events; `rejected` has every reason for each of them."""

    def __init__(self, rejected: tuple[RejectedEvent, ...]) -> None:
        """Say the first reason, and how many more there are."""
        first = rejected[0]
        why = "; ".join(f"{reason.field}: {reason.message}" for reason in first.errors)
        others = f" ({len(rejected) - 1} more)" if len(rejected) > 1 else ""
        super().__init__(f"Event {first.index} was refused: {why}{others}")
        self.rejected = rejected


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document, read: what the server says went wrong."""

    status: int
    code: str
    """The stable word of the problem, such as `missing_scope`."""
    title: str
    detail: str
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The whole document as it came."""


class ProblemAnswer(BursarClientError):
    """The server answered with a problem document."""

    def __init__(self, problem: Problem, retry_after_seconds: float | None = None) -> None:
        """Keep the whole document and the server's own sentence."""
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds
        """How long the server asks to wait, where it does."""


class RequestRefused(ProblemAnswer):
    """The request is wrong as sent; the document says what to change."""


class AccessRefused(ProblemAnswer):
    """The key is missing, unknown, expired, revoked, or may not do this."""


class NotFound(ProblemAnswer):
    """No such thing for this key."""


class Overloaded(ProblemAnswer):
    """The server has no room right now, still after the last try."""


class ServerFailed(ProblemAnswer):
    """The server failed on its own account."""


def problem_error(problem: Problem, retry_after_seconds: float | None = None) -> ProblemAnswer:
    """The error of the tree that fits the answer's status."""
    by_status: dict[int, type[ProblemAnswer]] = {
        401: AccessRefused,
        403: AccessRefused,
        404: NotFound,
        429: Overloaded,
        503: Overloaded,
    }
    fallback = ServerFailed if problem.status >= 500 else RequestRefused  # noqa: PLR2004 - HTTP's own line
    kind = by_status.get(problem.status, fallback)
    return kind(problem, retry_after_seconds)
