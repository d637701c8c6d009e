"""The account that a sender of events gets: what was accepted at which cost, what was refused and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.app.problems import problem_response
from bursar.errors import (
    ExpiredKey,
    Invalid,
    QuotaExceeded,
    RateLimited,
    Reason,
    RevokedKey,
    TenantMismatch,
    TenantSuspended,
)
from bursar.usage.intake import CostAnswer

if TYPE_CHECKING:
    from bursar.errors import BursarError
    from bursar.usage.ingest import Accepted
    from bursar.usage.intake import EventAnswer, Rejection
    from bursar.usage.turns import Turns

StoredCosts = Callable[[Collection[str], Sequence[int]], dict[int, CostAnswer]]
"""Costs of these tenants' stored events by seq: what a repeated delivery is answered with."""
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and body."""
_SLICE = 1_000
"""Answers encoded before the event loop gets its turn: under 1 ms."""

_SINGLE_ANSWER = (
    b'{"accepted":1,"rejected":[],"success":true,"event_id":%b,"message":"The event is stored durably.",'
    b'"events":[%b]}'
)

_encode = msgspec.json.Encoder().encode


async def answer_accepted(
    accepted: Accepted, turns: Turns, *, applied: bool | None, wants_events: bool, batch: bool
) -> Answer:
    """202 when durable, 200 when applied; `applied` is None where nobody asked to wait.

    The answers by event are used up.
    """
    parts = [b'{"accepted":%d,"rejected":%b' % (accepted.count, _encode(_rejected(accepted)))]
    if applied is not None:
        parts.append(b',"applied":%b' % (b"true" if applied else b"false"))
    if accepted.single:
        parts.append(b"," + _encode(_single(accepted))[1:-1])
    if batch:
        parts.append(b"," + _encode(_batch(accepted))[1:-1])
    if accepted.exceeded is not None:
        parts.append(b',"quota":' + _encode(accepted.exceeded.told()))
    if wants_events:
        parts += [b',"events":[', b",".join(await _events(accepted.answers, turns)), b"]"]
    parts.append(b"}")
    return (200 if applied else 202), _headers(), b"".join(parts)


def answer_single(answer: EventAnswer) -> bytes:
    """What `answer_accepted` says of a single event that is durable, as JSON."""
    return _SINGLE_ANSWER % (_encode(answer.event_id), _encode(answer))


def refuse_all(accepted: Accepted, path: str, request_id: str) -> Answer:
    """A problem document with the list of every item's reasons: nothing in the body was valid."""
    rejections = accepted.rejections
    status, headers, body = problem_response(_refusal(accepted), path, request_id)
    document: dict[str, Any] = json.loads(body)
    document |= {"accepted": 0, "rejected": _rejected(accepted)}
    if accepted.exceeded is not None:
        document["quota"] = accepted.exceeded.told()
    if accepted.single and rejections:
        document |= {"success": False, "message": document["detail"]}
    return status, headers, _encode(document)


def _refusal(accepted: Accepted) -> BursarError:
    rejections = accepted.rejections
    codes = {reason.code for one in rejections for reason in one.reasons}
    if codes == {"tenant_mismatch"}:
        return TenantMismatch()
    if codes == {TenantSuspended.code}:
        return TenantSuspended()
    if codes and codes <= {RevokedKey.code, ExpiredKey.code}:
        return RevokedKey()
    return _refusal_of_items(accepted, codes)


def _refusal_of_items(accepted: Accepted, codes: set[str]) -> BursarError:
    rejections = accepted.rejections
    if codes == {RateLimited.code} and accepted.limited is not None:
        return accepted.limited
    if codes == {QuotaExceeded.code} and accepted.exceeded is not None:
        return QuotaExceeded(accepted.exceeded.text)
    if accepted.single and rejections:
        return Invalid("The event was refused.", reasons=rejections[0].reasons)
    if not rejections:
        empty = Reason("$", "required", "Send at least one event.")
        return Invalid("The body holds no events.", reasons=(empty,))
    return Invalid(f"All {len(rejections)} events of the body were refused.")


def _rejected(accepted: Accepted) -> list[dict[str, Any]]:
    return [_rejection(one) for one in accepted.rejections]


def _rejection(one: Rejection) -> dict[str, Any]:
    shown: dict[str, Any] = {"index": one.index}
    if one.event_id is not None:
        shown["event_id"] = one.event_id
    shown["errors"] = [
        {"field": reason.field, "code": reason.code, "message": reason.message} for reason in one.reasons
    ]
    return shown


def _single(accepted: Accepted) -> dict[str, Any]:
    return {
        "success": True,
        "event_id": accepted.answers[0].event_id,
        "message": "The event is stored durably.",
    }


def _batch(accepted: Accepted) -> dict[str, Any]:
    failed = [
        {
            "index": one.index,
            "error": "; ".join(f"{reason.field}: {reason.message}" for reason in one.reasons),
        }
        for one in accepted.rejections
    ]
    return {
        "success": not failed,
        "processed_count": accepted.count,
        "failed_count": len(failed),
        "failed_events": failed,
        "message": f"{accepted.count} events stored durably, {len(failed)} refused.",
    }


async def _events(answers: list[EventAnswer], turns: Turns) -> list[bytes]:
    encoded: list[bytes] = []
    turn = turns.of_large_body()
    answers.reverse()
    while answers:
        part = answers[: -_SLICE - 1 : -1]
        del answers[-_SLICE:]
        encoded.append(_encode(part)[1:-1])
        if answers:
            await turn.end()
    return encoded


def _headers() -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json")]
