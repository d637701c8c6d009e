"""How letters to people are sent: the mail server, and as whom. Without one, links are handed over by hand.

What the letters say is in `identity/users/letters.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from bursar.settings.spelling import Group, Spelling, clash, lower

if TYPE_CHECKING:
    from bursar.errors import Reason

_ADDRESS = r"[^@\s<>\"]+@[^@\s<>\"]+"
_SENDER = re.compile(rf"{_ADDRESS}|[^<>\x00-\x1f\x7f\"]+ <{_ADDRESS}>")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def _check_sender(sender: str) -> str:
    if not _SENDER.fullmatch(sender):
        message = "not a sender"
        raise ValueError(message)
    return sender


class Mail(Group):
    """The mail server."""

    smtp_host: Annotated[
        Annotated[str, Field(pattern=r"^[^\s/:]+$")] | None,
        Spelling("a host name or address", ("SMTP_HOST",)),
    ] = None
    """Mail server that letters to users go out by. Without it their links are printed, or in the answer."""
    smtp_port: Annotated[int, Spelling(aliases=("SMTP_PORT",))] = Field(default=587, ge=1, le=65_535)
    """Its port: mostly 587 with `starttls`, 465 with `tls`."""
    smtp_security: Annotated[Literal["starttls", "tls", "none"], BeforeValidator(lower)] = "starttls"
    """How the connection is encrypted. `none` is for a server on this very machine."""
    smtp_user: Annotated[str | None, Spelling("any text", ("SMTP_USER",))] = None
    """Whom to log in as there, if it asks for that."""
    smtp_password: Annotated[SecretStr | None, Spelling("any text", ("SMTP_PASSWORD",))] = None
    """The password beside it."""
    smtp_from: Annotated[
        Annotated[str, AfterValidator(_check_sender)] | None,
        Spelling("an address such as bursar@example.com or Bursar <bursar@example.com>", ("SMTP_FROM",)),
    ] = None
    """From whom the letters come."""


def incomplete_mail(settings: Mail) -> list[Reason]:
    """What is missing for a mail server that is named, or unsafe."""
    reasons: list[Reason] = []
    if settings.smtp_host and not settings.smtp_from:
        reasons.append(clash("smtp_host", "needs BURSAR_SMTP_FROM beside it"))
    if settings.smtp_from and not settings.smtp_host:
        reasons.append(clash("smtp_from", "needs BURSAR_SMTP_HOST beside it"))
    if (settings.smtp_user is None) != (settings.smtp_password is None):
        reasons.append(clash("smtp_user", "and BURSAR_SMTP_PASSWORD need each other"))
    if settings.smtp_security == "none" and settings.smtp_host and settings.smtp_host not in _LOCAL:
        # A link in a letter is as good as a password.
        reasons.append(clash("smtp_security", "none is only for a mail server on this machine"))
    return reasons
