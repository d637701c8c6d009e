"""Forgotten passwords: anybody may ask for a link to an address, and learns nothing by it.

The request is put aside at once, whatever the address; whether somebody has it is looked up afterwards, on
a thread of its own, so that neither answer nor time tells. For one address in a tenant, known or not, five
links are sent at once and further ones after waits that double up to an hour, as for wrong passwords.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from bursar.errors import BursarError, Conflict, Overloaded, Reason
from bursar.identity.logins.attempts import AttemptKey, attempt_key
from bursar.identity.users.letters import write_letter
from bursar.identity.users.links import Link, LinkKind, hash_link, make_link_secret, write_link
from bursar.identity.users.user import UserState, normal_email

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.logins.store import LoginStore
    from bursar.identity.users.enrolment import Enrolment

WAITING_LIMIT = 100
"""Requests that may wait for the mail server; beyond, the next is refused."""
CLOSE_SECONDS = 3.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    tenant_id: str
    email: str
    at: datetime


@dataclass(slots=True)
class ForgottenPasswords:
    """Sends links to who has forgotten their password; safe to use from any thread."""

    enrolment: Enrolment
    attempts: LoginStore
    _waiting: queue.Queue[_Asked | None] = field(
        default_factory=lambda: queue.Queue["_Asked | None"](WAITING_LIMIT)
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def ask(self, tenant_id: str, email: str, now: datetime) -> None:
        """Let a link be sent to this address, if somebody of the tenant has it.

        Raises:
            Conflict: no mail is set up, whatever the address.
            Overloaded: too many have asked and wait.
        """
        if self.enrolment.post is None:
            message = "No mail is set up here: ask somebody who manages users for a link."
            raise Conflict(message, reasons=(Reason("$", "no_mail", message),))
        self._start()
        try:
            self._waiting.put_nowait(_Asked(tenant_id, normal_email(email), now))
        except queue.Full:
            message = "Too many people ask for new passwords at this moment; try again in a minute."
            raise Overloaded(message, retry_after_seconds=60) from None

    def close(self) -> None:
        """Send what waits, as far as that takes no more than some seconds."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            try:
                self._waiting.put(None, timeout=CLOSE_SECONDS)
            except queue.Full:
                return
            thread.join(CLOSE_SECONDS)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                # A mail server that doesn't answer must not hold the process's end.
                self._thread = threading.Thread(target=self._work, name="forgotten", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (asked := self._waiting.get()) is not None:
            try:
                self._send(asked)
            except BursarError as error:
                # Whoever asked can't be told: the answer would say that the address is known.
                log.warning("a link could not be sent to who forgot a password", error=error.detail)
            except Exception:
                log.exception("a link could not be sent to who forgot a password")

    def _send(self, asked: _Asked) -> None:
        if not self.attempts.begin_attempt(_counted(asked), asked.at):
            return
        found = self.enrolment.users.kept_login(asked.tenant_id, asked.email)
        if found is None or found.user.state is not UserState.ACTIVE or self.enrolment.post is None:
            return
        user, secret = found.user, make_link_secret()
        link = Link(user.tenant_id, user.id, LinkKind.FORGOTTEN, asked.at, user.id)
        self.enrolment.links.add_link(link, hash_link(secret))
        self.enrolment.post(write_letter(user.email, link, write_link(self.enrolment.base, secret)))


def _counted(asked: _Asked) -> AttemptKey:
    """Apart from wrong passwords: asking for a link locks nobody out."""
    return attempt_key(asked.tenant_id, f"forgotten\n{asked.email}")
