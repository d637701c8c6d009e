"""Retries of requests that make something: what an `Idempotency-Key` made once isn't made a second time.

The id of what is made follows from the tenant and the key, so that a retry finds it, also one that runs at
the same moment: the store takes an id once. Rotations of API keys have ids of their own (`rotation.py`).
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from bursar.errors import Conflict, NotFound, Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

Kept = TypeVar("Kept")
Answer = TypeVar("Answer")


def id_under(retry_key: str, prefix: str, tenant_id: str) -> str:
    """The id of what a request with this `Idempotency-Key` makes for the tenant: the same for each retry."""
    digest = hashlib.blake2b(f"made\n{prefix}\n{tenant_id}\n{retry_key}".encode(), digest_size=12)
    return f"{prefix}_{digest.hexdigest()}"


def answered_again(model: object) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of the answer to a retry, in the form of the first one."""
    return {200: {"description": "Made before by the same `Idempotency-Key`", "model": model}}


def make_once(
    find: Callable[[], Kept], make: Callable[[], Answer], answer_again: Callable[[Kept], Answer]
) -> Answer:
    """What `make` answers or, if it was made before, what there is to say to a retry.

    Raises:
        BursarError: whatever the three of them raise, but for a `NotFound` of `find`.
    """
    with suppress(NotFound):
        return answer_again(find())
    try:
        return make()
    except Conflict:
        # Perhaps with the same request, which came twice at once.
        with suppress(NotFound):
            return answer_again(find())
        raise


def refuse_other(made_id: str, *, is_same: bool) -> None:
    """Let only a retry pass that asks for what was made.

    Raises:
        Conflict: it asks for something else (reason `other_content`).
    """
    if not is_same:
        message = (
            f"This Idempotency-Key made {made_id}, which isn't what is asked for now, or was changed since."
            " Use another key for another request."
        )
        raise Conflict(message, reasons=(Reason("Idempotency-Key", "other_content", message),))


def refuse_repeated(made_id: str, way_out: str) -> NoReturn:
    """A retry of what has shown a secret, which nobody has but who got the first answer.

    Args:
        made_id: of what was made.
        way_out: a sentence on what to do if that answer was lost.

    Raises:
        Conflict: always (reason `already_made`); it names what was made.
    """
    message = f"This was done already: it made {made_id}, whose secret was shown then. {way_out}"
    raise Conflict(message, reasons=(Reason("Idempotency-Key", "already_made", message),))
