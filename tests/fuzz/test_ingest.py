"""Random bodies through the door for events: no fault, no lost neighbour, the same verdict in every form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.usage.formats.cloudevents import event_id_of
from tests.support.odd_events import cloudevents, dump, fuzzing, items, odd_events

if TYPE_CHECKING:
    from tests.support.door import Door

LINES = "application/x-ndjson"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENT_BATCH = "application/cloudevents-batch+json"


@fuzzing
@given(st.lists(items | st.none(), min_size=1, max_size=8), st.sampled_from(["list", "wrapped", "lines"]))
def test_good_events_are_taken_whatever_stands_between_them(door: Door, mixed: list[Any], form: str) -> None:
    bodies = [door.good_event() if item is None else dump(item) for item in mixed]
    if form == "lines":
        answer = door.post(b"\n".join(bodies), LINES)
    elif form == "list":
        answer = door.post(b"[%b]" % b",".join(bodies))
    else:
        answer = door.post(b'{"events":[%b]}' % b",".join(bodies), path="/api/v1/events/batch")
    good = {i for i, item in enumerate(mixed) if item is None}
    assert answer.status_code in {202, 403, 422}, answer.text
    document = answer.json()
    refused = {one["index"] for one in document["rejected"]}
    assert not refused & good
    assert document["accepted"] + len(refused) == len(mixed)


@fuzzing
@given(odd_events() | cloudevents)
def test_an_event_is_judged_alike_in_every_form(door: Door, event: dict[str, Any]) -> None:
    body = dump(event)
    alone = door.post(body)
    verdicts = [
        verdict(alone.json()),
        verdict(door.post(b"[%b]" % body).json()),
        verdict(door.post(b'{"events": [ %b ]}' % body).json()),
        verdict(door.post(body, LINES).json()),
        verdict(door.post(b"[%b]" % body, path="/api/v1/events/import").json()),
    ]
    assert all(one == verdicts[0] for one in verdicts[1:]), verdicts


def verdict(document: dict[str, Any]) -> Any:  # noqa: ANN401 - compared only
    """What became of the one event, without its id if the server made it."""
    if document.get("accepted"):
        event = document["events"][0]
        return "accepted", event["cost"], event["event_id"] if event["retry_safe"] else None
    errors = document.get("errors") or document["rejected"][0]["errors"]
    return "refused", sorted((one["field"], one["code"]) for one in errors)


@fuzzing
@given(st.lists(cloudevents, min_size=1, max_size=4))
def test_no_cloudevent_makes_a_fault(door: Door, events: list[dict[str, Any]]) -> None:
    assert door.post(dump(events), CLOUDEVENT_BATCH).status_code in {202, 403, 422}
    assert door.post(dump(events[0]), CLOUDEVENT).status_code in {202, 403, 422}


@fuzzing
@given(
    st.binary(max_size=200) | st.text('{}[]",:\\ \n\t0123456789.eE+-truefalsn', max_size=80).map(str.encode)
)
def test_no_bytes_make_a_fault(door: Door, body: bytes) -> None:
    for media_type in ("application/json", LINES, CLOUDEVENT, CLOUDEVENT_BATCH):
        door.post(body, media_type)


@fuzzing
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_good_body_with_changed_bytes_is_never_a_fault(
    door: Door, changes: list[tuple[float, int]]
) -> None:
    body = bytearray(b"[%b,%b,%b]" % (door.good_event(), door.good_event(), door.good_event()))
    for place, byte in changes:
        body[int(place * len(body))] = byte
    door.post(bytes(body))


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_no_two_cloudevents_share_an_id_unless_source_and_id_are_equal(
    one: tuple[str, str], two: tuple[str, str]
) -> None:
    assert (event_id_of(*one) == event_id_of(*two)) == (one == two)


@given(st.text("a#%235", max_size=6), st.text("a#%235", max_size=6), st.text("a#%235", max_size=6))
def test_a_source_with_a_number_sign_is_told_from_one_that_spells_it(a: str, b: str, c: str) -> None:
    assert (event_id_of(a, c) == event_id_of(b, c)) == (a == b)
