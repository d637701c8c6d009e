"""`bursar backup`: copies a ledger into a folder, beside a running server or without one.

What makes the copies fit together is their order. The usage store comes first, then the key index, which
may be ahead of it but not behind, and is left out where keys were removed meanwhile (a restore then makes it
anew); then the journal, which must reach as far as both. The state store is
read between two looks at the journal's tail: if no tenant and no rate card came or went around it, then
every record up to the second look finds its tenant and its rate card there. A restore applies what the
journal has and the store's copy hasn't; for that, no archived file is rewritten from before the first copy
until the last. How a backup lies on disk is `storage/backup_folder.py`.

No key can be used from a backup: of keys the state store has hashes only, and settings aren't in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import bursar
from bursar import clock
from bursar.errors import ConfigurationError, DiskFull, Unavailable
from bursar.storage.backup_folder import BackupManifest, BackupRun, backup_run
from bursar.storage.folder_format import read_format
from bursar.storage.journal.copying import journal_files, last_seq_in
from bursar.storage.journal.holding import hold_archive
from bursar.storage.journal.identity import read_identity
from bursar.storage.journal.manifest import load_manifest
from bursar.storage.relational.dump import dump_state
from bursar.storage.relational.snapshots import named_by_records
from bursar.storage.store_files import index_files

if TYPE_CHECKING:
    from bursar.app.job_ground import JobGround
    from bursar.storage.folder import DataFolder
    from bursar.storage.journal.copying import JournalFile
    from bursar.storage.journal.manifest import Manifest
    from bursar.storage.journal.writer import DurableMark
    from bursar.storage.relational.engine import StateEngine

Progress = Callable[[str, int], None]

STATE = "state.jsonl.zst"
"""The state store's place in a backup."""
STORE = "usage.duckdb"
INDEX = "keys.index"
"""Where usage store and key index belong, whatever they are called in the folder they come from."""
STATE_TRIES = 20
"""A state store in which tenants or rate cards come and go all the time is read so often at most."""


@dataclass(frozen=True, slots=True)
class BackupSource:
    """What is backed up, and how its derived parts are copied."""

    folder: DataFolder
    engine: StateEngine
    journal_id: str
    mark: Callable[[], DurableMark | None]
    """The journal's durable mark; None where no writer runs."""
    copy_derived: Callable[[BackupRun], int | None]
    """Copies usage store and key index; answers how far the store is."""
    reserve_bytes: int
    """What must stay free on the data folder's disk."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a run did."""

    directory: str
    run: str
    files: int
    copied_bytes: int
    reused_bytes: int
    """Of files that earlier runs had copied."""
    last_seq: int
    store_seq: int | None
    seconds: float


def backup_running(ground: JobGround, target: Path, tell: Progress, *, with_store: bool) -> BackupReport:
    """Back a running ledger up; it goes on with everything. Call from a thread of its own.

    Raises:
        Conflict: another backup into this folder is at work.
        DiskFull: there is no room for it.
        ConfigurationError: the folder can't be used, or is another ledger's backup.
        Unavailable: the state store doesn't answer, or changes all the time.
    """
    derived = ground.stores.derived

    def copy_derived(run: BackupRun) -> int | None:
        if not with_store:
            return None
        tell("copying the usage store", run.copied_bytes)
        removals = derived.index.removals()
        store_seq = derived.database.copy_to(run.path_of(STORE))
        run.note(STORE)
        tell("copying the key index", run.copied_bytes)
        keys = run.path_of(f"{INDEX}/any").parent
        derived.index.copy_to(keys)
        if derived.index.removals() != removals:
            # The store's copy has events whose keys this one may lack: their repeats would count again.
            shutil.rmtree(keys)
        for path in index_files(keys):
            run.note(f"{INDEX}/{path.name}")
        return store_seq

    source = BackupSource(
        folder=ground.folder,
        engine=ground.engine,
        journal_id=ground.journal.journal_id,
        mark=lambda: ground.journal.mark,
        copy_derived=copy_derived,
        reserve_bytes=ground.settings.min_free_disk_bytes,
    )
    return take_backup(source, target, tell)


def closed_source(folder: DataFolder, engine: StateEngine, *, with_store: bool) -> BackupSource:
    """A ledger that nobody has open, of this version or an older one. Hold the folder meanwhile.

    Raises:
        ConfigurationError: there is no journal, or its identity can't be read.
    """

    def copy_derived(run: BackupRun) -> int | None:
        for path, target in _closed_derived(folder) if with_store else ():
            run.copy(path, target)
        return None

    identity = read_identity(folder.journal)
    if identity is None:
        message = f"{folder.path} has no journal yet; there is nothing to back up."
        raise ConfigurationError(message)
    return BackupSource(
        folder=folder,
        engine=engine,
        journal_id=identity.journal_id,
        mark=lambda: None,
        copy_derived=copy_derived,
        reserve_bytes=0,
    )


def take_backup(source: BackupSource, target: Path, tell: Progress) -> BackupReport:
    """One run into the folder `target`; the backup before it stays until this one is complete.

    Raises: as `backup_running`.
    """
    started = clock.monotonic()
    _refuse_overlap(source.folder.path, target)
    with backup_run(target, clock.now(), tell) as run, hold_archive(source.folder.journal, "a backup"):
        archived = load_manifest(source.folder.journal)
        _refuse_foreign(run, source)
        _refuse_without_room(run, source, archived)
        store_seq = source.copy_derived(run)
        _copy_journal(run, source, archived)
        revision, last_seq = _copy_state_and_tail(run, source, archived)
        run.finish(_described(run, source, (last_seq, store_seq), revision))
    return BackupReport(
        directory=str(target),
        run=run.id,
        files=len(run.files),
        copied_bytes=run.copied_bytes,
        reused_bytes=run.reused_bytes,
        last_seq=last_seq,
        store_seq=store_seq,
        seconds=round(clock.monotonic() - started, 3),
    )


def _described(
    run: BackupRun, source: BackupSource, seqs: tuple[int, int | None], revision: str | None
) -> BackupManifest:
    """What the run has made, with the folder's versions."""
    versions = read_format(source.folder.format_file)
    if versions is None:
        message = f"{source.folder.path} has no FORMAT any more; nothing of the backup was changed."
        raise ConfigurationError(message)
    run.copy(source.folder.format_file, "FORMAT")
    run.copy(source.folder.journal / "IDENTITY", "journal/IDENTITY")
    last_seq, store_seq = seqs
    return BackupManifest(
        run=run.id,
        bursar=bursar.__version__,
        finished_at=clock.rfc3339(clock.now()),
        journal_id=source.journal_id,
        last_seq=last_seq,
        store_seq=store_seq,
        state_revision=revision,
        versions=versions,
        files=tuple(run.files.values()),
    )


def _copy_journal(
    run: BackupRun, source: BackupSource, archived: Manifest, mark: DurableMark | None = None
) -> None:
    """Have every final file, once; and the last segment up to the mark, if one is given."""
    journal, is_closed = source.folder.journal, source.mark() is None
    if archived.files or archived.start:
        run.write("journal/archive/MANIFEST.json", msgspec.json.encode(archived))
    for file in journal_files(journal, archived, mark or source.mark()):
        name = _name_of(file, journal)
        if file.is_final and name not in run.files:
            run.keep(file.path, name, file.length)
        elif not file.is_final and (mark is not None or is_closed):
            run.copy(file.path, name, file.length)


def _name_of(file: JournalFile, journal: Path) -> str:
    return f"journal/{file.path.relative_to(journal).as_posix()}"


def _copy_state_and_tail(run: BackupRun, source: BackupSource, archived: Manifest) -> tuple[str | None, int]:
    """The state store's copy and the journal's tail; answers the state's migration and the last seq."""
    if source.mark() is None:
        revision = dump_state(source.engine, run.path_of(STATE))
        run.note(STATE)
        return revision, last_seq_in(source.folder.journal)
    for _ in range(STATE_TRIES):
        before = named_by_records(source.engine)
        run.tell("copying the state store", run.copied_bytes)
        revision = dump_state(source.engine, run.path_of(STATE))
        mark = source.mark()
        if mark is not None and named_by_records(source.engine) == before:
            run.note(STATE)
            _copy_journal(run, source, archived, mark)
            return revision, mark.last_seq
    message = "Tenants and rate cards change all the time; try the backup again when it is quieter."
    raise Unavailable(message)


def _closed_derived(folder: DataFolder) -> Iterator[tuple[Path, str]]:
    """Usage store and key index of a folder that nobody has open, as far as they can be believed."""
    store, index = folder.store, folder.index
    for path, target in ((store, STORE), (store.with_name(f"{store.name}.wal"), f"{STORE}.wal")):
        if path.exists():
            yield path, target
    # After a power cut an index that wasn't closed may be torn; a restore makes it anew.
    if b'"is_clean":true' in _content_of(index.with_suffix(".state")):
        for path in index_files(index):
            yield path, f"{INDEX}/{path.name}"


def _content_of(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _refuse_overlap(data: Path, target: Path) -> None:
    inner, outer = target.resolve(), data.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        message = f"A backup of {data} can't lie in {target}: neither may hold the other."
        raise ConfigurationError(message)


def _refuse_foreign(run: BackupRun, source: BackupSource) -> None:
    before = run.previous
    if before is not None and before.journal_id != source.journal_id:
        message = (
            f"{run.folder} holds the backup of another ledger (journal {before.journal_id}, this one is"
            f" {source.journal_id}). Choose another folder; a restored ledger is another one too."
        )
        raise ConfigurationError(message)


def _refuse_without_room(run: BackupRun, source: BackupSource, archived: Manifest) -> None:
    """Begin only where there seems to be room, so that no ledger beside it runs out of disk.

    Raises:
        DiskFull: there isn't; the text says how much is missing.
    """
    folder = source.folder
    parts = [folder.store, *index_files(folder.index), folder.state]
    size = sum(path.stat().st_size for path in parts if path.exists())
    before = run.previous.files if run.previous else ()
    known = {one.target for one in before if one.modified is not None}
    size += sum(
        file.length
        for file in journal_files(folder.journal, archived, source.mark())
        if _name_of(file, folder.journal) not in known
    )
    is_same_disk = run.folder.stat().st_dev == folder.path.stat().st_dev
    needed = size + (source.reserve_bytes if is_same_disk else 0)
    free = shutil.disk_usage(run.folder).free
    if free < needed:
        message = (
            f"The backup needs about {needed / 2**20:,.0f} MiB in {run.folder}, {free / 2**20:,.0f} MiB are"
            " free. Nothing was changed."
        )
        raise DiskFull(message)
