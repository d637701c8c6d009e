"""The rules of tracking tokens: how one looks, what it is called, and how it is shown.

A token tells apart what sends usage (an app, an environment, a customer) without a key for each. It is no
secret and opens nothing; it is shown in part in lists all the same, for they end up on screens and in logs.
Everything here is pure: `register.py` knows which tokens there are.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason

if TYPE_CHECKING:
    from datetime import datetime

SHORTEST, LONGEST = 16, 40
"""Characters that a token may have."""
TOKEN_PATTERN = r"^[A-Za-z0-9_-]{16,40}$"  # noqa: S105 - a pattern, not a password
LABEL_LIMIT = 64
LABEL_PATTERN = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
"""One line of text, not only spaces."""
SHOWN_LENGTH = 4
"""Characters of a masked token at either end."""

_TOKEN = re.compile(TOKEN_PATTERN)
_LABEL = re.compile(LABEL_PATTERN)


@dataclass(frozen=True, slots=True)
class TrackingToken:
    """A tenant's token, and what is known of its use."""

    id: str
    """What events keep of it."""
    tenant_id: str
    token: str
    label: str
    """Of its tenant's tokens only this one has it."""
    created_at: datetime
    created_by: str
    is_active: bool = True
    """Events that name one that isn't are refused."""
    last_seen_at: datetime | None = None
    """Written every few seconds, as is the next."""
    uses: int = 0
    """How many events that named it were taken; one that was sent again counts again."""


@dataclass(frozen=True, slots=True)
class TokenChange:
    """What to change of a token; None leaves a field as it is."""

    label: str | None = None
    is_active: bool | None = None


def make_token(length: int) -> str:
    """A random token of so many characters, 6 bits each."""
    return secrets.token_urlsafe(length)[:length]


def mask_token(token: str) -> str:
    """The token's two ends, enough to recognise it by."""
    return f"{token[:SHOWN_LENGTH]}…{token[-SHOWN_LENGTH:]}"


def refuse_unfit(label: str | None, token: str | None = None) -> None:
    """Refuse a label or a chosen token that can't be kept; None is fine.

    Raises:
        Invalid: with every reason.
    """
    reasons: list[Reason] = []
    if label is not None and (len(label) > LABEL_LIMIT or not _LABEL.fullmatch(label)):
        reasons.append(Reason("label", "invalid_name", f"must be one line of 1 to {LABEL_LIMIT} characters"))
    if token is not None and not _TOKEN.fullmatch(token):
        text = f"must have {SHORTEST} to {LONGEST} letters, digits, - or _"
        reasons.append(Reason("token", "invalid_token", text))
    if reasons:
        raise Invalid(reasons=tuple(reasons))
