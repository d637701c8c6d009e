"""Whether the key index on disk can be believed after the last stop, and how it is made anew.

It is written without syncs. That is safe while the operating system keeps running, whatever
happens to the process. After a power cut its files may be older than the raw rows or torn, so the
machine's boot id is kept beside it: another boot without a clean close means rebuilding. An index
that lags behind the store's position is rebuilt too.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bursar.storage.durable_files import sync_folder, write_durably
from bursar.storage.keyindex.index import FINGERPRINT_SCHEME, INDEX_VERSION, RunKeyIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Keys = tuple[Sequence[bytes] | NDArray[np.void], NDArray[np.uint64], NDArray[np.uint64]]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class IndexState(msgspec.Struct):
    """What stands beside the index about its last use."""

    version: int
    scheme: int
    journal_id: str
    boot_id: str
    is_clean: bool


def boot_id() -> str:
    """The machine's boot id; empty where the system tells none, which trusts clean closes only."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


def open_index(
    folder: Path, journal_id: str, applied_seq: int, raw_keys: Callable[[], Iterable[Keys]]
) -> tuple[RunKeyIndex, str | None]:
    """The index, made anew from the raw rows where it can't be believed; and why it was, if so.

    Args:
        folder: where the index lives.
        journal_id: the journal that its positions belong to.
        applied_seq: how far the usage store is; an index that is behind has lost writes.
        raw_keys: sorted batches of keys, seqs and fingerprints of every event in the store.
    """
    index, distrust = _open_trusted(folder, journal_id, applied_seq)
    if index is not None:
        _note(folder, journal_id, is_clean=False)
        return index, None
    return _rebuild(folder, journal_id, applied_seq, raw_keys), distrust if applied_seq else None


def _rebuild(
    folder: Path, journal_id: str, applied_seq: int, raw_keys: Callable[[], Iterable[Keys]]
) -> RunKeyIndex:
    """A new index with the keys of all raw rows; without its state it isn't believed until it is whole."""
    _state_path(folder).unlink(missing_ok=True)
    sync_folder(folder.parent)
    shutil.rmtree(folder, ignore_errors=True)
    index = RunKeyIndex(folder)
    try:
        for keys, seqs, prints in raw_keys():
            index.record(keys, seqs, prints)
        index.advance(applied_seq)
    except BaseException:
        index.close()
        raise
    _note(folder, journal_id, is_clean=False)
    return index


def _open_trusted(folder: Path, journal_id: str, applied_seq: int) -> tuple[RunKeyIndex | None, str | None]:
    """The index as it is on disk, or why it can't be believed."""
    distrust = _distrust(folder, journal_id)
    if distrust is not None:
        return None, distrust
    try:
        index = RunKeyIndex(folder)
    except RunKeyIndex.Damaged as error:
        return None, f"it can't be opened ({error})"
    if index.position() >= applied_seq:
        return index, None
    distrust = f"it is at {index.position()}, the store at {applied_seq}"
    index.close()
    return None, distrust


def close_index(index: RunKeyIndex, folder: Path, journal_id: str) -> None:
    """Write everything to disk and note that it was."""
    index.close()
    _note(folder, journal_id, is_clean=True)


def adopt_index(folder: Path, journal_id: str) -> None:
    """Say that this index is whole and belongs to this journal; for a copy that was made of a whole one."""
    _note(folder, journal_id, is_clean=True)


def _distrust(folder: Path, journal_id: str) -> str | None:
    path = _state_path(folder)
    if not path.exists() or not folder.exists():
        return "there was none"
    try:
        state = msgspec.json.decode(path.read_bytes(), type=IndexState)
    except msgspec.DecodeError:
        return "its state file is damaged"
    if (state.version, state.scheme, state.journal_id) != (INDEX_VERSION, FINGERPRINT_SCHEME, journal_id):
        return "it belongs to another version or journal"
    if not state.is_clean and (not state.boot_id or state.boot_id != boot_id()):
        return "the machine was restarted without a clean stop"
    return None


def _note(folder: Path, journal_id: str, *, is_clean: bool) -> None:
    state = IndexState(INDEX_VERSION, FINGERPRINT_SCHEME, journal_id, boot_id(), is_clean)
    content, path = msgspec.json.encode(state), _state_path(folder)
    # After a kill it says so already; then a start needs no room on the disk for it.
    if not path.exists() or path.read_bytes() != content:
        write_durably(path, content)


def _state_path(folder: Path) -> Path:
    return folder.with_suffix(".state")
