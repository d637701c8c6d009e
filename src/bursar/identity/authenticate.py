"""From a presented key to its caller, in about a microsecond once the key is known.

What the store said of a key is believed for five seconds, so a revocation by another process takes
effect within them; one in this process takes effect at once (`forget`). Expiry is looked at in every
call. Keys are remembered by the hash of their secret: no secret stays in memory, and looking one up
tells nothing about another. The rules themselves are in `keys.py`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bursar.errors import MissingKey, Overloaded, UnknownKey
from bursar.identity.keys import SECRET_LENGTH_LIMIT, hash_key, refuse_unusable
from bursar.identity.store import KeyUse

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bursar.identity.caller import Caller
    from bursar.identity.keys import ApiKey, Credential
    from bursar.identity.store import KeyStore

BELIEVED_FOR = timedelta(seconds=5)
"""How long an answer of the store counts: the promise that a revocation takes effect within it."""
KEPT_FOR = timedelta(minutes=10)
"""A key unused for longer is forgotten by `refresh`, and looked up when it comes again."""
KNOWN_LIMIT = 50_000
"""Keys remembered at once, at about 0.7 kB each."""
UNKNOWN_LIMIT = 10_000
"""Wrong keys remembered at once, so that a client that repeats one costs no question to the store."""
LOOKUPS_PER_SECOND = 1_000
"""Questions about keys never seen before; one takes SQLite some 0.25 ms, so a flood of wrong keys
takes a quarter of a core at most, and callers that are known already don't notice it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the store said of one key, and when."""

    caller: Caller
    key: ApiKey
    owner: tuple[str, str]
    read_at: datetime
    stale_at: datetime
    era: int


@dataclass(frozen=True, slots=True)
class _Stranger:
    """That the store knows no such key, and when it said so."""

    read_at: datetime
    stale_at: datetime
    era: int


class Authenticator:
    """Knows callers by their keys; safe to call from any thread."""

    def __init__(self, store: KeyStore) -> None:
        """Start knowing nobody; `store` is asked about each key when it first comes."""
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, _Entry] = {}
        self._unknown: dict[str, _Stranger] = {}
        self._used: dict[tuple[str, str], datetime] = {}
        self._flushed: dict[tuple[str, str], datetime] = {}
        self._era = 0
        self._second = 0
        self._lookups = 0
        self._listeners: list[Callable[[], None]] = []

    def tell(self, listener: Callable[[], None]) -> None:
        """Call the listener too whenever nothing from before is to be believed."""
        self._listeners.append(listener)

    def recall(self, presented: str | None, now: datetime) -> Caller | None:
        """The caller, if that is known without asking the store; None means: call `authenticate`.

        Never waits, so it may run on the event loop.

        Raises:
            MissingKey, UnknownKey, ExpiredKey, RevokedKey: as known without asking.
        """
        digest = _digest(presented)
        entry = self._known.get(digest)
        if entry is not None:
            return self._admit(entry, now) if self._is_fresh(entry, now) else None
        stranger = self._unknown.get(digest)
        if stranger is not None and self._is_fresh(stranger, now):
            raise UnknownKey
        return None

    def authenticate(self, presented: str | None, now: datetime) -> Caller:
        """The caller who presents this key; asks the store about a key that isn't known freshly.

        Raises:
            MissingKey: nothing was presented.
            UnknownKey, ExpiredKey, RevokedKey: the key doesn't count.
            Overloaded: too many keys never seen before came within this second.
            Unavailable: the store doesn't answer.
        """
        caller = self.recall(presented, now)
        if caller is not None:
            return caller
        return self._admit(self._look_up(_digest(presented), now), now)

    def forget(self) -> None:
        """Believe nothing from before: a change of keys or tenants in this process counts from here on."""
        with self._lock:
            self._era += 1
        for listener in self._listeners:
            listener()

    def refresh(self, now: datetime) -> None:
        """Read again every key that was used lately, so that requests rarely wait for the store.

        Meant to be called in the background every two seconds or so.
        """
        era = self._era
        entries = dict(self._known)
        idle = {digest for digest, entry in entries.items() if self._is_idle(entry, now)}
        credentials = self._store.credentials(entries.keys() - idle)
        with self._lock:
            for digest in idle:
                self._known.pop(digest, None)
            if era != self._era:
                return
            for digest in entries.keys() - idle:
                self._keep(digest, credentials.get(digest), now)

    def flush_last_used(self) -> None:
        """Write down when keys were used since the last time; after a failure the next call does it."""
        used = dict(self._used)
        news = {owner: at for owner, at in used.items() if self._flushed.get(owner) != at}
        if news:
            self._store.record_use([KeyUse(tenant, key, at) for (tenant, key), at in news.items()])
            self._flushed = used

    def _admit(self, entry: _Entry, now: datetime) -> Caller:
        refuse_unusable(entry.key, now)
        self._used[entry.owner] = now
        return entry.caller

    def _is_fresh(self, entry: _Entry | _Stranger, now: datetime) -> bool:
        # A clock that was set back would make old news fresh again, hence the lower bound.
        return entry.era == self._era and entry.read_at <= now < entry.stale_at

    def _is_idle(self, entry: _Entry, now: datetime) -> bool:
        used_at = self._used.get(entry.owner)
        return used_at is None or now - used_at > KEPT_FOR

    def _look_up(self, digest: str, now: datetime) -> _Entry:
        with self._lock:
            # Keys seen before are few; only strangers can come in any number.
            if digest not in self._known:
                self._count_lookup(now)
            era = self._era
        credential = self._store.credentials((digest,)).get(digest)
        with self._lock:
            # If something changed meanwhile the answer serves this call, but isn't remembered.
            if era == self._era:
                self._keep(digest, credential, now)
        if credential is None:
            raise UnknownKey
        return _entry_of(credential, now, era)

    def _count_lookup(self, now: datetime) -> None:
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._lookups = second, 0
        self._lookups += 1
        if self._lookups > LOOKUPS_PER_SECOND:
            message = "Too many unknown API keys are being presented; try again in a second."
            raise Overloaded(message)

    def _keep(self, digest: str, credential: Credential | None, now: datetime) -> None:
        if credential is None:
            self._known.pop(digest, None)
            _make_room(self._unknown, UNKNOWN_LIMIT)
            self._unknown[digest] = _Stranger(now, now + BELIEVED_FOR, self._era)
            return
        self._unknown.pop(digest, None)
        if digest not in self._known:
            _make_room(self._known, KNOWN_LIMIT)
        self._known[digest] = _entry_of(credential, now, self._era)


def _digest(presented: str | None) -> str:
    if not presented:
        raise MissingKey
    if len(presented) > SECRET_LENGTH_LIMIT:
        raise UnknownKey
    return hash_key(presented)


def _entry_of(credential: Credential, now: datetime, era: int) -> _Entry:
    caller = credential.caller()
    owner = (caller.tenant_id, caller.key_id)
    return _Entry(caller, credential.key, owner, now, now + BELIEVED_FOR, era)


def _make_room(entries: dict[str, _Entry] | dict[str, _Stranger], limit: int) -> None:
    """Drop the oldest entries until one more fits."""
    while len(entries) >= limit:
        del entries[next(iter(entries))]
