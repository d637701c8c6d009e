"""Letters to people about their access: what they say. How a letter is sent is `app/mail.py`'s business."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar import clock
from bursar.identity.users.links import LinkKind

if TYPE_CHECKING:
    from bursar.identity.users.links import Link


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to one person."""

    to: str
    """Their e-mail address."""
    subject: str
    text: str = field(repr=False)
    """It may hold a link, which is as good as a password."""


_SUBJECTS = {
    LinkKind.INVITATION: "You are invited to Bursar",
    LinkKind.RESET: "Set a new password for Bursar",
    LinkKind.FORGOTTEN: "Set a new password for Bursar",
}
_FIRST_LINES = {
    LinkKind.INVITATION: "you can see AI usage and spend of '{tenant}' in Bursar. Choose a password here:",
    LinkKind.RESET: "somebody who manages the users of '{tenant}' asks you to set a new password for Bursar:",
    LinkKind.FORGOTTEN: "somebody, probably you, asked for a new password for '{tenant}' in Bursar:",
}
_LAST_LINES = {
    LinkKind.INVITATION: "If you don't expect this, ignore it.",
    LinkKind.RESET: "Until you do, the password that you have stays valid.",
    LinkKind.FORGOTTEN: "If it wasn't you, ignore this: your password stays as it is.",
}


def write_letter(to: str, link: Link, address: str) -> Letter:
    """The letter that brings a link.

    Args:
        to: the e-mail address of its user.
        link: of any kind but the first admin's.
        address: the link as it is followed.
    """
    text = (
        f"Hello,\n\n{_FIRST_LINES[link.kind].format(tenant=link.tenant_id)}\n\n{address}\n\n"
        f"The link works once, until {clock.rfc3339(link.expires_at)}. {_LAST_LINES[link.kind]}\n"
    )
    return Letter(to, _SUBJECTS[link.kind], text)
