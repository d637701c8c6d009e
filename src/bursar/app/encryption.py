"""Where the master keys of sealed secrets come from: settings, a file, or the data folder.

The keys of `BURSAR_ENCRYPTION_KEY` come first, then those of `BURSAR_ENCRYPTION_KEY_FILE`, then the data
folder's own. The first one seals what is new, all of them open. Where nobody chose a key, the first secret
makes one in the data folder: good enough for a copy of the state store or a backup, which have no key, but
not for who reads the folder. So it isn't made in production, nor with PostgreSQL, where servers with folders
of their own share secrets.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from bursar.errors import ConfigurationError, SecretUnreadable
from bursar.identity.audit.deed import BURSAR, Deed, Outcome
from bursar.identity.credentials.master_keys import (
    KEY_BYTES,
    KeyRing,
    master_key,
    missing_key,
    read_keys,
    write_key,
)
from bursar.identity.credentials.vault import Vault
from bursar.storage.durable_files import write_durably
from bursar.storage.relational.credentials import RelationalCredentials

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.identity.audit.log import AuditLog
    from bursar.identity.credentials.master_keys import MasterKey
    from bursar.identity.credentials.vault import Use
    from bursar.settings import Settings
    from bursar.storage.folder import DataFolder
    from bursar.storage.relational.engine import StateEngine

_HEAD = """\
# The encryption key of this data folder's secrets. Keep a copy apart from the backups, none of which has it:
# without it nobody opens the secrets again. `bursar secrets list` tells what it is needed for.
"""

log = structlog.get_logger()


def open_vault(settings: Settings, folder: DataFolder, engine: StateEngine, audit: AuditLog) -> Vault:
    """The vault over the state store, with every key at hand; looks at the folder, makes nothing yet.

    Raises:
        ConfigurationError: a file of keys can't be read, or something in it is no key.
        Unavailable: the state store doesn't answer.
    """
    store = RelationalCredentials(engine)

    def make() -> MasterKey:
        if needed := store.sealed_by():
            # A new key beside secrets that only the lost one opens would hide that it is lost.
            raise SecretUnreadable(missing_key(needed, ()))
        return _make_key(folder.encryption_key)

    may_make = settings.database_url is None and settings.environment != "production"
    ring = KeyRing(keys_of(settings, folder), make if may_make else None)
    if missing := store.sealed_by().keys() - set(ring.ids):
        log.warning("there are secrets that can't be opened", why=missing_key(missing, ring.ids))
    return Vault(store, ring, lambda use: _record(audit, use))


def _record(audit: AuditLog, use: Use) -> None:
    """Write a use into the tenant's chain of the audit log; a secret isn't handed out without."""
    asked = {"purpose": use.purpose}
    audit.record(
        use.tenant_id, Deed("credential.use", Outcome.DONE, BURSAR, target=use.credential_id, asked=asked)
    )


def keys_of(settings: Settings, folder: DataFolder) -> list[MasterKey]:
    """Every master key at hand, the one that seals first.

    Raises:
        ConfigurationError: a file can't be read, or something in it is no key.
    """
    keys: list[MasterKey] = []
    if settings.encryption_key is not None:
        keys += read_keys(settings.encryption_key.get_secret_value(), "BURSAR_ENCRYPTION_KEY")
    if settings.encryption_key_file is not None:
        keys += _read_file(settings.encryption_key_file, "BURSAR_ENCRYPTION_KEY_FILE")
    if folder.encryption_key.exists():
        keys += _read_file(folder.encryption_key, "The data folder's key")
    return keys


def _read_file(path: Path, what: str) -> tuple[MasterKey, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{what}: {path} can't be read: {error.strerror or error}."
        raise ConfigurationError(message) from error
    except UnicodeDecodeError:
        text = "\0"
    keys = read_keys(text, f"{what} ({path})")
    if not keys:
        message = f"{what}: {path} holds no key."
        raise ConfigurationError(message)
    return keys


def _make_key(path: Path) -> MasterKey:
    content = os.urandom(KEY_BYTES)
    write_durably(path, f"{_HEAD}{write_key(content)}\n".encode())
    made = master_key(content)
    log.warning("made an encryption key, for none was chosen; no backup has it", path=str(path), id=made.id)
    return made
