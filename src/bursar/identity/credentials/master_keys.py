"""Master keys: how they are written, what tells them apart, and which one seals what is new.

A master key seals nothing but data keys (`envelope.py`). Its id is derived from its bytes, so a wrong key
can't be taken for the right one, and may be shown and logged. Where keys come from is `app`'s business.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.errors import ConfigurationError, NoEncryptionKey, SecretUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEY_BYTES = 32
"""AES-256's."""
KEY_FORM = "32 random bytes in base64 or hexadecimal, such as `openssl rand -base64 32` prints"
_ID_LENGTH = 12
_HEX_DIGITS = 2 * KEY_BYTES


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key for data keys."""

    id: str
    """Of its content: equal keys have equal ids."""
    content: bytes = field(repr=False)


def master_key(content: bytes) -> MasterKey:
    """The master key of these 32 bytes."""
    # Of 256 random bits even the whole digest would tell nothing; 48 bits of it tell a few keys apart.
    digest = hashlib.sha256(b"bursar master key id\0" + content).hexdigest()
    return MasterKey(f"mk_{digest[:_ID_LENGTH]}", content)


def write_key(content: bytes) -> str:
    """A key as a setting or a file has it."""
    return base64.urlsafe_b64encode(content).decode()


def new_key_text() -> str:
    """A fresh key, as a setting or a file has it."""
    return write_key(os.urandom(KEY_BYTES))


def read_keys(text: str, where: str) -> tuple[MasterKey, ...]:
    """The keys of a setting or a file, in order; `#` begins a comment that goes on to the line's end.

    Raises:
        ConfigurationError: one of them is no key; `where` is named, and never what stands there.
    """
    plain = re.sub(r"#.*", "", text)
    return tuple(_read_key(word, f"{where}, key {place}") for place, word in enumerate(_words(plain), 1))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def _read_key(word: str, where: str) -> MasterKey:
    try:
        if len(word) == _HEX_DIGITS:
            content = bytes.fromhex(word)
        else:
            standard = word.rstrip("=").replace("-", "+").replace("_", "/")
            content = base64.b64decode(f"{standard}=", validate=True)
    except ValueError:
        content = b""
    if len(content) != KEY_BYTES:
        message = f"{where}: that is no encryption key. A key is {KEY_FORM}."
        raise ConfigurationError(message)
    return master_key(content)


class KeyRing:
    """Every master key at hand; the first one seals what is new. Use from any thread."""

    def __init__(self, keys: Iterable[MasterKey], make: Callable[[], MasterKey] | None = None) -> None:
        """Hold these keys; while there are none, `make` is asked for one when something is to be sealed."""
        self._keys = {key.id: key for key in keys}
        self._make = make
        self._lock = threading.Lock()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys at hand, the one that seals first."""
        return tuple(self._keys)

    def sealing(self) -> MasterKey:
        """The key that seals what is new.

        Raises:
            NoEncryptionKey: there is none, and none may be made.
        """
        with self._lock:
            if not self._keys:
                if self._make is None:
                    raise NoEncryptionKey
                made = self._make()
                self._keys[made.id] = made
            return next(iter(self._keys.values()))

    def key(self, key_id: str) -> MasterKey:
        """The key of this id.

        Raises:
            SecretUnreadable: it isn't at hand.
        """
        found = self._keys.get(key_id)
        if found is None:
            raise SecretUnreadable(missing_key([key_id], self.ids))
        return found


def missing_key(missing: Iterable[str], at_hand: Iterable[str]) -> str:
    """What to say where secrets are sealed by keys that aren't at hand."""
    return (
        f"Secrets here are sealed by the encryption key {', '.join(sorted(missing))}, which isn't at hand"
        f" (there is: {', '.join(at_hand) or 'none'}). Give it again by BURSAR_ENCRYPTION_KEY or"
        " BURSAR_ENCRYPTION_KEY_FILE, or as the file `encryption.key` of the data folder."
    )
