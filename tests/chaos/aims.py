"""The moments that kills are aimed at: between one durable step and the next, wherever two must agree."""

from __future__ import annotations

from tests.support.aim import Aim, Moment

_JOURNAL = "bursar.storage.journal"
_SEGMENT = f"{_JOURNAL}.last_segment:LastSegment"
_APPLIER = "bursar.storage.duckdb.apply:DuckDBApplier"
_COMPACTION = "bursar.storage.duckdb.compaction"
_COMPACTS = {f"{_COMPACTION}:WORTH_COMPACTING_ROWS": 1, f"{_COMPACTION}:STEP_ROWS": 50}


def _compacting(name: str, target: str, moment: Moment, calls: int) -> Aim:
    return Aim(name, target, moment, _COMPACTS, calls, "compaction")


def _archiving(name: str, target: str, moment: Moment) -> Aim:
    return Aim(name, f"{_JOURNAL}.{target}", moment, up_to_call=2, chore="archive")


def _backing_up(name: str, target: str, moment: Moment, calls: int = 1) -> Aim:
    return Aim(name, f"bursar.{target}", moment, up_to_call=calls, chore="backup")


def _expiring(name: str, target: str, moment: Moment) -> Aim:
    return Aim(name, f"bursar.{target}", moment, up_to_call=1, chore="expiry")


def _erasing(name: str, target: str, moment: Moment) -> Aim:
    return Aim(name, f"bursar.{target}", moment, up_to_call=1, chore="erasure")


def _rebuilding(name: str, target: str, moment: Moment) -> Aim:
    return Aim(name, target, moment, up_to_call=1, chore="rebuild")


AIMS: tuple[Aim, ...] = (
    Aim("a group is not yet written", f"{_SEGMENT}.append", "before", up_to_call=40),
    Aim("a group is written, not yet synced", f"{_JOURNAL}.last_segment:write_all", "after", up_to_call=40),
    Aim("a group is synced, nobody told", f"{_SEGMENT}.append", "after", up_to_call=40),
    Aim("a segment is begun, nothing written", f"{_SEGMENT}._begin", "after", up_to_call=3),
    Aim("keys are indexed, rows not stored", "bursar.storage.keyindex.index:RunKeyIndex.record", "after"),
    Aim("rows are in the transaction, not committed", f"{_APPLIER}._move_position", "after"),
    Aim("rows are committed, the next run not begun", f"{_APPLIER}._apply_stretch", "after"),
    _compacting("rollups are to be compacted", f"{_COMPACTION}:RollupCompactor._replace", "before", 4),
    _compacting(
        "rollups are replaced, not committed", f"{_COMPACTION}:RollupCompactor._note_left", "after", 9
    ),
    _compacting("rollups are compacted", f"{_COMPACTION}:RollupCompactor._replace", "after", 4),
    Aim("the index is open, not noted", "bursar.storage.keyindex.trust:_note", "before", up_to_call=1),
    Aim("stores are open, nothing is caught up", "bursar.app.build:open_journal", "before", up_to_call=1),
    _archiving("a segment is compressed, the manifest old", "archiving:_compress", "after"),
    _archiving("the manifest is new, the plain file there", "archiving:save_manifest", "after"),
    _archiving("the plain file is gone", "archiving:_remove_plain", "after"),
    _rebuilding("a new store is begun", "bursar.app.rebuilding:open_derived", "after"),
    _rebuilding("a new store is close behind", "bursar.app.rebuilding:Rebuilder._take_over", "before"),
    _rebuilding("a new store is named, the old one in use", "bursar.app.rebuilding:make_current", "after"),
    _rebuilding("a new store has taken over", "bursar.app.rebuilding:Rebuilder._take_over", "after"),
    _backing_up("some files are backed up", "storage.backup_folder:BackupRun.note", "after", 6),
    _backing_up("the state store is backed up", "app.backup:dump_state", "after"),
    _backing_up("all is backed up, nothing says so", "storage.backup_folder:BackupRun.finish", "before"),
    _expiring("an expiry is applied, the archive old", "usage.retention.expiry:_journal", "after"),
    _expiring("the archive is rewritten, its notes there", "app.rewritings:rewrite", "after"),
    _expiring("the notes of a rewriting are to go", "app.rewritings:Rewritings.forget", "before"),
    _erasing("an erasure is applied, the archive old", "usage.revising.erasure:EraseWork._journal", "after"),
    _erasing("the archive has lost a person, the store not", "app.rewritings:rewrite", "after"),
    _erasing("a person is gone, nobody has looked", "app.purging:Purger.places_left", "before"),
    _erasing("an erasure has ended, its pad is there", "storage.sealing:Seals.destroy", "before"),
)
