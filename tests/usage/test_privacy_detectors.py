"""What detectors find and what they leave: keys, cards, accounts, addresses, numbers; never ids and times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bursar.ids import make_secret
from bursar.usage.json_shape import is_list, is_object
from bursar.usage.privacy.detectors import DETECTORS, is_card
from bursar.usage.privacy.own_patterns import spans_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLW9mLWl0"

FOUND = {
    "key": [
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-AAAAAAAAAAAAAAAAAAAA-bbbb",
        "sk_live_51HAbCdEfGhIjKlMnOpQr",
        "bur_abcdefghijklmnopqrstuvwxyz012345",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0aBcDeFgHiJkL_1234567890",
        "xoxb-123456789012-abcdefABCDEF",
        "hf_abcdefghijklmnopqrstuvwxyzABCDEF",
        "gsk_abcdefghijklmnopqrst1234567890",
        JWT,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    ],
    "card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "378282246310005",
        "3782 822463 10005",
        "4111.1111.1111.1111",
        "4111\u00a01111\u00a01111\u00a01111",
        "\uff14\uff11\uff11\uff11" + "\uff11" * 12,
    ],
    "iban": [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "NO9386011117947",
        "AT611904300234573201",
    ],
    "email": [
        "jane.doe@example.com",
        "JANE+bursar@mail.example.co.uk",
        "jane%40example.com",
        "o'neil@example.org",
        "jürgen@müller.de",
        "jane.doe\uff20example.com",
    ],
    "phone": [
        "+4917123456789",
        "+49 (0)171 2345678",
        "+\u0664\u0669\u0661\u0667\u0661\u0662\u0663\u0664\u0665\u0666",
        "+1 212-555-1234",
        "(212) 555-1234",
        "212-555-1234",
        "0171 2345678",
        "06 12 34 56 78",
        "020 7946 0958",
        "0049 171 2345678",
    ],
    "random": ["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ"],
}
LEFT = {
    "key": [
        "sk-learn-pipeline-2026-11",
        "task-management-system-of-the-house",
        "risk-assessment-2026-quarter-3",
        "hf_internal_testing_tiny",
        "the bearer of this letter",
        "password",
        "api_key:",
        "https://example.com:8080/a@b",
    ],
    "card": [
        "1763779200000000",  # microseconds since 1970
        "1763779200000",
        "1763779200000000000",
        "4111111111111112",  # Luhn says no
        "9999999999999995",  # nobody issues those
        "0.4111111111111111",
        "3f2a4111-1111-1111-1111-111111111111",
        "41111111111111111111",
    ],
    "iban": ["DE89370400440532013001", "AB12 CDEF GHIJ", "ABCD1234EFGH5678"],
    "email": [
        "lodash@4.17.21",
        "@team",
        "at 12:30 @ the office",
        "claude-sonnet-4@20250514",
        "user@localhost",
    ],
    "phone": [
        "2026-11-22T02:30:17+0100",
        "02-11-2026 10:30:00",
        "22/11/2026",
        "2026-11-22",
        "1763779200",
        "192.168.100.1000",
        "10.0.0.1",
        "1.2.3",
        "3f2a4b1c-0049-4917-8123-456789012345",
        "chatcmpl-0171234567890",
        "order 00123456789012",
        "1e+1234567890",
        "0.0171 2345678",
    ],
    "random": [
        "3f2a4b1c0049491781234567890123453f2a4b1c",
        "chatcmpl-9XyZAbCdEfGhIjKlMnOpQrStUvWx12",
        "req_011CSHoEeqs5C35K2UUqR7FyAbCdEfGh12",
        "the-quick-brown-fox-jumps-over-the-lazy-dog",
    ],
}


def found_in(name: str, text: str) -> list[str]:
    return [text[start:end] for start, end in DETECTORS[name].spans(text)]


@pytest.mark.parametrize(("name", "secret"), [(name, one) for name, some in FOUND.items() for one in some])
def test_what_it_looks_for_is_found_whole_and_alone(name: str, secret: str) -> None:
    assert found_in(name, secret) == [secret]
    assert found_in(name, f"it was {secret}, they said") == [secret]


@pytest.mark.parametrize(("name", "text"), [(name, one) for name, some in LEFT.items() for one in some])
def test_what_only_looks_like_it_is_left(name: str, text: str) -> None:
    assert found_in(name, text) == []


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdefghijklmnop1", "abcdefghijklmnop1"),
        ("postgresql://bursar:hunter2@db/x", "hunter2"),
        ("password = 'hunter22'", "hunter22"),
        ('{"api_key": "abcdef-123"}', "abcdef-123"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI/K7MDENG"),
        ("AccountName=x;AccountKey=abcdEFGH1234==;Endpoint=y", "abcdEFGH1234=="),
        ("access_token=abcdefgh12", "abcdefgh12"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA=="),
    ],
)
def test_of_what_says_itself_that_it_is_a_secret_only_the_secret_is_found(text: str, secret: str) -> None:
    found = [text[start:end] for start, end in DETECTORS["key"].spans(text)]

    assert found == [secret] or found == [f":{secret}"[1:]]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("card", "4111 1111 1111 1111 123, valid 12/27", "4111 1111 1111 1111"),
        ("card", "order 1234 4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("iban", "BE68539007547034 PAID", "BE68539007547034"),
        ("iban", "AT61 1904 3002 3457 3201 EUR 100", "AT61 1904 3002 3457 3201"),
        ("iban", "AB12 CDEF AT611904300234573201", "AT611904300234573201"),
        ("email", "jane@example.com_2026", "jane@example.com"),
        ("email", "jane@example.com-1", "jane@example.com"),
    ],
)
def test_what_stands_beside_it_hides_nothing(name: str, text: str, found: str) -> None:
    assert found_in(name, text) == [found]


def test_a_key_of_our_own_is_found() -> None:
    assert all(found_in("key", secret) == [secret] for secret in (make_secret("bur") for _ in range(200)))


def test_every_spelling_of_one_number_or_address_is_the_same() -> None:
    normal = {name: one.normal for name, one in DETECTORS.items()}

    assert normal["email"]("Jane%40Example.com") == normal["email"]("jane@example.com")
    assert normal["card"]("\uff14111") == "4111"
    assert normal["phone"]("+49 171 23-45") == normal["phone"]("+491712345")
    assert normal["card"]("4111-1111 1111 1111") == "4111111111111111"


def test_cards_have_an_issuer_a_length_and_luhns_check() -> None:
    assert is_card("6011111111111117")
    assert not is_card("6011111111111118")
    assert not is_card("411111111111111")


def test_nothing_of_real_answers_is_taken_for_a_key_a_card_an_account_or_a_number() -> None:
    """More than 30,000 names, ids, models, times and words of providers' recorded answers."""
    texts = [
        text for path in sorted(FIXTURES.rglob("*.json")) for text in texts_of(json.loads(path.read_text()))
    ]
    found = [
        (name, one)
        for name in ("key", "card", "iban", "phone")
        for text in texts
        for one in found_in(name, text)
    ]

    assert len(texts) > 10_000
    assert found == []


def texts_of(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Texts of at most 300 characters, names of fields, and numbers."""
    if is_object(value):
        for name, one in value.items():
            yield name
            yield from texts_of(one)
    elif is_list(value):
        for one in value:
            yield from texts_of(one)
    elif isinstance(value, str) and len(value) <= 300:
        yield value
    elif type(value) is int:
        yield str(value)


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "1", "0 12", "+1", "@", "a@", "a.", "@a.", " 0", "00", "(", "4111 ", "eyJaaaaaaaa-", "-eyJ"),
        *("sk-", "://a:", "-----BEGIN PRIVATE KEY-----", "DE89", "bearer ", "password=", "%40", "\u00e9"),
        *(
            "AB12 ",
            "AB12",
            "4111 1111 ",
            "1234.",
            "authorization: basic ",
            "access key:",
            "\uff14",
            "a\uff20a.",
        ),
    ],
)
@pytest.mark.timeout(60)
def test_the_longest_text_is_looked_through_in_a_moment(piece: str) -> None:
    text = (piece * (65_536 // len(piece) + 1))[:65_536]

    for one in DETECTORS.values():
        list(one.spans(text))


@pytest.mark.timeout(60)
def test_patterns_that_would_take_forever_elsewhere_take_linear_time() -> None:
    spans = spans_of(r"(a+)+$")

    assert list(spans("a" * 50_000 + "b")) == []


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "(a{1,1000}){1,1000}", "a*", ""])
def test_a_pattern_that_can_t_be_used_says_why(pattern: str) -> None:
    with pytest.raises(ValueError, match=r".{5,}"):
        spans_of(pattern)


def test_places_in_a_text_are_counted_in_characters() -> None:
    text = "\U0001f600 é E-123456 \ud800 E-654321"

    assert [text[start:end] for start, end in spans_of("E-[0-9]{6}")(text)] == ["E-123456", "E-654321"]
