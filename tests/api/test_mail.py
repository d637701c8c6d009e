"""Letters to users by a real mail server on this machine: what goes out, and what is told when it doesn't."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from bursar.app.mail import Mailer, MailServer
from bursar.errors import ConfigurationError, MailFailed
from bursar.identity.users.letters import Letter
from bursar.settings import load_settings
from tests.support.letters import Mailbox, mail_server
from tests.support.patience import wait_until
from tests.support.people import PASSWORD, a_person
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from structlog.typing import EventDict

    from tests.support.serving import RunningServer

LETTER = Letter("ada@example.com", "A subject", "Some text with ünïcode.\n")
SENDER = "Bursar <bursar@example.com>"


def settings_of(mailbox: Mailbox) -> dict[str, Any]:
    return {
        "smtp_host": "127.0.0.1",
        "smtp_port": mailbox.port,
        "smtp_security": "none",
        "smtp_from": SENDER,
        "public_url": "https://bursar.example.com",
    }


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as mailbox:
        yield mailbox


@pytest.fixture
def posting(mailbox: Mailbox, tmp_path: Path) -> Iterator[RunningServer]:
    """A server that sends mail."""
    with running_server(tmp_path / "data", **settings_of(mailbox)) as server:
        yield server


@contextmanager
def a_socket_that(answers: bytes) -> Generator[int]:
    """A port on which somebody takes connections, says this, and then nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                held.append(connection)
                connection.sendall(answers)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in held:
                one.close()


# ------------------------------------------------------------------------------------------------ the mailer


def test_a_letter_arrives_as_it_was_written(mailbox: Mailbox) -> None:
    Mailer(MailServer("127.0.0.1", mailbox.port, SENDER, "none")).send(LETTER)
    (letter,) = mailbox.letters
    assert (letter["From"], letter["To"], letter["Subject"]) == (SENDER, LETTER.to, LETTER.subject)
    assert letter.get_content().splitlines() == LETTER.text.splitlines()
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"].endswith("@example.com>")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_letter_goes_encrypted_and_with_a_login(
    security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued: Any = authority.issue_cert("localhost")
    issued.configure_cert(context)
    with mail_server(context, from_start=security == "tls") as mailbox:
        server = MailServer("localhost", mailbox.port, SENDER, security, "bursar", "geheim")
        with pytest.raises(MailFailed, match="certificate verify failed"):
            Mailer(server).send(LETTER)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        Mailer(server).send(LETTER)
    assert len(mailbox.letters) == 1
    assert mailbox.logins == [(b"bursar", b"geheim")]
    assert "geheim" not in repr(server)


def test_a_server_without_encryption_gets_no_letter_that_needs_it(mailbox: Mailbox) -> None:
    with pytest.raises(MailFailed, match="STARTTLS"):
        Mailer(MailServer("127.0.0.1", mailbox.port, SENDER)).send(LETTER)
    assert mailbox.letters == []


def test_a_refusal_is_told_in_the_servers_words(mailbox: Mailbox) -> None:
    mailbox.refuses = "550 5.1.1 no such mailbox"
    with pytest.raises(MailFailed, match=r"refused it: 550 5\.1\.1 no such mailbox"):
        Mailer(MailServer("127.0.0.1", mailbox.port, SENDER, "none")).send(LETTER)


def test_a_server_that_isn_t_there_is_told() -> None:
    with a_socket_that(b"") as port:
        pass
    with pytest.raises(MailFailed, match="refused"):
        Mailer(MailServer("127.0.0.1", port, SENDER, "none")).send(LETTER)


@pytest.mark.parametrize("answers", [b"", b"220 hello\r\n"], ids=["at all", "any more"])
def test_a_server_that_doesn_t_answer_is_waited_for_no_longer_than_promised(answers: bytes) -> None:
    with a_socket_that(answers) as port:
        begun = time.monotonic()
        with pytest.raises(MailFailed, match=r"took too long|did not take it"):
            Mailer(MailServer("127.0.0.1", port, SENDER, "none"), 30.0, 0.3).send(LETTER)
        assert time.monotonic() - begun < 5


# ------------------------------------------------------------------------------------------ users and links


def test_an_invitation_is_mailed_and_not_shown(posting: RunningServer, mailbox: Mailbox) -> None:
    body = {"email": "ada@example.com", "roles": [{"role": "viewer"}]}
    made = posting.client.post("/api/v1/users", json=body).json()
    assert (made["invitation"]["mailed"], made["invitation"]["link"]) == (True, None)
    (letter,) = mailbox.letters
    assert "https://bursar.example.com/welcome#bur_link_" in letter.get_content()
    assert letter["Subject"] == "You are invited to Bursar"
    follow = {"token": mailbox.secret_to("ada@example.com"), "password": PASSWORD}
    assert posting.stranger.post("/api/v1/auth/accept", json=follow).status_code == 200
    shown = posting.client.post(f"/api/v1/users/{made['id']}/link", json={"mail": False}).json()
    assert (shown["mailed"], len(mailbox.letters)) == (False, 1)
    assert shown["link"].startswith("https://bursar.example.com/welcome#")


def test_a_mail_that_failed_is_told_and_the_link_is_in_the_answer(
    posting: RunningServer, mailbox: Mailbox
) -> None:
    mailbox.refuses = "550 no such mailbox"
    made = posting.client.post("/api/v1/users", json={"email": "ada@example.com"}).json()
    assert made["invitation"]["mailed"] is False
    assert "550 no such mailbox" in made["invitation"]["problem"]
    follow = {"token": made["invitation"]["link"].partition("#")[2], "password": PASSWORD}
    assert posting.stranger.post("/api/v1/auth/accept", json=follow).status_code == 200


def test_who_forgot_a_password_gets_a_link_and_nobody_else_an_answer(
    posting: RunningServer, mailbox: Mailbox
) -> None:
    ada, eve = a_person(posting, "acme"), a_person(posting, "acme")
    eve_id = eve.user.id
    posting.client.patch(f"/api/v1/users/{eve_id}", params={"tenant_id": "acme"}, json={"state": "suspended"})
    asked = [
        {"email": "nobody@example.com", "tenant_id": "acme"},
        {"email": ada.user.email, "tenant_id": "default"},
        {"email": ada.user.email, "tenant_id": "no-such-tenant"},
        {"email": eve.user.email, "tenant_id": "acme"},
        {"email": "no address", "tenant_id": "acme"},
        {"email": ada.user.email.upper(), "tenant_id": "acme"},
    ]
    answers = [posting.stranger.post("/api/v1/auth/forgot", json=one) for one in asked]
    assert {(one.status_code, one.text) for one in answers} == {(202, answers[0].text)}
    secret = mailbox.secret_to(ada.user.email)
    assert [letter["To"] for letter in mailbox.letters] == [ada.user.email]
    follow = {"token": secret, "password": "another horse battery"}
    assert posting.stranger.post("/api/v1/auth/accept", json=follow).status_code == 200
    typed = ada.credentials("another horse battery")
    assert posting.stranger.post("/api/v1/auth/login", json=typed).status_code == 200


def test_five_links_are_mailed_at_once_and_no_sixth(posting: RunningServer, mailbox: Mailbox) -> None:
    ada, bob = a_person(posting, "acme"), a_person(posting, "acme")
    for _ in range(8):
        body = {"email": ada.user.email, "tenant_id": "acme"}
        assert posting.stranger.post("/api/v1/auth/forgot", json=body).status_code == 202
    # One after the other: when Bob's has come, there is no more for Ada.
    posting.stranger.post("/api/v1/auth/forgot", json={"email": bob.user.email, "tenant_id": "acme"})
    mailbox.secret_to(bob.user.email)
    assert [letter["To"] for letter in mailbox.letters].count(ada.user.email) == 5
    ada.log_in()


def test_a_link_that_could_not_be_mailed_is_in_the_log(
    posting: RunningServer, mailbox: Mailbox, logged: list[EventDict]
) -> None:
    ada = a_person(posting, "acme")
    mailbox.refuses = "550 no such mailbox"
    body = {"email": ada.user.email, "tenant_id": "acme"}
    posting.stranger.post("/api/v1/auth/forgot", json=body)
    wait_until(lambda: any("550" in str(line.get("error")) for line in logged), "a line in the log")
    assert ada.user.email not in str(logged)


def test_a_request_for_a_link_doesn_t_wait_for_the_mail_server(tmp_path: Path) -> None:
    with a_socket_that(b"") as port:
        silent = Mailbox(port)
        with running_server(tmp_path / "data", **settings_of(silent)) as server:
            ada = a_person(server, "acme")
            begun = time.monotonic()
            body = {"email": ada.user.email, "tenant_id": "acme"}
            assert server.stranger.post("/api/v1/auth/forgot", json=body).status_code == 202
            assert time.monotonic() - begun < 3


# --------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "given",
    [
        {"smtp_host": "mail.example.com"},
        {"smtp_from": "a@b.c"},
        {"smtp_host": "mail.example.com", "smtp_from": "nobody"},
        {"smtp_host": "mail.example.com", "smtp_from": "a@b.c\nBcc: x@y.z"},
        {"smtp_host": "mail.example.com", "smtp_from": "a@b.c", "smtp_user": "x"},
        {"smtp_host": "mail.example.com", "smtp_from": "a@b.c", "smtp_security": "none"},
        {"smtp_host": "mail.example.com:587", "smtp_from": "a@b.c"},
        {"public_url": "bursar.example.com"},
        {"public_url": "https://user@bursar.example.com"},
        {"public_url": "https://bursar.example.com/?x"},
    ],
)
def test_settings_that_would_send_no_mail_or_unsafely_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        load_settings({}, **given)
