"""Bodies that clients really send by mistake, and some that nobody would: each one by name.

Every one is sent alone and between good neighbours, as a list, in an envelope and as lines. None may
end in a 500, none may take its neighbours with it, and what is accepted must be readable ever after.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.support.door import Door


def nested(depth: int, inside: bytes = b"") -> bytes:
    return b"[" * depth + inside + b"]" * depth


def a_cloudevent(extra: bytes) -> bytes:
    return b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"input_tokens":3},%b}' % extra


TAKEN: dict[str, bytes] = {
    "nothing said": b"{}",
    "every field null": (
        b'{"event_id":null,"time":null,"units":null,"tags":null,"metadata":null,"usage":null}'
    ),
    "spaces around": b' \t {"event_id" : "spaces" } ',
    "NUL in an id": b'{"event_id":"a\\u0000b","user_id":"\\u0000"}',
    "NUL in keys and values": b'{"metadata":{"a\\u0000":"\\u0000"},"tags":{"t\\u0000":"\\u0000"}}',
    "line ends in an id": b'{"event_id":"a\\r\\nb\\u2028c\\u0085"}',
    "raw line separators": '{"event_id":"\u2028\u2029\x85","user_id":"\x85"}'.encode(),
    "slashes in an id": b'{"event_id":"a/b/../c?d#e%2F"}',
    "quotes in an id": b'{"event_id":"\'\\"; DROP TABLE usage_events; --"}',
    "a blank id": b'{"event_id":" "}',
    "the longest id": b'{"event_id":"%b"}' % ("é" * 256).encode(),
    "all planes": '{"event_id":"👩‍👩‍👧‍👦\U0010ffff\ufffe\ufeff"}'.encode(),
    "an escaped pair": b'{"event_id":"\\ud83d\\ude00"}',
    "keys twice": b'{"model":"a","model":"b","event_id":"first","event_id":"second"}',
    "latency too small for a double": b'{"latency_ms":1e-400}',
    "latency of the smallest doubles": b'{"latency_ms":5e-324,"temperature":5e-324}',
    "latency at its limit": b'{"latency_ms":1e9}',
    "latency finer than is kept": b'{"latency_ms":0.00049999999999}',
    "negative zero": b'{"latency_ms":-0.0,"cost":{"amount":-0.0}}',
    "integers beyond 64 bits in metadata": b'{"metadata":{"n":%b,"m":-%b}}' % (b"9" * 300, b"9" * 300),
    "fractions of 40 digits in metadata": b'{"metadata":{"n":0.%b}}' % (b"123456789" * 5),
    "large exponents in metadata": b'{"metadata":{"a":1e300,"b":1E-300,"c":-0.0e+0}}',
    "32 levels of metadata": b'{"metadata":{"a":%b}}' % nested(31),
    "quantities with exponents": b'{"units":{"seconds":1e5,"gpu":1E+3,"input_text":1}}',
    "quantities as text": b'{"units":{"seconds":"1.5"}}',
    "the largest quantities": b'{"units":{"input_text":1000000000000,"seconds":1000000000000}}',
    "the smallest quantity": b'{"units":{"seconds":0.000001,"gpu":1e-6}}',
    "a cost with an exponent": b'{"cost":{"amount":1e5}}',
    "a cost of nothing in many places": b'{"cost":{"amount":0e-999}}',
    "the largest cost": b'{"cost":{"amount":999999.999999999999}}',
    "the smallest cost": b'{"cost":{"amount":0.000000000001,"currency":"XTS"}}',
    "tags as a list": b'{"tags":["a","a",""]}'.replace(b',""', b""),
    "an error without usage": b'{"status":"error","error_code":"429"}',
    "a status code alone": b'{"status_code":503}',
    "a bare total": b'{"total_tokens":12}',
    "an event from long ago, almost too old": b'{"time":"2017-01-01T00:00:00Z"}',
    "a time finer than is kept": b'{"time":"2026-11-01T00:00:00.123456789Z"}',
    "a time far east": b'{"time":"2026-11-01T00:00:00+23:59"}',
    "a time in small letters": b'{"time":"2026-11-01t00:00:00z"}',
    "a time without a zone": b'{"timestamp":"2026-11-01T00:00:00"}',
    "a CloudEvent": a_cloudevent(b'"time":"2026-11-01T00:00:00Z"'),
    "a CloudEvent with much around it": a_cloudevent(
        b'"subject":"u","traceparent":"00-a-b-01","ext":{"a":[1]}'
    ),
    "a CloudEvent with deep extensions": a_cloudevent(b'"traceparent":%b' % nested(900)),
    "raw usage": b'{"provider":"openai","model":"gpt-4o","usage":{"prompt_tokens":5,"completion_tokens":1}}',
    "raw usage of nothing": b'{"usage":{}}',
    "raw usage with strange company": b'{"usage":{"prompt_tokens":5,"x":{"y":[1,1e300,"\\u0000",null]}}}',
}  # fmt: skip

REFUSED: dict[str, bytes] = {
    "a number": b"5",
    "null": b"null",
    "a text": b'"event"',
    "an empty list": b"[]",
    "a list of lists": b"[[]]",
    "half a pair": b'{"event_id":"a\\ud800b"}',
    "the other half": b'{"event_id":"\\udc00"}',
    "half a pair deep in metadata": b'{"metadata":{"a":[{"b":"\\ud83d"}]}}',
    "half a pair in a key": b'{"metadata":{"\\ud800":1}}',
    "a number beyond doubles": b'{"metadata":{"n":1e400}}',
    "a latency beyond doubles": b'{"latency_ms":1e400}',
    "an integer of 5,000 digits": b'{"metadata":{"n":%b}}' % (b"9" * 5000),
    "a count of 4,000 digits": b'{"input_tokens":%b}' % (b"9" * 4000),
    "a count by its other name, of 4,000 digits": b'{"prompt_tokens":%b}' % (b"9" * 4000),
    "a quantity of 4,000 digits": b'{"units":{"input_text":%b}}' % (b"9" * 4000),
    "a quantity finer than is kept": b'{"units":{"seconds":0.%b1}}' % (b"0" * 4000),
    "a quantity finer than is kept, beside a large one": b'{"units":{"seconds":1.%b1}}' % (b"0" * 40),
    "a quantity that is no number": b'{"units":{"x":"NaN"}}',
    "a quantity that signals": b'{"units":{"x":"sNaN"}}',
    "a quantity without end": b'{"units":{"x":"Infinity"}}',
    "quantities that don't add up": b'{"units":{"pages":"x"},"pages_processed":3}',
    "quantities of another type": b'{"units":{"foo":[1]},"metrics":{"foo":3}}',
    "units as a list": b'{"units":[1],"metrics":{"foo":3}}',
    "units with a bad name": b'{"units":{"Input Text":1}}',
    "a cost that is no number": b'{"cost":{"amount":"NaN"}}',
    "a cost that signals": b'{"cost":{"amount":"sNaN"}}',
    "a cost without end": b'{"cost":{"amount":"-Infinity"}}',
    "a cost of a million": b'{"cost":{"amount":1000000}}',
    "a cost with a huge exponent": b'{"cost":{"amount":"0E+999999"}}',
    "a cost finer than is kept": b'{"cost":{"amount":1.0000000000001}}',
    "a cost finer than is kept by far": b'{"cost":{"amount":1.%b1}}' % (b"0" * 40),
    "a negative cost": b'{"cost":{"amount":-1}}',
    "33 levels of metadata": b'{"metadata":{"a":%b}}' % nested(32),
    "900 levels of metadata": b'{"metadata":{"a":%b}}' % nested(900),
    "900 levels where a text belongs, twice": b'{"model":%b,"model_name":%b}' % (nested(900), nested(900)),
    "10,000 levels": b'{"metadata":{"a":%b}}' % nested(10_000),
    "10,000 levels of objects": b'{"metadata":%b1%b}' % (b'{"a":' * 10_000, b"}" * 10_000),
    "900 levels of raw usage": b'{"usage":{"prompt_tokens":1,"a":%b}}' % nested(900),
    "a text of 10 MB": b'{"message":"%b"}' % (b"x" * 10_000_000),
    "a key of 1 MB": b'{"%b":1}' % (b"k" * 1_000_000),
    "metadata of 100 kB": b'{"metadata":{"a":"%b"}}' % (b"x" * 100_000),
    "33 tags": b'{"tags":{%b}}' % b",".join(b'"t%d":"v"' % i for i in range(33)),
    "tags that aren't texts": b'{"tags":["a",1,null]}',
    "metadata as a list": b'{"metadata":[1],"method":"GET"}',
    "a flag for a count": b'{"input_tokens":true}',
    "a fraction for a count": b'{"input_tokens":5.0}',
    "a negative count": b'{"input_tokens":-1}',
    "more cached than there were": b'{"input_tokens":1,"cached_tokens":2}',
    "a total that contradicts": b'{"input_tokens":1,"total_tokens":3}',
    "success that isn't a flag": b'{"success":"yes"}',
    "a status code that isn't a number": b'{"status_code":"500"}',
    "a status as a list": b'{"status":["ok"]}',
    "an unknown field": b'{"modle":"gpt-4o"}',
    "an id that is too long": b'{"event_id":"%b"}' % ("é" * 257).encode(),
    "an empty id": b'{"event_id":""}',
    "somebody else's tenant": b'{"tenant_id":"nobody"}',
    "a time before there was any usage": b'{"time":"0001-01-01T00:00:00+14:00"}',
    "a time to come": b'{"time":"9999-12-31T23:59:59-14:00"}',
    "no such day": b'{"time":"2026-02-30T00:00:00Z"}',
    "a leap second": b'{"time":"2026-06-30T23:59:60Z"}',
    "a time as a number": b'{"time":1700000000}',
    "a CloudEvent of another version": b'{"specversion":"0.3","id":"1","source":"s","type":"t","data":{}}',
    "a CloudEvent whose version is a list": (
        b'{"specversion":["1.0"],"id":"1","source":"s","type":"t","data":{}}'
    ),
    "a CloudEvent whose version is an object": b'{"specversion":{}}',
    "a CloudEvent without data": b'{"specversion":"1.0","id":"1","source":"s","type":"t"}',
    "a CloudEvent with encoded data": a_cloudevent(b'"data":null,"data_base64":"e30="'),
    "a CloudEvent with an empty id": b'{"specversion":"1.0","id":"","source":"s","type":"t","data":{}}',
    "raw usage of an unknown shape": b'{"usage":{"tokens":5}}',
    "raw usage of wrong types": b'{"usage":{"prompt_tokens":"5","completion_tokens":[1]}}',
    "raw usage with fractions": b'{"usage":{"prompt_tokens":5.5}}',
    "raw usage that is negative": b'{"usage":{"promptTokenCount":5,"candidatesTokenCount":-1}}',
    "raw usage with strange details": b'{"usage":{"input_tokens":5,"cache_creation":7,"iterations":[1,{}]}}',
    "bytes that are no UTF-8": b'{"event_id":"\xff\xfe"}',
    "UTF-8 that is too long": b'{"event_id":"\xc0\x80"}',
    "half a pair as UTF-8": b'{"event_id":"\xed\xa0\x80"}',
    "bytes that are no UTF-8 where nobody looks": b'{"metadata":{"a":"\xff"}}',
    "NaN": b'{"latency_ms":NaN}',
    "Infinity": b'{"metadata":{"a":-Infinity}}',
    "a control character": b'{"event_id":"a\x01b"}',
    "a raw tab": b'{"event_id":"a\tb"}',
    "a raw NUL": b'{"event_id":"a\x00b"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "something behind": b"{} x",
    "a word": b"oops",
    "single quotes": b"{'event_id':'a'}",
    "a comma too many": b'{"event_id":"a",}',
    "a comment": b'{"event_id":"a"/* here */}',
    "a bad escape": b'{"event_id":"\\x41"}',
}  # fmt: skip

UNENDING: dict[str, bytes] = {
    "a text without end": b'{"event_id":"a}',
    "an object without end": b'{"event_id":"a"',
    "a list without end": b'{"metadata":{"a":[}}',
    "an escape at the end": b'{"event_id":"a\\"}',
}
"""These swallow what follows them in a list, which then is none; a line ends in any case."""


@pytest.mark.parametrize("item", TAKEN.values(), ids=TAKEN)
def test_what_is_odd_but_says_something_is_taken(door: Door, item: bytes) -> None:
    answer = door.post(item)
    assert answer.json().get("accepted") == 1, answer.text
    door.post_among_neighbours(item, is_json=True)


@pytest.mark.parametrize("item", REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_taken_is_refused_alone(door: Door, item: bytes) -> None:
    answer = door.post(item)
    assert answer.status_code in {400, 403, 413, 422}
    if answer.status_code == 422:
        assert answer.json().keys() & {"errors", "rejected"}
    door.post_among_neighbours(item, is_json=True)


@pytest.mark.parametrize("item", UNENDING.values(), ids=UNENDING)
def test_what_has_no_end_is_refused_and_a_line_ends_it(door: Door, item: bytes) -> None:
    assert door.post(item).status_code in {400, 422}
    door.post_among_neighbours(item, is_json=False)


def test_an_event_of_any_id_is_found_by_it(door: Door) -> None:
    ids = ["\x00", "a/b", "../x", "%2F", "a?b#c", " ", "é" * 250, "\U0010ffff", "'\"", "a+b c", "batch", "."]
    body = json.dumps([{"event_id": f"found {one}"} for one in ids]).encode()
    door.post(body, path="/api/v1/events?wait=applied")
    for one in (f"found {name}" for name in ids):
        answer = door.server.client.get(f"/api/v1/events/{quote(one, safe='')}")
        assert answer.status_code == 200, one
        assert answer.json()["event_id"] == one


def test_a_comma_too_many_is_an_item_that_is_refused_alone(door: Door) -> None:
    answer = door.post(b"[%b,,%b]" % (door.good_event(), door.good_event())).json()
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (2, [1])


def test_the_depths_around_the_parsers_limit_hold_no_surprise(door: Door) -> None:
    # Where reading just succeeds, whatever comes after has less of the stack left.
    shapes = (
        b'{"metadata":{"a":%b}}',
        b'{"prompt_tokens":1,"metadata":{"a":%b}}',
        b'{"usage":{"prompt_tokens":1,"a":%b}}',
        b'{"input_tokens":1,"total_tokens":%b}',
        b'{"model":"a","model_name":%b}',
        a_cloudevent(b'"traceparent":%b'),
    )
    for shape in shapes:
        for depth in (*range(28, 36), *range(960, 1004)):
            item = shape % nested(depth)
            door.post(item)
            answer = door.post(b"[%b,%b]" % (door.good_event(), item))
            assert answer.json()["accepted"] >= 1
