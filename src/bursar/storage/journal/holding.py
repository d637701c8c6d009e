"""Who may touch the archive when: readers hold it as it is, changers exclude each other.

Both are `flock`s on folders, so they end with their process and need no file of their own. While
anybody holds the archive, it may grow, but no file goes away and no content is replaced: a replay that
began before a rewrite reads the journal of before to its end, never a mix of both.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bursar import clock
from bursar.errors import Conflict, Unavailable
from bursar.storage.journal.manifest import archive_folder

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PATIENCE_SECONDS = 6 * 3600.0
"""How long a finished rewrite waits for readers. A backup of a large ledger onto a slow disk takes hours, and
giving up would cost the whole rewrite; meanwhile its run says for whom it waits, and can be cancelled."""
_LOOK_SECONDS = 0.2

Progress = Callable[[str, int, int | None], None]
"""Step, done and total; it may raise to stop the work."""


_holders: Counter[tuple[Path, str]] = Counter()
"""Who holds which archive in this process; a server is the only process on its folder."""
_counting = threading.Lock()


@contextmanager
def hold_archive(journal: Path, who: str = "a replay") -> Generator[None]:
    """Keep the archive's content as it is, for a replay or a copy; several may hold it at once.

    Take it before the segments are listed, and keep it over all reads that must fit together. `who` is told
    to whom waits for it.
    """
    descriptor = os.open(journal, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    one = (journal.resolve(), who)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        with _counting:
            _holders[one] += 1
        try:
            yield
        finally:
            with _counting:
                _holders[one] -= 1
    finally:
        os.close(descriptor)


def holders_of(journal: Path) -> list[str]:
    """Who holds the archive in this process, by name."""
    path = journal.resolve()
    with _counting:
        return sorted(who for (held, who), count in _holders.items() if held == path and count > 0)


@contextmanager
def change_archive(journal: Path) -> Generator[None]:
    """Be the only one who changes the archive, which must be there.

    Raises:
        Conflict: somebody else is at it.
    """
    descriptor = os.open(archive_folder(journal), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        message = "The archive is being changed by another job; try again when it is done."
        raise Conflict(message) from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def unless_held(journal: Path) -> Generator[bool]:
    """Whether nobody holds the archive; if so, nobody can until the block ends."""
    descriptor = os.open(journal, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def when_not_held(journal: Path, progress: Progress, patience_seconds: float) -> Generator[None]:
    """Wait until nobody holds the archive; nobody can until the block ends, which must be short.

    Raises:
        Unavailable: it was held all the time.
    """
    started = clock.monotonic()
    while True:
        with unless_held(journal) as is_free:
            if is_free:
                yield
                return
        by = " and ".join(holders_of(journal)) or "another reader"
        waited = clock.monotonic() - started
        if waited > patience_seconds:
            message = f"The archive is being read all the time, by {by}; nothing was changed."
            raise Unavailable(message, retry_after_seconds=60)
        progress(f"waiting until {by} is done with the archive, s", round(waited), None)
        threading.Event().wait(_LOOK_SECONDS)
