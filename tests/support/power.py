"""A power cut, as a folder shows it afterwards: what was never synced may be gone, or half there.

A kill leaves everything with the operating system; a power cut doesn't. So the server process notes each
`fsync` and each renamed or removed name, and after its death the folder is brought into one of the states
that the disk could be in: every file cut somewhere between its last synced length and what was written,
names that their folder was not synced for back to what they were, the key index (never synced while it is
used) dropped, torn or left, and another boot id. DuckDB syncs its log at each commit, so its length after
a commit is noted as synced. SQLite is left as it is: it syncs all by itself, at every commit.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.aim import replace

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Generator

_NOTES, _SHADOWS = "synced.log", "shadows"
_LEFT_ALONE = ("state.db", "LOCK", "bursar.sock", "tmp", "keys.index")
_DUCKDB = ("usage.duckdb", "usage.duckdb.wal")


def record_syncs(data: Path, beside: Path) -> None:
    """From now on this process notes in `beside` what it makes durable of `data`."""
    beside.mkdir(exist_ok=True)
    (beside / _SHADOWS).mkdir(exist_ok=True)
    notes = _Notes(data, beside)
    real_fsync, real_fdatasync = os.fsync, os.fdatasync
    os.open = functools.partial(notes.open, os.open)
    os.fsync = functools.partial(notes.sync, real_fsync)
    os.fdatasync = functools.partial(notes.sync, real_fdatasync)
    for name in ("rename", "replace"):
        setattr(os, name, functools.partial(notes.rename, getattr(os, name)))
    for name in ("unlink", "remove"):
        setattr(os, name, functools.partial(notes.remove, getattr(os, name)))
    _note_commits(notes)


def pretend_boot(number: int) -> None:
    """This process runs on the machine's boot of this number."""
    replace("bursar.storage.keyindex.trust:boot_id", lambda: f"boot-{number}")


def cut_power(data: Path, beside: Path, chance: random.Random) -> None:
    """Bring the folder of a dead process into a state that a power cut could have left; forget the notes."""
    synced, names = _read_notes(beside)
    for name, shadow in names.items():
        if chance.random() < 0.5:
            _bring_back(Path(name), shadow)
    for path in sorted(data.rglob("*")):
        place = path.relative_to(data)
        if path.is_file() and place.parts[0] not in _LEFT_ALONE:
            _cut(path, synced.get(str(path)), chance)
    _tear_index(data / "keys.index", chance)
    shutil.rmtree(beside, ignore_errors=True)


class _Notes:
    """Lines about what became durable, written at once; the note file itself survives every kill."""

    def __init__(self, data: Path, beside: Path) -> None:
        self._data, self._beside = str(data), beside
        self._file = os.open(beside / _NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._link, self._write, self._count = os.link, os.write, 0

    def say(self, **line: Any) -> None:  # noqa: ANN401 - any JSON value
        self._write(self._file, json.dumps(line).encode() + b"\n")

    def sync(self, real: Callable[[int], None], descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        size = os.fstat(descriptor).st_size
        real(descriptor)
        if path.startswith(self._data):
            self.say(**{"folder" if Path(path).is_dir() else "file": path, "size": size})

    def open(self, real: Callable[..., int], path: Any, flags: int, *more: Any, **named: Any) -> int:  # noqa: ANN401
        is_new = flags & os.O_CREAT and str(path).startswith(self._data) and not Path(path).exists()
        descriptor = real(path, flags, *more, **named)
        if is_new:
            self.say(made=str(path))
        return descriptor

    def rename(self, real: Callable[..., None], source: Any, target: Any, **named: Any) -> None:  # noqa: ANN401
        shadow = self._keep(target)
        real(source, target, **named)
        if str(target).startswith(self._data):
            self.say(renamed=[str(source), str(target)], shadow=shadow)

    def remove(self, real: Callable[..., None], path: Any, **named: Any) -> None:  # noqa: ANN401 - any path
        shadow = self._keep(path)
        real(path, **named)
        if shadow is not None:
            self.say(removed=str(path), shadow=shadow)

    def _keep(self, path: object) -> str | None:
        """Another name for a file that is about to lose its own."""
        if not str(path).startswith(self._data) or not Path(str(path)).is_file():
            return None
        self._count += 1
        shadow = self._beside / _SHADOWS / f"{os.getpid()}-{self._count}"
        with contextlib.suppress(OSError):
            self._link(str(path), shadow)
        return str(shadow)


def _note_commits(notes: _Notes) -> None:
    """Note the length of DuckDB's log after each transaction of ours."""
    from bursar.storage.duckdb import connection  # noqa: PLC0415 - in the child, after the fork

    inner = connection.transaction

    @contextlib.contextmanager
    def noting(database: Any) -> Generator[None]:  # noqa: ANN401 - a DuckDB connection
        with inner(database):
            yield
        path = Path(notes._data) / _DUCKDB[1]
        if path.exists():
            notes.say(file=str(path), size=path.stat().st_size)

    for module in list(sys.modules.values()):
        if module.__name__.startswith("bursar.storage.duckdb") and hasattr(module, "transaction"):
            module.transaction = noting  # type: ignore[attr-defined]


def _read_notes(beside: Path) -> tuple[dict[str, int], dict[str, str | None]]:
    """Synced length by path, and names that their folder was not synced for, with what they were."""
    synced: dict[str, int] = {}
    names: dict[str, str | None] = {}
    notes = beside / _NOTES
    for line in notes.read_text().splitlines() if notes.exists() else ():
        note = json.loads(line)
        if "file" in note:
            synced[note["file"]] = note["size"]
        elif "folder" in note:
            for name in [name for name in names if str(Path(name).parent) == note["folder"]]:
                del names[name]
        elif "made" in note:
            names.setdefault(note["made"], None)
        elif "renamed" in note:
            source, target = note["renamed"]
            synced[target] = synced.pop(source, 0)
            names.setdefault(target, note["shadow"])
        else:
            names.setdefault(note["removed"], note["shadow"])
    return synced, names


def _bring_back(path: Path, shadow: str | None) -> None:
    path.unlink(missing_ok=True)
    if shadow is not None and Path(shadow).exists():
        shutil.copy(shadow, path)


def _cut(path: Path, synced: int | None, chance: random.Random) -> None:
    """Lose some of what was written behind the last sync."""
    size = path.stat().st_size
    if path.name in _DUCKDB and synced is None:
        return
    if synced is None and path.name in {"FORMAT", "IDENTITY"}:
        # Made durable by an earlier process.
        return
    if synced is not None and size > synced:
        kept = chance.choice((synced, size, chance.randint(synced, size)))
        os.truncate(path, kept)
        if kept < size and path.name not in _DUCKDB and chance.random() < 0.3:
            with path.open("ab") as file:
                file.write(b"\0" * (size - kept))


def _tear_index(folder: Path, chance: random.Random) -> None:
    """The index is only synced when it is closed: anything may be left of it."""
    files = [path for path in sorted(folder.glob("*")) if path.stat().st_size]
    data = chance.choice(files) if files else folder
    match chance.choice(("dropped", "torn", "short", "left")) if files else "left":
        case "dropped":
            data.unlink()
        case "torn":
            with data.open("r+b") as file:
                for _ in range(20):
                    file.seek(chance.randrange(max(1, data.stat().st_size - 4096)))
                    file.write(chance.randbytes(4096))
        case "short":
            os.truncate(data, chance.randrange(data.stat().st_size))
        case _:
            pass
