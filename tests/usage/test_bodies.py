"""Bodies into items: the fast way, the slow way, and the way for lists that are no JSON at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Malformed, TooLarge
from bursar.usage.bodies import BULK_BYTES, Refused, Shape, read_items, rescued_items
from bursar.usage.event import UsageEvent
from bursar.usage.rescue import RESCUE_BYTES, rescue_items

if TYPE_CHECKING:
    from bursar.usage.bodies import Item, Items

MANY = 10_000


def all_of(items: Items | None) -> list[Item]:
    assert items is not None
    found = [item for batch in items.slices for item in batch]
    assert len(found) == items.count
    return found


def ids_of(body: bytes, shape: Shape = Shape.JSON) -> list[str | None]:
    return [item.event_id for item in all_of(read_items(body, shape, {}, MANY))]


LISTS = st.lists(
    st.recursive(
        st.none() | st.integers() | st.text('a,[]{}"\\\n', max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(',[]{}"', max_size=3), inner, max_size=3)
        ),
        max_leaves=5,
    ),
    min_size=1,
    max_size=6,
)


@given(LISTS, st.sampled_from(["[%s]", " \n[\t%s\r\n] ", '{"events":[%s]}', ' { "events" : [ %s ] } ']))
def test_the_items_of_any_list_are_found_without_reading_it(values: list[object], form: str) -> None:
    found = rescue_items((form % ", ".join(map(json.dumps, values))).encode())
    assert found is not None
    assert [json.loads(item) for item in found] == values


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b'[{"a":NaN},2]', [b'{"a":NaN}', b"2"]),
        (b'["\\ud800",2]', [b'"\\ud800"', b"2"]),
        (b'["a]b\\",c",2]', [b'"a]b\\",c"', b"2"]),
        (b"[1,,2]", [b"1", b"", b"2"]),
        (b"[" + b"[" * 5000 + b"]" * 5000 + b",2]", [b"[" * 5000 + b"]" * 5000, b"2"]),
    ],
    ids=["NaN", "half a pair", "brackets in a text", "nothing", "5,000 levels"],
)
def test_what_stands_between_two_commas_is_an_item(body: bytes, items: list[bytes]) -> None:
    assert rescue_items(body) == items


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"a":[1]}',
        b'{"events":[1],"b":2}',
        b'{"events":1}',
        b"[1",
        b'["a]',
        b"[1]]",
        b"[1] x",
        b'["a\\"]',
        b"NaN",
    ],
)
def test_a_list_that_can_not_be_told_apart_is_left_alone(body: bytes) -> None:
    assert rescue_items(body) is None


@pytest.mark.parametrize(
    "body",
    [b'["' + b'\\"' * (RESCUE_BYTES // 2 - 2), b"[" + b"[]" * (RESCUE_BYTES // 2 - 1), b"[" * RESCUE_BYTES],
)
def test_no_body_takes_forever(body: bytes) -> None:
    """Looking at each place of these from each other one would take hours."""
    assert rescue_items(body) is None


def test_a_large_body_is_not_looked_through() -> None:
    assert rescue_items(b"[1,%b]" % (b" " * RESCUE_BYTES)) is None


def test_a_broken_item_is_refused_and_the_others_are_read() -> None:
    body = b'[{"event_id":"a"},{"event_id":NaN},{"event_id":"c"}]'
    with pytest.raises(Malformed):
        read_items(body, Shape.JSON, {}, MANY)
    first, broken, last = all_of(rescued_items(body, Shape.JSON, MANY))
    assert isinstance(first, UsageEvent)
    assert isinstance(last, UsageEvent)
    assert (first.event_id, last.event_id) == ("a", "c")
    assert isinstance(broken, Refused)
    assert [reason.code for reason in broken.reasons] == ["malformed_json"]


def test_only_lists_are_rescued() -> None:
    assert rescued_items(b"[NaN]", Shape.NDJSON, MANY) is None
    assert rescued_items(b"[NaN]", Shape.CLOUDEVENT_BINARY, MANY) is None
    assert len(all_of(rescued_items(b"[NaN]", Shape.CLOUDEVENT_BATCH, MANY))) == 1


def test_too_many_items_are_refused_in_every_form() -> None:
    forms = [
        (b"[{},{},{}]", Shape.JSON),
        (b'{"events":[{},{},{}]}', Shape.JSON),
        (b"{}\n{}\n{}", Shape.NDJSON),
    ]
    for body, shape in forms:
        with pytest.raises(TooLarge, match="has 3 events; at most 2"):
            read_items(body, shape, {}, 2)
    with pytest.raises(TooLarge):
        rescued_items(b"[NaN,{},{}]", Shape.JSON, 2)


def test_a_large_list_is_split_and_read_alike() -> None:
    events = [{"event_id": f"e{i}", "metadata": {"filler": "x" * 500}} for i in range(2000)]
    body = json.dumps(events).encode()
    assert len(body) > 2**20
    assert ids_of(body) == [event["event_id"] for event in events]
    assert ids_of(b'{"events":%b}' % body) == [event["event_id"] for event in events]


def test_a_broken_item_of_a_large_list_leaves_its_neighbours_and_their_order() -> None:
    events: list[dict[str, object]] = [
        {"event_id": f"e{i}", "metadata": {"filler": "x" * 900}} for i in range(900)
    ]
    # The first is read after translation, the second by nobody.
    events[300]["prompt_tokens"], events[700]["input_tokens"] = 5, -5
    body = json.dumps(events).encode()
    assert len(body) > BULK_BYTES
    items = all_of(read_items(body, Shape.JSON, {}, MANY))

    assert [item.event_id for item in items] == [event["event_id"] for event in events]
    assert [i for i, item in enumerate(items) if isinstance(item, Refused)] == [700]


def test_broken_lines_are_not_made_whole_by_their_neighbours() -> None:
    lines = b'{"event_id":"a"\n"model":"m"},{"event_id":"b"}'
    items = all_of(read_items(lines, Shape.NDJSON, {}, MANY))
    assert [type(item) for item in items] == [Refused, Refused]


def test_lines_end_in_any_way_and_empty_ones_are_none() -> None:
    assert ids_of(b'{"event_id":"a"}\r\n\n  \n{"event_id":"b"}\n{"event_id":"c"}', Shape.NDJSON) == [
        "a",
        "b",
        "c",
    ]


def test_a_cloudevent_has_the_same_id_in_binary_and_in_structured_mode() -> None:
    structured = json.dumps(
        {"specversion": "1.0", "id": "café 1%", "source": "/ä#b", "type": "call", "data": {"input_tokens": 1}}
    ).encode()
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "caf%C3%A9%201%25",
        "ce-source": "/%C3%A4#b",
        "ce-type": "call",
        "content-type": "application/json",
    }
    [binary] = all_of(read_items(b'{"input_tokens":1}', Shape.CLOUDEVENT_BINARY, headers, MANY))
    assert binary.event_id == ids_of(structured, Shape.CLOUDEVENT)[0] == "/ä%23b#café 1%"
