"""Logins wired together: what signs them, where they are kept, what people may do, who hears of changes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bursar.app.mail import mailer_of
from bursar.app.signing import open_signing_keys
from bursar.identity.logins.logins import Logins
from bursar.identity.logins.people import People
from bursar.identity.logins.session import SessionTerms
from bursar.identity.users.enrolment import Enrolment
from bursar.identity.users.passwords import Passwords
from bursar.storage.relational.logins import RelationalLogins
from bursar.storage.relational.user_links import RelationalLinks
from bursar.storage.relational.users import RelationalUsers

if TYPE_CHECKING:
    from bursar.settings import Settings
    from bursar.storage.folder import DataFolder
    from bursar.storage.relational.engine import StateEngine
    from bursar.storage.relational.identity import RelationalIdentityStore


def open_logins(
    settings: Settings,
    folder: DataFolder,
    engine: StateEngine,
    identity: RelationalIdentityStore,
) -> Logins:
    """What gives out people's tokens, and knows people by them."""
    keys = open_signing_keys(settings, folder)
    store = RelationalLogins(engine)
    people = People(store, keys, identity.granted)
    terms = SessionTerms(
        timedelta(minutes=settings.jwt_expire_minutes), timedelta(days=settings.session_days)
    )
    users = RelationalUsers(engine)
    return Logins(users, store, Passwords(), keys, terms, people)


def open_enrolment(
    settings: Settings, engine: StateEngine, identity: RelationalIdentityStore, logins: Logins
) -> Enrolment:
    """What makes users and their links."""
    mailer = mailer_of(settings)
    return Enrolment(
        logins.users,
        identity,
        RelationalLinks(engine),
        logins.passwords,
        settings.public_url or local_url(settings),
        None if mailer is None else mailer.send,
    )


def local_url(settings: Settings) -> str:
    """Where a browser on this machine reaches the server."""
    host = settings.host.strip("[]")
    host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    shown = f"[{host}]" if ":" in host else host
    return f"{'http' if settings.ssl_certfile is None else 'https'}://{shown}:{settings.port}"
