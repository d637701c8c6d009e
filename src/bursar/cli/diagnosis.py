"""What `bursar doctor` looks at, check by check: each finding says what is there and, if need be, what to do.

Findings are values; printing them is `doctor.py`'s. A check never raises: what it can't find out is a
finding too. Checks look from outside, so that they tell the truth also about a server that hangs.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from bursar import clock
from bursar.cli.connection import client_of_socket, is_served, socket_of
from bursar.cli.offline import state_status
from bursar.cli.version import versions
from bursar.errors import BursarError
from bursar.settings import Settings, names_of
from bursar.settings.spelling import show_size
from bursar_client import BursarClientError, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILES_WANTED = 1_024
"""Below this a server with many connections runs out of descriptors; `serve` raises its own soft limit."""
CLOCK_TOLERANCE = timedelta(minutes=2)
"""File systems on other machines may be this far off without anything being wrong."""
OLDEST_CREDIBLE = datetime(2026, 1, 1, tzinfo=UTC)
"""Older than this program: a machine that shows this has lost its clock."""
ANSWER_SECONDS = 5.0
"""A server that takes longer to say how it is doing is not well."""
ONCE = RetryPolicy(tries=1)


class State(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing, nothing to do."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    name: str
    value: str
    state: State = State.OK
    advice: str = ""
    """What to do; empty where nothing is wrong."""


def examine(settings: Settings, environ: Mapping[str, str], overridden: frozenset[str]) -> Iterator[Finding]:
    """Every finding about a Bursar with these settings on this machine.

    Args:
        settings: what is in force.
        environ: the environment that they were read from.
        overridden: the fields that the command line chose.
    """
    yield from _look_at_program()
    yield from _look_at_settings(settings, environ, overridden)
    yield from _look_at_folder(settings)
    yield from _look_at_disk(settings)
    yield from _look_at_server(settings)
    yield from _look_at_state_store(settings)
    yield _look_at_clock(settings, clock.now())
    yield _look_at_open_files()


def _look_at_program() -> Iterator[Finding]:
    for name, found in versions().items():
        if found == "missing":
            advice = f"Install it: `pip install {name}`, or set Bursar up anew."
            yield Finding("program", name, found, State.WRONG, advice)
        else:
            yield Finding("program", name, found)


def _look_at_settings(
    settings: Settings, environ: Mapping[str, str], overridden: frozenset[str]
) -> Iterator[Finding]:
    """Every setting that differs from its default, and where it comes from."""
    defaults, shown = Settings().shown(), settings.shown()
    for field, value in shown.items():
        if field in overridden:
            source = "command line"
        else:
            source = next((name for name in names_of(field) if environ.get(name)), ".env")
        if value != defaults[field]:
            yield Finding("settings", field, f"{value or '(empty)'} ({source})")


def _look_at_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.is_dir():
        yield Finding("folder", "path", f"{folder} (not there yet)", State.NOTE, "`bursar serve` makes it.")
        return
    yield Finding("folder", "path", str(folder.absolute()))
    if not os.access(folder, os.W_OK | os.X_OK):
        advice = f"Give it to the user that runs Bursar: `chown -R {os.getuid()} {folder}`."
        yield Finding("folder", "access", "not writable", State.WRONG, advice)
        return
    yield _look_at_format(folder)
    yield _look_at_lock(folder)
    from bursar.storage.store_files import current_files

    derived = current_files(folder)
    for part in ("journal", derived.store.name, derived.index.name, "state.db", "tmp"):
        if (folder / part).exists():
            yield Finding("folder", part, show_bytes(size_of(folder / part)))


def _look_at_format(folder: Path) -> Finding:
    from bursar.app.upgrade import versions_of
    from bursar.storage.folder import DataFolder

    try:
        found = versions_of(DataFolder(folder))
    except BursarError as error:
        return Finding("folder", "FORMAT", error.code, State.WRONG, error.detail)
    if not found:
        return Finding("folder", "FORMAT", "none", State.NOTE, "No Bursar has used this folder yet.")
    shown = ", ".join(f"{part.name} {part.found}" for part in found)
    if any(part.is_older for part in found):
        advice = (
            "`bursar db upgrade` brings it up to date after a backup; so does the next start, without one."
        )
        return Finding("folder", "FORMAT", f"{shown} (an older Bursar's)", State.NOTE, advice)
    return Finding("folder", "FORMAT", shown)


def _look_at_lock(folder: Path) -> Finding:
    """Who holds the folder, found out by asking for the lock and giving it back at once."""
    try:
        descriptor = os.open(folder / "LOCK", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return Finding("folder", "lock", "never held", State.NOTE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Finding("folder", "lock", f"held by process {os.pread(descriptor, 32, 0).decode().strip()}")
    else:
        return Finding("folder", "lock", "free")
    finally:
        os.close(descriptor)


def _look_at_disk(settings: Settings) -> Iterator[Finding]:
    place = next(path for path in (settings.data_dir, *settings.data_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < settings.min_free_disk_bytes:
        advice = (
            f"Ingest answers 503 until {show_size(settings.min_free_disk_bytes)} are free."
            " Make room, or lower BURSAR_MIN_FREE_DISK_BYTES."
        )
        yield Finding("disk", "free", show_bytes(free), State.WRONG, advice)
    else:
        yield Finding("disk", "free", show_bytes(free))


def _look_at_server(settings: Settings) -> Iterator[Finding]:
    path = socket_of(settings)
    try:
        if is_served(path):
            with client_of_socket(path, ONCE, ANSWER_SECONDS) as client:
                status = client.request("GET", "/control/status")
            yield Finding("server", "running", f"process {status['process']}, version {status['version']}")
            if status["failing"]:
                advice = "New events are safe in the journal but not visible yet; the server's log says why."
                yield Finding("server", "applier", str(status["failing"]), State.WRONG, advice)
            return
    except (BursarError, BursarClientError) as error:
        advice = "It holds the folder but doesn't answer. Look at its log, then restart it."
        yield Finding("server", "running", str(error), State.WRONG, advice)
        return
    yield Finding("server", "running", "no", State.NOTE)
    if settings.port and _is_taken(settings.host, settings.port):
        advice = "Stop that program, or choose another port with --port or BURSAR_PORT."
        taken = f"{settings.host}:{settings.port} is taken by another program"
        yield Finding("server", "address", taken, State.WRONG, advice)


def _is_taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError:
            return True
    return False


def _look_at_state_store(settings: Settings) -> Iterator[Finding]:
    where = "PostgreSQL" if settings.database_url else "SQLite"
    if settings.database_url is None and not (settings.data_dir / "state.db").is_file():
        yield Finding("state store", where, "not there yet", State.NOTE, "The first start makes it.")
        return
    try:
        found = state_status(settings)
    except BursarError as error:
        advice = "Check BURSAR_DATABASE_URL and whether the database runs." if settings.database_url else ""
        yield Finding("state store", where, error.detail, State.WRONG, advice or error.title)
        return
    yield Finding("state store", where, f"at migration {found.current or 'none'}")
    if found.pending:
        advice = "`bursar db upgrade` does them; so does the next start."
        yield Finding("state store", "pending", ", ".join(found.pending), State.NOTE, advice)


def _look_at_clock(settings: Settings, now: datetime) -> Finding:
    shown = clock.rfc3339(now.replace(microsecond=0))
    newest = max((path.stat().st_mtime_ns for path in _dated_files(settings.data_dir)), default=0)
    written = clock.from_micros(newest // 1000)
    if now < OLDEST_CREDIBLE or written > now + CLOCK_TOLERANCE:
        advice = (
            f"The data folder was last written at {clock.rfc3339(written.replace(microsecond=0))}."
            " Set the clock (NTP): prices and windows depend on it."
        )
        return Finding("machine", "clock", shown, State.WRONG, advice)
    return Finding("machine", "clock", shown)


def _dated_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "journal").glob("*") if path.is_file()] if folder.is_dir() else []


def _look_at_open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = hard if hard != resource.RLIM_INFINITY else soft
    value = "unlimited" if limit == resource.RLIM_INFINITY else f"{soft:,} (up to {limit:,})"
    if limit != resource.RLIM_INFINITY and limit < FILES_WANTED:
        advice = f"Allow {FILES_WANTED:,} or more: `ulimit -Hn {FILES_WANTED}`, or LimitNOFILE in the unit."
        return Finding("machine", "open files", value, State.WRONG, advice)
    return Finding("machine", "open files", value)


def size_of(path: Path) -> int:
    """Bytes that a file or everything in a folder takes on disk."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    total = 0
    for one in files:
        try:
            # Blocks, not lengths: the key index is a sparse file.
            total += one.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def show_bytes(size: int) -> str:
    """A size for a person, to four digits."""
    steps = max(0, size.bit_length() - 1) // 10
    unit = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")[steps]
    return f"{size / 1024**steps:.4g} {unit}"
