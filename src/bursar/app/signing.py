"""What people's logins are signed with: a setting's secret, or one made and kept in the data folder.

The file is for its owner alone (0600) and in no backup: after a restore into another folder, people log in
again. The secret of a setting counts before the file, which stays for the case that the setting is unset.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from bursar.errors import ConfigurationError
from bursar.identity.logins.access_token import SigningKeys
from bursar.storage.durable_files import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.settings import Settings
    from bursar.storage.folder import DataFolder

_KEPT = re.compile(rb"[!-~]{32,512}\n")


def open_signing_keys(settings: Settings, folder: DataFolder) -> SigningKeys:
    """The keys of this server; call only while holding the folder.

    Raises:
        ConfigurationError: the kept secret can't be read.
    """
    current, previous = settings.secret_key, settings.secret_key_previous
    secret = current.get_secret_value() if current else _kept_secret(folder.secret_key)
    return SigningKeys.of(secret, *([previous.get_secret_value()] if previous else []))


def _kept_secret(path: Path) -> str:
    """The folder's own secret, made at the first time."""
    if not path.exists():
        write_durably(path, secrets.token_urlsafe(48).encode() + b"\n")
    content = path.read_bytes()
    if not _KEPT.fullmatch(content):
        message = (
            f"{path} doesn't hold a secret that Bursar has made. Remove it and a new one is made:"
            " people have to log in again, nothing else is lost."
        )
        raise ConfigurationError(message)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return content.decode().strip()
