"""Passwords: which ones are taken, how they are kept (argon2id), and how one is compared with what is kept.

A comparison takes the same time whether or not there is somebody with a password to compare with. Each takes
64 MiB and a good part of a core for some 50 ms, so that few are made at a time and the rest is refused at
once: a flood of logins must not take the server's memory or threads.
"""

from __future__ import annotations

import threading
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from bursar import ids
from bursar.errors import Invalid, Overloaded, Reason

if TYPE_CHECKING:
    from collections.abc import Generator

SHORTEST = 12
"""Characters. NIST SP 800-63B asks for 8 at least and for no rules about kinds of characters; 12 is what
guessing a stolen hash of this cost should need years for."""
LONGEST = 256
FEWEST_DIFFERENT = 5
AT_ONCE = 2
"""Comparisons at a time: 128 MiB."""
WAITING = 16
"""Comparisons that may wait for their turn, for at most a second or so."""
_LONGEST_PIECE = 4
_WELL_KNOWN = frozenset(
    {
        "password1234",
        "password12345",
        "passwordpassword",
        "123456789012",
        "1234567890123",
        "12345678901234",
        "qwertyuiop12",
        "qwertyuiopas",
        "qwertyuiop123",
        "qwertyuiopasdf",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "adminadminadmin",
        "administrator",
        "administrator1",
        "changemechangeme",
        "letmeinletmein",
        "iloveyou1234",
        "welcome12345",
        "abcdefghijkl",
        "abcdefghijklm",
    }
)
"""The commonest of leaked passwords that are long enough to pass the other rules."""


def refuse_weak(password: str, *personal: str, beside: tuple[Reason, ...] = ()) -> None:
    """Refuse a password that is easily guessed.

    Args:
        password: as it was typed.
        personal: words that everybody knows of its owner: address and name.
        beside: what else is wrong with what was typed, to be told with it.

    Raises:
        Invalid: with every reason.
    """
    text = _normal(password).casefold()
    weak = tuple(_weaknesses(text, {word.casefold() for word in personal}))
    if beside:
        raise Invalid(reasons=(*beside, *weak))
    if weak:
        raise Invalid(" ".join(reason.message for reason in weak), reasons=weak)


class Passwords:
    """Makes and compares hashes of passwords; safe to use from any thread."""

    def __init__(self) -> None:
        """Cost as RFC 9106 recommends where 2 GiB for one hash are too much (its second choice)."""
        self._hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._nobody: str | None = None

    @contextmanager
    def turn(self) -> Generator[None]:
        """Wait for leave to make or compare hashes, until the block is left.

        Raises:
            Overloaded: too many wait already.
        """
        if not self._places.acquire(blocking=False):
            message = "Too many people are logging in at this moment; try again in a second."
            raise Overloaded(message)
        try:
            with self._turns:
                yield
        finally:
            self._places.release()

    def hash(self, password: str) -> str:
        """What to keep of a password; within a `turn`."""
        return self._hasher.hash(_encoded(password))

    def is_right(self, password: str, kept: str | None) -> bool:
        """Whether this is the password of which `kept` was made; within a `turn`.

        Takes as long where nothing is kept, and answers False then.
        """
        try:
            is_same = self._hasher.verify(kept or self._of_nobody(), _encoded(password))
        except (VerificationError, InvalidHashError):
            return False
        return is_same and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether this was made at another cost than hashes are made today."""
        return self._hasher.check_needs_rehash(kept)

    def prepare(self) -> None:
        """Make the hash that stands for nobody's before it is needed: the first login takes no longer."""
        self._of_nobody()

    def _of_nobody(self) -> str:
        if self._nobody is None:
            self._nobody = self._hasher.hash(ids.make_secret("nobody"))
        return self._nobody


def _normal(password: str) -> str:
    """The same text however a keyboard composed it (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _encoded(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")


def _weaknesses(text: str, personal: set[str]) -> Generator[Reason]:
    if len(text) < SHORTEST:
        yield _weakness("too_short", f"The password needs {SHORTEST} characters or more.")
    if len(text) > LONGEST:
        yield _weakness("too_long", f"The password may have {LONGEST} characters at most.")
    if len(set(text)) < FEWEST_DIFFERENT or _is_repetition(text):
        yield _weakness("too_simple", "The password repeats itself; use more different characters.")
    if text in _WELL_KNOWN:
        yield _weakness("well_known", "The password is one of those that everybody tries first.")
    words = {part for word in personal for part in (word, word.partition("@")[0]) if part}
    if text in words or text in {word * 2 for word in words}:
        yield _weakness("personal", "The password is the address or the name of its owner.")


def _weakness(code: str, message: str) -> Reason:
    return Reason("password", code, message)


def _is_repetition(text: str) -> bool:
    """Whether it is a piece of up to four characters again and again."""
    return any(text == (text[:size] * len(text))[: len(text)] for size in range(1, _LONGEST_PIECE + 1))
