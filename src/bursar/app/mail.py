"""Letters go out by SMTP, where a server is set up (`BURSAR_SMTP_HOST`): a connection each, bounded in time.

Whoever sends waits at most some seconds and is told by a sentence what went wrong. The connection lives on a
thread of its own: a mail server that answers a byte at a time holds up that thread, not a request.
"""

from __future__ import annotations

import smtplib
import ssl
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from bursar.errors import MailFailed, Overloaded

if TYPE_CHECKING:
    from bursar.identity.users.letters import Letter
    from bursar.settings import Settings

ANSWER_SECONDS = 5.0
"""For each answer of the mail server."""
LETTER_SECONDS = 10.0
"""For a letter as a whole; then whoever asked is told that it may not have gone."""
AT_ONCE = 8
"""Connections to the mail server at a time."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters are handed in, and as whom."""

    host: str
    port: int
    sender: str
    security: str = "starttls"
    """`starttls`, `tls` from the first byte, or `none`."""
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"MailServer({self.host}:{self.port}, {self.security})"


class Mailer:
    """Sends letters; safe to use from any thread."""

    def __init__(
        self,
        server: MailServer,
        answer_seconds: float = ANSWER_SECONDS,
        letter_seconds: float = LETTER_SECONDS,
    ) -> None:
        """Send by this server; nothing is opened before the first letter."""
        self._server = server
        self._answer_seconds = answer_seconds
        self._letter_seconds = letter_seconds
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def send(self, letter: Letter) -> None:
        """Hand a letter to the mail server.

        Raises:
            MailFailed: it refused, could not be reached, or took too long.
            Overloaded: too many letters are on their way.
        """
        if not self._places.acquire(blocking=False):
            message = "Too many mails are being sent at this moment; try again in a minute."
            raise Overloaded(message, retry_after_seconds=60)
        done: Future[None] = Future()
        threading.Thread(target=self._deliver, args=(letter, done), name="mail", daemon=True).start()
        try:
            done.result(self._letter_seconds)
        except TimeoutError as error:
            raise MailFailed(self._sentence("took too long to answer")) from error
        except smtplib.SMTPResponseException as error:
            said = _readable(error.smtp_error)
            raise MailFailed(self._sentence(f"refused it: {error.smtp_code} {said}")) from error
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise MailFailed(self._sentence(f"refused it: {code} {_readable(said)}")) from error
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise MailFailed(self._sentence(f"did not take it: {error}")) from error

    def _deliver(self, letter: Letter, done: Future[None]) -> None:
        try:
            self._hand_in(letter)
        except Exception as error:  # noqa: BLE001 - handed over to whoever waits for it
            done.set_exception(error)
        else:
            done.set_result(None)
        finally:
            self._places.release()

    def _hand_in(self, letter: Letter) -> None:
        server, seconds = self._server, self._answer_seconds
        trusted = ssl.create_default_context()
        if server.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=seconds, context=trusted
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=seconds)
        with connection:
            if server.security == "starttls":
                connection.starttls(context=trusted)
            if server.user is not None:
                connection.login(server.user, server.password or "")
            connection.send_message(_message_of(letter, server.sender))

    def _sentence(self, what: str) -> str:
        return f"The mail server {self._server.host}:{self._server.port} {what}."


def mailer_of(settings: Settings) -> Mailer | None:
    """What sends letters by the settings; None where no mail server is set up."""
    if settings.smtp_host is None or settings.smtp_from is None:
        return None
    password = settings.smtp_password
    return Mailer(
        MailServer(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_from,
            settings.smtp_security,
            settings.smtp_user,
            None if password is None else password.get_secret_value(),
        )
    )


def _message_of(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip("> "))
    # A machine wrote it: nobody's absence is to answer (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def _readable(said: bytes | str) -> str:
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else said
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]
