"""Rules carried out on events: what is taken out, what is left, and that figures never change."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.usage.event import UsageEvent
from bursar.usage.privacy.cleaner import DEFAULT_CLEANER, Cleaner
from bursar.usage.privacy.detectors import DETECTORS
from bursar.usage.privacy.glance import HARMLESS_LIMIT
from bursar.usage.privacy.hashing import Hasher
from bursar.usage.privacy.quotes import without_quotes
from bursar.usage.privacy.rules import Act, FieldAct, OwnPattern, PrivacyRules, TextChoice
from bursar.usage.record import encode_event
from tests.usage.test_privacy_detectors import FOUND

HASHER = Hasher("a key that only this test has")
TEXT = "my grandmother's recipe for plum cake"


def cleaner(**rules: Any) -> Cleaner:  # noqa: ANN401 - PrivacyRules' own
    return Cleaner(PrivacyRules(**rules), HASHER)


def all_detectors(act: Act) -> dict[str, Act]:
    return dict.fromkeys(DETECTORS, act)


def test_an_event_without_anything_to_take_out_is_left_alone() -> None:
    event = UsageEvent(
        tags={"team": "search"}, metadata={"ticket": 4711, "locale": "de", "deep": {"a": [1, "x"]}}
    )
    before = encode_event(event)

    assert DEFAULT_CLEANER.is_clean(event)
    assert DEFAULT_CLEANER.clean(event) is None
    assert encode_event(event) == before


@pytest.mark.parametrize(
    "name",
    [
        *("prompt", "Prompt", "system_prompt", "systemPrompt", "messages", "input", "output", "completion"),
        *(
            "completions",
            "response",
            "response-text",
            "content",
            "choices",
            "tool_calls",
            "arguments",
            "text",
        ),
        *("gen_ai.prompt", "gen_ai.prompt.0.content", "gen_ai.completion.0.content", "gen_ai.input.messages"),
        *(
            "gen_ai.output.messages",
            "gen_ai.system_instructions",
            "gen_ai.tool.call.arguments",
            "llm.prompts.0",
        ),
        *("input.value", "output.value", "llm.input_messages.0.message.content", "traceloop.entity.input"),
        *(
            "prompt.0",
            "messages[0]",
            "prompt_2",
            "ls:prompt",
            "langfuse/input",
            "negative_prompt",
            "raw_prompt",
        ),
        *("model_response", "\uff50\uff52\uff4f\uff4d\uff50\uff54"),
    ],
)
def test_text_of_prompts_and_answers_goes_by_its_name_wherever_it_stands(name: str) -> None:
    event = UsageEvent(
        tags={name: TEXT, "team": "a"},
        metadata={name: TEXT, "ticket": 1, "deep": [{name: [{"role": "user", "said": TEXT}]}]},
        usage={name: TEXT, "details": {name: {"tokens": 5, "said": TEXT}}, "prompt_tokens": 7},
    )

    assert not DEFAULT_CLEANER.is_clean(event)
    cleaned = DEFAULT_CLEANER.clean(event)

    assert TEXT.encode() not in encode_event(event)
    assert event.tags == {"team": "a"}
    assert event.metadata == {"ticket": 1, "deep": [{}]}
    assert event.usage == {"details": {name: {"tokens": 5}}, "prompt_tokens": 7}
    assert cleaned is not None
    assert set(cleaned.counts) == {"text"}


@pytest.mark.parametrize(
    "name",
    [
        *("prompt_version", "input_tokens", "output_format", "prompt_tokens", "completion_reason", "context"),
        *("prompt_v2", "valid_token", "max_tokens", "key_id", "api_key_id", "prompt_tokens_details", "0"),
    ],
)
def test_names_that_only_begin_alike_are_left(name: str) -> None:
    event = UsageEvent(metadata={name: "v3"}, tags={name: "v3"})

    assert DEFAULT_CLEANER.is_clean(event)
    assert DEFAULT_CLEANER.clean(event) is None


def test_a_figure_under_a_text_s_name_is_no_text() -> None:
    event = UsageEvent(metadata={"input": 12, "output": 0.5, "response": True, "messages": None})

    assert DEFAULT_CLEANER.clean(event) is None


def test_text_stays_where_the_tenant_turned_it_on() -> None:
    event = UsageEvent(metadata={"prompt": TEXT})

    assert cleaner(text=TextChoice.KEEP).clean(event) is None
    assert event.metadata == {"prompt": TEXT}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "password",
            "api_key",
            "apiKey",
            "Authorization",
            "x-api-key",
            "client_secret",
            "AZURE_OPENAI_API_KEY",
        ),
        *("db_password", "aws_secret_access_key", "session_token", "api_key_2", "headers.authorization"),
    ],
)
def test_what_is_called_a_secret_is_one_however_it_looks(name: str) -> None:
    event = UsageEvent(metadata={"a": {name: "hunter2"}}, tags={name: "hunter2"})

    assert not DEFAULT_CLEANER.is_clean(event)
    DEFAULT_CLEANER.clean(event)

    assert event.metadata == {"a": {name: "[redacted:key]"}}
    assert event.tags == {name: "[redacted:key]"}


def test_a_secret_of_figures_is_one_too_but_a_flag_is_none() -> None:
    event = UsageEvent(metadata={"password": 271828, "has_password": True, "secret": None})

    DEFAULT_CLEANER.clean(event)

    assert event.metadata == {"password": "[redacted:key]", "has_password": True, "secret": None}


def test_a_provider_s_usage_object_keeps_no_secret_by_its_name_and_no_text_as_a_name() -> None:
    key = FOUND["key"][0]
    told = {"audio": 2, TEXT: 3, key: {"n": 4}, "deep": [{TEXT: 5, "n": 6}]}
    event = UsageEvent(usage={"input": told, "api_key": "0123456789abcdef", "secret_tokens": 7})

    DEFAULT_CLEANER.clean(event)

    assert event.usage == {
        "input": {"audio": 2, "deep": [{"n": 6}]},
        "api_key": "[redacted:key]",
        "secret_tokens": 7,
    }


def test_keys_go_by_default_and_other_things_by_choice() -> None:
    key, card = "AKIAIOSFODNN7EXAMPLE", "4111111111111111"
    event = UsageEvent(metadata={"note": f"{key} and {card}", key: 1}, tags={"k": key})

    DEFAULT_CLEANER.clean(event)

    assert event.metadata == {"note": f"[redacted:key] and {card}", "[redacted:key]": 1}
    assert event.tags == {"k": "[redacted:key]"}


@pytest.mark.parametrize("act", [Act.MARK, Act.HASH, Act.DROP])
def test_each_act_leaves_what_it_says(act: Act) -> None:
    expected = {
        Act.MARK: {"to": "[redacted:email] please", "ids": ["[redacted:email]", 1], "n": 1},
        Act.HASH: {
            "to": f"{HASHER.mark('email', 'ada@x.org')} please",
            "ids": [HASHER.mark("email", "ada@x.org"), 1],
            "n": 1,
        },
        Act.DROP: {"ids": [1], "n": 1},
    }
    event = UsageEvent(metadata={"to": "ada@x.org please", "ids": ["Ada@X.org", 1], "n": 1})

    cleaned = cleaner(detectors={"email": act}).clean(event)

    assert event.metadata == expected[act]
    assert cleaned is not None
    assert cleaned.counts == {"email": 2}
    assert cleaned.is_guessable


def test_a_mark_stands_where_there_is_no_key_for_hashes() -> None:
    event = UsageEvent(metadata={"to": "ada@x.org"})

    Cleaner(PrivacyRules(detectors={"email": Act.HASH})).clean(event)

    assert event.metadata == {"to": "[redacted:email]"}


def test_names_that_become_one_mark_are_kept_apart() -> None:
    event = UsageEvent(tags={"ada@x.org": "1", "bob@x.org": "2"})

    cleaner(detectors={"email": Act.MARK}).clean(event)

    assert sorted((event.tags or {}).values()) == ["1", "2"]


def test_a_card_is_one_as_a_number_too_but_never_among_figures_of_usage() -> None:
    card = 4111111111111111
    event = UsageEvent(metadata={"card": card, "at": 1763779200000000}, usage={"total": card})

    assert not cleaner(detectors={"card": Act.MARK}).is_clean(UsageEvent(metadata={"card": card}))
    cleaner(detectors={"card": Act.MARK}).clean(event)

    assert event.metadata == {"card": "[redacted:card]", "at": 1763779200000000}
    assert event.usage == {"total": card}


def test_a_key_among_the_parameters_of_an_endpoint_goes_without_any_choice() -> None:
    address = "https://example.com/v1/models?key="
    event = UsageEvent(endpoint=address + "AIzaSyA1234567890abcdefghijklmnopqrstuv")
    plain = UsageEvent(endpoint="/v1/chat/completions")

    assert not DEFAULT_CLEANER.quick_look(event)
    assert DEFAULT_CLEANER.quick_look(plain)
    assert DEFAULT_CLEANER.quick_look(plain)  # The second time it is remembered.
    DEFAULT_CLEANER.clean(event)

    assert event.endpoint == address + "[redacted:key]"
    assert DEFAULT_CLEANER.clean(plain) is None
    assert not cleaner(fields={"endpoint": FieldAct.DROP}).quick_look(plain)


def test_own_patterns_find_numbers_that_came_without_quotation_marks() -> None:
    rules = cleaner(
        patterns=(OwnPattern("staff", r"\b[0-9]{6}\b", Act.HASH), OwnPattern("pin", "^7$", Act.DROP))
    )
    event = UsageEvent(
        metadata={"a": 123456, "b": "123456", "deep": [{"c": 123456}, 7], "d": 12345, "e": True},
        usage={"prompt_tokens": 123456},
    )

    assert not rules.is_clean(event)
    rules.clean(event)

    mark = HASHER.mark("staff", "123456")
    assert event.metadata == {"a": mark, "b": mark, "deep": [{"c": mark}], "d": 12345, "e": True}
    assert event.usage == {"prompt_tokens": 123456}


def test_marks_never_make_a_text_longer_than_an_event_may_be() -> None:
    event = UsageEvent(metadata={"a": "x " * 30_000})

    cleaner(patterns=(OwnPattern("every", "x", Act.MARK),)).clean(event)

    assert event.metadata == {"a": "[redacted:every]"}


def test_only_listed_metadata_and_tags_are_kept_where_there_is_a_list() -> None:
    rules = cleaner(allowed_metadata=frozenset({"ticket"}), allowed_tags=frozenset({"team"}))
    event = UsageEvent(
        metadata={"ticket": {"any": "thing"}, "who": "ada"}, tags={"team": "a", "x": "y", "z": ""}
    )

    assert not rules.is_clean(event)
    cleaned = rules.clean(event)

    assert (event.metadata, event.tags) == ({"ticket": {"any": "thing"}}, {"team": "a"})
    assert cleaned is not None
    assert cleaned.counts == {"allow_list": 3}
    assert rules.is_clean(event)


def test_nothing_is_kept_where_the_list_is_empty() -> None:
    event = UsageEvent(metadata={"a": 1})

    cleaner(allowed_metadata=frozenset()).clean(event)

    assert event.metadata is None


def test_fields_are_looked_at_hashed_or_dropped_as_chosen() -> None:
    fields = {"user_id": FieldAct.FIND, "session_id": FieldAct.HASH, "request_id": FieldAct.DROP}
    rules = cleaner(detectors={"email": Act.HASH}, fields=fields)
    event = UsageEvent(user_id="ada@x.org", session_id="s-1", request_id="r-1", trace_id="ada@x.org")

    assert not rules.is_clean(event)
    rules.clean(event)

    assert event.user_id == HASHER.mark("email", "ada@x.org")
    assert event.session_id == HASHER.mark("session_id", "s-1")
    assert (event.request_id, event.trace_id) == (None, "ada@x.org")


def test_own_patterns_are_looked_for_beside_the_detectors() -> None:
    rules = cleaner(
        patterns=(OwnPattern("employee", r"\bE-[0-9]{6}\b", Act.MARK), OwnPattern("off", "x", Act.OFF))
    )
    event = UsageEvent(metadata={"by": "E-123456 x"})

    assert not rules.is_clean(event)
    rules.clean(event)

    assert event.metadata == {"by": "[redacted:employee] x"}


def test_tags_stay_within_their_limits_when_marks_are_longer() -> None:
    name, value = "a@x.org " * 7, "a@x.org " * 31
    event = UsageEvent(tags={name: value})

    cleaner(detectors={"email": Act.HASH}).clean(event)

    msgspec.json.decode(encode_event(event), type=UsageEvent)


def test_what_stands_for_a_person_can_be_found_by_what_they_go_by() -> None:
    event = UsageEvent(metadata={"to": "Ada@x.org", "tel": "+49 171 2345678"}, session_id="Ada")
    rules = cleaner(detectors={"email": Act.HASH, "phone": Act.HASH}, fields={"session_id": FieldAct.HASH})
    rules.clean(event)
    kept = encode_event(event).decode()

    for one in ("ADA@x.org", "+491712345678", "Ada"):
        assert any(pseudonym in kept for pseudonym in HASHER.pseudonyms([one])), one
    assert not any(pseudonym in kept for pseudonym in HASHER.pseudonyms(["bob@x.org", "ada"]))


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("The model 'gpt-9' does not exist", "The model 'gpt-9' does not exist"),
        ("You can't do that, it's closed", "You can't do that, it's closed"),
        (f'Your request "{TEXT}" was refused', 'Your request "[text]" was refused'),
        (f"Your request '{TEXT}' was refused", "Your request '[text]' was refused"),
        (f"Invalid prompt: {TEXT}", "Invalid prompt: [text]"),
        (f"could not parse input={TEXT}", "could not parse input=[text]"),
        (f'cut off: "{TEXT}', 'cut off: "[text]'),
        ("Unknown name 'Ada Byron'", "Unknown name '[text]'"),
        (f"Anfrage „{TEXT}“ abgelehnt", "Anfrage „[text]“ abgelehnt"),
        (f"refused: \u2018{TEXT}\u2019", "refused: \u2018[text]\u2019"),
        ("Invalid value '请帮我写一首关于我祖母的诗'", "Invalid value '[text]'"),
        ("エラー「祖母のケーキを焼いて」は「gpt-4」で拒否", "エラー「[text]」は「gpt-4」で拒否"),
        (f"failed on text: {TEXT}", "failed on text: [text]"),
    ],
)
def test_an_error_keeps_its_words_without_what_it_quotes(message: str, kept: str) -> None:
    assert without_quotes(message) == kept


NAMES = st.sampled_from(["note", "a", "ticket", "user", "details", "x.y"])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
LEAVES = st.one_of(TEXTS, st.integers(-(10**12), 10**12), st.booleans(), st.none())


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, UsageEvent]:
    """A secret, and an event that has it somewhere in its metadata, tags, message, usage or user id."""
    secret = draw(st.sampled_from([one for name, some in FOUND.items() if name != "random" for one in some]))
    said = f"{draw(TEXTS)} {secret} {draw(TEXTS)}"
    value: Any = draw(st.sampled_from([said, [said], {"in": said}, {said: 1}, [{"a": [said, 1]}]]))
    metadata = draw(st.dictionaries(NAMES, LEAVES, max_size=3)) | {draw(NAMES): value}
    units: dict[str, int | Decimal] = {"input_text": draw(st.integers(0, 10**6)), "seconds": Decimal("1.5")}
    event = UsageEvent(event_id="e", provider="openai", model="gpt-5", units=units, input_tokens=None)
    where = draw(st.sampled_from(["metadata", "tags", "message", "usage", "user_id"]))
    if where == "metadata":
        event.metadata = metadata
    elif where == "tags":
        event.tags = {"a": said[:256]} if secret in said[:256] else {"a": secret}
    elif where == "usage":
        event.usage = {"prompt_tokens": 5, "details": metadata}
    else:
        setattr(event, where, f" {secret} ")
    return secret, event


@given(planted())
def test_a_planted_secret_never_survives_and_no_figure_changes(found: tuple[str, UsageEvent]) -> None:
    secret, event = found
    rules = cleaner(detectors=all_detectors(Act.HASH), fields={"user_id": FieldAct.FIND})
    figures = (event.units, event.provider, event.model, event.event_id)
    quick = event.message is None and event.usage is None and rules.is_clean(event)

    cleaned = rules.clean(event)

    kept = msgspec.json.decode(encode_event(event))
    assert secret not in str(kept)
    assert cleaned is not None
    assert not quick
    assert (event.units, event.provider, event.model, event.event_id) == figures
    assert event.usage is None or event.usage["prompt_tokens"] == 5
    # Marks are no secrets: a second time nothing is found.
    assert rules.clean(event) is None


@given(
    st.dictionaries(NAMES, st.recursive(LEAVES, lambda some: st.lists(some) | st.dictionaries(NAMES, some)))
)
def test_what_is_said_to_be_clean_is_left_as_it_is_and_nothing_else_is(metadata: dict[str, Any]) -> None:
    rules = cleaner(detectors=all_detectors(Act.MARK), patterns=(OwnPattern("digit", "[0-9]{3}", Act.MARK),))
    event = UsageEvent(metadata=metadata)
    before, is_clean = encode_event(event), rules.is_clean(event)

    cleaned = rules.clean(event)

    assert is_clean == (cleaned is None)
    # What is empty isn't kept, which changes nothing for who reads it.
    assert not is_clean or not metadata or encode_event(event) == before


def test_harmless_names_by_the_thousand_hide_no_other() -> None:
    one = Cleaner(PrivacyRules())
    for number in range(2 * HARMLESS_LIMIT):
        assert one.is_clean(UsageEvent(metadata={f"n{number}": 1}, tags={f"t{number}": "x"}))

    assert one.is_clean(UsageEvent(metadata={"n8000": 1}))
    assert not one.is_clean(UsageEvent(metadata={"n8000": 1, "prompt": TEXT}))
    assert not one.is_clean(UsageEvent(tags={"t8000": "x", "prompt": TEXT}))


def test_counts_say_how_often_and_never_what() -> None:
    counts = Counter[str]()

    text = cleaner(detectors={"email": Act.MARK}).clean_text("a@x.org, b@x.org, AKIAIOSFODNN7EXAMPLE", counts)

    assert text == "[redacted:email], [redacted:email], [redacted:key]"
    assert counts == {"email": 2, "key": 1}
