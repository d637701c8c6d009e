"""Voids: taking events out of every total, by their ids at once or by filters in a job.

A job asks again and again which of the selected events still count, writes a void record about them
and goes on, so that a run that died goes on by just asking once more. Events that came in after
somebody looked are behind the selection's last event and stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bursar import clock
from bursar.errors import Conflict, Reason
from bursar.usage.changes import EVENTS_PER_RECORD, VOID, VoidRecord
from bursar.usage.query_reader import read_json_scene
from bursar.usage.record import encode_record
from bursar.usage.revising.author import Author, read_reason, wait_until_applied
from bursar.usage.selection import Selection, selection_of
from bursar.window import WINDOW_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bursar.scheduling.job import RunContext
    from bursar.usage.asked import Asked
    from bursar.usage.change_log import ChangeLog
    from bursar.usage.query_reader import Asker
    from bursar.usage.selection import SelectionTotals
    from bursar.usage.store import AsksQuestions

VOID_JOB = "void"
IDS_LIMIT = EVENTS_PER_RECORD
"""Ids that one request may name: they make one record, which is applied while the caller waits."""


@dataclass(frozen=True, slots=True)
class VoidAsk:
    """What a request to void says."""

    selection: Selection
    reason: str
    dry_run: bool
    expect_events: int | None
    """Refuse if the selection comes to another number of events."""


def read_void(asked: Asked, asker: Asker) -> VoidAsk:
    """The void that a JSON body asks for.

    Ids are voided unless `dry_run` says otherwise; filters are only tried unless `dry_run` is false.

    Raises:
        Invalid: with every reason.
    """
    reason = asked.text("reason")
    dry_run, given_ids = asked.take("dry_run"), asked.take("event_ids")
    expected, up_to = asked.take("expect_events"), asked.text("up_to_event")
    names = {name for name in (*WINDOW_NAMES, "filters", "filter") if asked.has(name)}
    scene = read_json_scene(asked, asker, "all")
    ids = _read_ids(asked, given_ids)
    if (given_ids is None) == (not names):
        message = "Name event_ids, or filters or a window; one of the two ways."
        asked.refuse("event_ids", "required" if given_ids is None else "conflicting_parameters", message)
    if dry_run is not None and not isinstance(dry_run, bool):
        asked.refuse("dry_run", "wrong_type", "dry_run is true or false.")
    if expected is not None and (not isinstance(expected, int) or isinstance(expected, bool) or expected < 0):
        message = "expect_events is a whole number from an earlier answer."
        asked.refuse("expect_events", "bad_number", message)
    is_dry = dry_run if isinstance(dry_run, bool) else given_ids is None
    checked = asked.collect(lambda: read_reason(reason)) if reason or not is_dry else ""
    found = asked.collect(lambda: Selection(scene.window, scene.filters, ids, up_to))
    asked.finish()
    return VoidAsk(found or Selection(scene.window), checked or "", is_dry, expected)


def _read_ids(asked: Asked, given: object) -> tuple[str, ...] | None:
    if given is None:
        return None
    listed = cast("list[object]", given) if isinstance(given, list) else [None]
    ids = tuple(dict.fromkeys(one for one in listed if isinstance(one, str) and one))
    if not all(isinstance(one, str) and one for one in listed):
        asked.refuse("event_ids", "wrong_type", "event_ids is a list of ids.")
    elif not 1 <= len(ids) <= IDS_LIMIT:
        message = f"Name 1 to {IDS_LIMIT} ids at once, or use filters."
        asked.refuse("event_ids", "out_of_range", message)
    return ids


def refuse_surprise(ask: VoidAsk, totals: SelectionTotals) -> None:
    """Let nobody void another number of events than they saw.

    Raises:
        Conflict: `expect_events` was said and is not what is there.
    """
    if ask.expect_events is not None and ask.expect_events != totals.events:
        message = (
            f"The selection comes to {totals.events} events now, not {ask.expect_events}; look again"
            " with dry_run, and send its up_to_event along."
        )
        raise Conflict(message, reasons=(Reason("expect_events", "changed", message),))


def void_record(author: Author, event_ids: Sequence[str], now: datetime) -> VoidRecord:
    """The record that takes these events out."""
    return VoidRecord(**author.head(VOID, now), event_ids=list(event_ids))


def void_parameters(ask: VoidAsk, totals: SelectionTotals) -> dict[str, Any]:
    """What the job is given: the selection, bounded, and how many events it came to."""
    return {"selection": ask.selection.as_json(), "reason": ask.reason, "events": totals.events}


@dataclass(frozen=True, slots=True)
class VoidWork:
    """The work of the job `void`."""

    changes: ChangeLog
    questions: AsksQuestions

    def __call__(self, run: RunContext) -> Mapping[str, Any]:
        """Void everything selected; a later attempt goes on with what is left."""
        author, selection = Author.of_run(run), selection_of(run.parameters["selection"])
        wait_until_applied(self.changes, self.changes.durable_seq, run, "catching up", 0)
        left = self.questions.ask_now(lambda store: store.total_selection(author.tenant_id, selection))
        # What an equal job has voided since somebody asked for this one is not this one's work.
        saved = dict(run.saved or {"events": left.events})
        run.save(saved)
        total = int(saved["events"])
        done = max(total - left.events, 0)
        after_seq, last_seq = 0, 0
        while found := self._next(author.tenant_id, selection, after_seq):
            run.progress("voiding", done, total)
            if last_seq:
                wait_until_applied(self.changes, last_seq, run, "voiding", done)
            ids = [event_id for _, event_id in found]
            # A tenant that was deleted meanwhile has no runs any more: this one ends here.
            run.save(saved)
            last_seq = self.changes.append([encode_record(void_record(author, ids, clock.now()))])
            after_seq, done = found[-1][0], done + len(found)
        if last_seq:
            wait_until_applied(self.changes, last_seq, run, "voiding", done)
        run.progress("done", done, total)
        return {"events": done, "reason": author.reason}

    def _next(self, tenant_id: str, selection: Selection, after_seq: int) -> list[tuple[int, str]]:
        return self.questions.ask_now(
            lambda store: store.selected_positions(tenant_id, selection, after_seq, EVENTS_PER_RECORD)
        )
