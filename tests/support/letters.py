"""A real mail server on this machine, what it took, and the links that stand in its letters."""

from __future__ import annotations

import asyncio
import re
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from functools import partial
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

from tests.support.patience import wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator
    from email.message import EmailMessage

SECRET = re.compile(r"#(bur_link_[\w-]+)")


@dataclass(slots=True)
class Mailbox:
    """What a mail server took."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list["EmailMessage"])
    logins: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    refuses: str | None = None
    """What it answers to every recipient."""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _more: Any) -> str:  # noqa: ANN401, N802 - aiosmtpd's
        """Take a recipient, or don't."""
        if self.refuses is not None:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: ANN401, N802 - aiosmtpd's
        """Keep a letter."""
        self.letters.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    def log_in(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:  # noqa: ANN401 - aiosmtpd's
        """Let everybody in who gives a name and a password."""
        self.logins.append((given.login, given.password))
        return AuthResult(success=True)

    def secret_to(self, address: str, number: int = 1) -> str:
        """What the link holds in the so-manieth letter to somebody, once it has come."""
        wait_until(lambda: len(self._to(address)) >= number, f"letter {number} to {address}")
        found = SECRET.search(str(self._to(address)[number - 1].get_content()))
        assert found
        return found[1]

    def _to(self, address: str) -> list[EmailMessage]:
        return [letter for letter in self.letters if letter["To"] == address]


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None, *, from_start: bool = False) -> Generator[Mailbox]:
    """A mail server for as long as the block runs; with `tls` it insists on that and on a login."""
    mailbox, loop = Mailbox(), asyncio.new_event_loop()
    more: dict[str, Any] = {}
    if tls is not None:
        more = {"authenticator": mailbox.log_in, "auth_required": True, "auth_require_tls": not from_start}
        more |= {} if from_start else {"tls_context": tls, "require_starttls": True}
    listening = loop.run_until_complete(
        loop.create_server(
            partial(_protocol, mailbox, hostname="127.0.0.1", loop=loop, **more),
            "127.0.0.1",
            0,
            ssl=tls if from_start else None,
        )
    )
    mailbox.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="mail server")
    thread.start()
    try:
        yield mailbox
    finally:
        asyncio.run_coroutine_threadsafe(_end(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _protocol(*given: Any, **more: Any) -> SMTP:  # noqa: ANN401 - aiosmtpd's
    with warnings.catch_warnings():
        # It warns of logins without STARTTLS, also where everything is encrypted from the start.
        warnings.simplefilter("ignore")
        return SMTP(*given, **more)


async def _end(listening: asyncio.Server) -> None:
    listening.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
