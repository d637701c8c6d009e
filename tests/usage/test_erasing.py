"""A journal line without its person: the figures stay, byte for byte, whatever the line is."""

from __future__ import annotations

import json
import re
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.usage.changes import KeptRows
from bursar.usage.erasing import PERSON_FIELDS, erased_line, fields_naming, names_person, tombstone_for
from bursar.usage.figures import figures_of
from bursar.usage.person import Person
from tests.support.ledger import a_change, a_correction, a_usage, a_void


def line_of(record: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"seq": 7, **record}) + b"\n"


PERSON = dict.fromkeys(PERSON_FIELDS, "mara") | {
    "metadata": {"n": 1.50},
    "tags": {"who": "mara", "team": "x"},
    "usage": {"user": "mara", "tokens": 5, "caller": "mara", "by_user": {"mara": 5}},
}


def test_a_usage_record_keeps_its_figures_and_its_fingerprint() -> None:
    record = a_usage("a", event=PERSON)
    erased = msgspec.json.decode(erased_line(line_of(record), ["who"]))
    event = {"event_id": "a", "provider": "openai", "model": "gpt-4o-mini"}
    event |= {"tags": {"team": "x"}, "usage": {"tokens": 5}}  # pyright: ignore[reportArgumentType]
    assert erased == {"seq": 7, **record, "event": event}


def test_a_correction_loses_the_person_of_its_event() -> None:
    record = a_correction("a", a_usage("a", event=PERSON))
    erased = msgspec.json.decode(erased_line(line_of(record), []))
    assert erased["usage"]["event"].keys() == {"event_id", "provider", "model", "tags", "usage"}
    assert (erased["event_id"], erased["reason"], erased["seq"]) == ("a", "a test asks", 7)


@pytest.mark.parametrize(
    "line",
    [
        line_of(a_void("a")),
        line_of(a_change("reset")),
        b"oops\n",
        b"[]",
        tombstone_for(b"", 7, 9),
        line_of(a_correction("a", None)),
    ],
)
def test_other_lines_stay_as_they_are(line: bytes) -> None:
    assert erased_line(line, ["who"]) == line


@given(
    st.dictionaries(
        st.sampled_from([*PERSON_FIELDS, "usage", "tags", "latency_ms", "user", "é"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["user", "n", 'q"', "metadata"]), inner, max_size=3)
            ),
            max_leaves=8,
        ),
    )
)
def test_erasing_twice_is_erasing_once_and_leaves_no_field_of_a_person(event: dict[str, Any]) -> None:
    once = erased_line(line_of({"event": event}), ["n"])
    assert erased_line(once, ["n"]) == once
    found = msgspec.json.decode(once)["event"]
    assert not found.keys() & set(PERSON_FIELDS)
    assert {name: found[name] for name in ("latency_ms", "user", "é") if name in event} == {
        name: event[name] for name in ("latency_ms", "user", "é") if name in event
    }


def test_a_usage_object_keeps_its_figures_and_nothing_that_a_caller_said() -> None:
    content = (
        b'{"input_tokens":1.50,"user":"m","iterations":[{"metadata":{"a":1},"totalTokenCount":1e3},2,"m"],'
        b'"service_tier":"standard","by_user":{"m":5},"mara_tokens":7,"speed":"so says m","output":"m"}'
    )
    kept = b'{"input_tokens":1.50,"iterations":[{"totalTokenCount":1e3},2,null],"service_tier":"standard"'
    assert figures_of(content) == kept + b',"output":null}'
    assert figures_of(b'{"n": 1}') == b"{}"
    assert (figures_of(b'"mara"'), figures_of(b"oops"), figures_of(b"[" * 100_000)) == (b"null",) * 3


def test_a_line_that_still_names_somebody_says_in_which_fields() -> None:
    person = Person(["mara"])
    usage = a_usage("for mara", event={"operation": "of mara", "model": "x"})
    assert set(fields_naming(line_of(usage), person)) == {"event_id", "operation"}
    assert set(fields_naming(line_of(a_correction("for mara", usage)), person)) == {"event_id", "operation"}
    assert fields_naming(line_of(a_void("a", reason="mara said so")), person) == ["reason"]
    assert fields_naming(b"of mara, and no JSON", person) == ["record"]


def test_a_figure_is_nobodys_name() -> None:
    kept = KeptRows(["user_id", "input_text"], [[None, "4711"]])
    figures: dict[str, Any] = {"prompt_tokens": 4711}
    event = {"latency_ms": 4711, "usage": figures}
    usage = a_usage("a", event=event) | {"seq": 4711, "units": {"input_text": 4711}, "cost": "4711"}
    person = Person(["4711"])
    assert fields_naming(line_of(usage), person) == []
    assert fields_naming(line_of(a_change("expire", kept={"usage_by_user_day": kept})), person) == []
    kept.rows[0][0] = "4711"
    assert fields_naming(line_of(a_change("expire", kept={"usage_by_user_day": kept})), person) == ["kept"]
    figures["caller"] = 4711
    assert fields_naming(line_of(usage), person) == ["usage"]


ALONE = (
    "so sagt zoë.",
    "„zoë“",
    "zoë…",
    "zoë's",
    "—zoë—",
    "请问zoë在吗",
    "user:zoë",
    "zoe\u0308 once",
    "zoë\u00a0",
)
PARTS = ("zoëé", "àzoë", "zoëlle", "жzoë", "zoë-2", "ÿ.zoë", "zoe", "zo", "zoe\u0308\u0301")


@pytest.mark.parametrize("text", [*ALONE, *PARTS])
def test_letters_of_every_alphabet_belong_to_a_word(text: str) -> None:
    person = Person(["zoë"])
    for content in (json.dumps([text], ensure_ascii=False), text):
        assert (person.is_in_text(content), person.is_in(content.encode())) == (text in ALONE,) * 2
        found = duckdb.execute("SELECT regexp_matches(?, ?)", [content, person.pattern]).fetchall()
        assert found == [(text in ALONE,)]


@pytest.mark.parametrize(("name", "other"), [("zo", "zoë"), ("анна", "жанна"), ("νίκος", "νίκοςα")])
def test_a_name_is_not_found_in_a_longer_one_of_its_alphabet(name: str, other: str) -> None:
    assert not Person([name]).is_in(other.encode())
    assert Person([name]).is_in(name.encode())


def test_where_words_have_no_spaces_between_them_a_name_is_found_wherever_it_stands() -> None:
    assert Person(["张伟"]).is_in("请联系张伟谢谢".encode())
    assert Person(["أحمد"]).is_in("لأحمد".encode())


NAMING: dict[str, tuple[dict[str, Any], list[str] | None]] = {
    "the user": ({"user_id": "mara"}, []),
    "a tag": ({"tags": {"who": "mara", "team": "x"}}, ["who"]),
    "the message": ({"message": "mara"}, []),
    "a string in metadata": ({"metadata": {"a": ["mara"]}}, []),
    "the provider's usage": ({"usage": {"user": "mara"}}, []),
    "nobody": ({"user_id": "noor"}, None),
    "a longer name": ({"user_id": "maras", "message": "tamara said", "tags": {"who": "mara2"}}, None),
    "other identifiers that begin with it": (
        {"user_id": "mara-2", "session_id": "mara_b", "request_id": "mara@x.org", "message": "mara.b"},
        None,
    ),
    "other identifiers that end with it": (
        {"user_id": "x-mara", "session_id": "b_mara", "message": "to o.mara", "tags": {"who": "+mara"}},
        ["who"],
    ),
    "other identifiers alone": ({"user_id": "x-mara", "metadata": {"of": ["b.mara", "mara%2"]}}, None),
    "the end of a sentence": ({"message": "so said mara."}, []),
    "a name with its kind": ({"tags": {"who": "user:mara"}}, ["who"]),
    "a session of that name": ({"session_id": "mara"}, []),
    "a word of the message": ({"message": "then mara said"}, []),
    "a word of a tag": ({"tags": {"who": "for mara", "team": "x"}}, ["who"]),
    "a line of the message": ({"message": "so said\nmara"}, []),
    "a line in metadata": ({"metadata": {"note": "by\tmara"}}, []),
    "a figure of usage": (
        {"usage": {"prompt_tokens": 4711, "details": {"total_tokens": 4711}}, "latency_ms": 4711},
        None,
    ),
    "a number beside the figures": ({"usage": {"prompt_tokens": 3, "caller": 4711}}, []),
    "a field of usage": ({"usage": {"4711": {"tokens": 3}}}, []),
    "a number in metadata": ({"metadata": {"account": 4711}}, []),
    "a user that is no text": ({"user_id": 5, "tags": ["mara"]}, None),
}


@pytest.mark.parametrize(("event", "tags"), NAMING.values(), ids=NAMING)
def test_a_line_names_a_person_by_whole_words(event: dict[str, Any], tags: list[str] | None) -> None:
    usage = a_usage("a", event=event)
    person = Person(["other", "mara", "4711"])
    assert names_person(line_of(usage), person) == tags
    assert names_person(line_of(a_correction("a", usage)), person) == tags
    assert names_person(line_of(a_void("mara")), person) is None


ADDRESS = "jo@example.com"
OTHERS_ADDRESSES = ("mary-jo@example.com", "mary.jo@example.com", "jo@example.com.au", "x+jo@example.com")
TEXTS_OF_ADDRESS = (ADDRESS, f"<{ADDRESS}>", f"mail {ADDRESS}.", f"to\n{ADDRESS}, cc", f"--{ADDRESS}")


@pytest.mark.parametrize("text", TEXTS_OF_ADDRESS)
def test_a_mail_address_is_found_wherever_it_stands_alone(text: str) -> None:
    pattern = Person([ADDRESS]).pattern
    assert re.search(pattern, text)
    assert re.search(pattern, json.dumps({"note": text}))
    assert duckdb.execute("SELECT regexp_matches(?, ?)", [json.dumps([text]), pattern]).fetchall() == [
        (True,)
    ]


@pytest.mark.parametrize("text", OTHERS_ADDRESSES)
def test_a_mail_address_is_not_found_in_the_longer_one_of_somebody_else(text: str) -> None:
    pattern = Person([ADDRESS]).pattern
    assert not re.search(pattern, f"for {text} only")
    assert duckdb.execute("SELECT regexp_matches(?, ?)", [text, pattern]).fetchall() == [(False,)]
