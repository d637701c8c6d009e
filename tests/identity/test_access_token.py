"""Access tokens: what is read is what was signed here, with the one algorithm, and not too long ago."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from bursar.errors import BadToken, ExpiredToken
from bursar.identity.logins.access_token import AccessClaims, SigningKeys, is_token, read, sign
from tests.support.identity import NOON, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEYS = SigningKeys.of("a secret of more than thirty-two characters")
CLAIMS = AccessClaims("usr_1", "ses_1", NOON + timedelta(minutes=15))
TOKEN = sign(KEYS, CLAIMS, NOON)
HEADER = jwt.get_unverified_header(TOKEN)
CONTENT: dict[str, Any] = json.loads(base64.urlsafe_b64decode(TOKEN.split(".")[1] + "=="))


def encoded(part: Mapping[str, Any] | bytes) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def forged(
    header: Mapping[str, Any],
    content: Mapping[str, Any],
    key: bytes,
    digest: Callable[..., Any] = hashlib.sha256,
) -> str:
    signed = f"{encoded(header)}.{encoded(content)}"
    return f"{signed}.{encoded(hmac.new(key, signed.encode(), digest).digest())}"


def test_what_was_signed_is_read_until_its_last_moment() -> None:
    assert is_token(TOKEN)
    assert read(KEYS, TOKEN, NOON) == CLAIMS
    assert read(KEYS, TOKEN, CLAIMS.expires_at - SECOND) == CLAIMS
    with pytest.raises(ExpiredToken):
        read(KEYS, TOKEN, CLAIMS.expires_at)


def test_a_token_is_short_enough_for_any_header_and_tells_nothing_of_the_secret() -> None:
    assert len(TOKEN) < 512
    assert set(CONTENT) == {"iss", "sub", "sid", "iat", "exp"}


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_with_algorithm_none_is_refused(name: str) -> None:
    unsigned = f"{encoded({**HEADER, 'alg': name})}.{encoded(CONTENT)}."
    assert is_token(unsigned)
    for token in (unsigned, unsigned + TOKEN.rpartition(".")[2]):
        with pytest.raises(BadToken):
            read(KEYS, token, NOON)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_the_right_key(algorithm: str) -> None:
    digest = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    with pytest.raises(BadToken):
        read(KEYS, forged({**HEADER, "alg": algorithm}, CONTENT, KEYS.current, digest), NOON)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA", "HS257", 7, None])
def test_an_algorithm_that_the_header_names_is_never_followed(algorithm: object) -> None:
    with pytest.raises(BadToken):
        read(KEYS, forged({**HEADER, "alg": algorithm}, CONTENT, KEYS.current), NOON)


def test_a_changed_content_is_refused() -> None:
    head, _, signature = TOKEN.split(".")
    changed = encoded({**CONTENT, "sub": "usr_2"})
    with pytest.raises(BadToken):
        read(KEYS, f"{head}.{changed}.{signature}", NOON)


@pytest.mark.parametrize("missing", ["iss", "sub", "sid", "iat", "exp"])
def test_a_token_without_one_of_its_claims_is_refused(missing: str) -> None:
    content = {name: value for name, value in CONTENT.items() if name != missing}
    with pytest.raises(BadToken):
        read(KEYS, forged(HEADER, content, KEYS.current), NOON)


@pytest.mark.parametrize(
    "content",
    [
        {**CONTENT, "exp": "never"},
        {**CONTENT, "exp": 10**30},
        {**CONTENT, "exp": -(10**30)},
        {**CONTENT, "exp": None},
        {**CONTENT, "iss": "someone"},
        {**CONTENT, "sub": 7},
    ],
)
def test_a_claim_that_makes_no_sense_is_refused_even_if_signed(content: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        read(KEYS, forged(HEADER, content, KEYS.current), NOON)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "eyJ..", "eyJ.eyJ.eyJ", "a.b.c", "eyJ\x00.x.y", "eyJ" + "9" * 400 + ".x.y"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        read(KEYS, text, NOON)


def test_a_token_of_another_secret_is_refused_whatever_key_it_names() -> None:
    other = SigningKeys.of("another secret of more than thirty-two characters")
    with pytest.raises(BadToken):
        read(KEYS, sign(other, CLAIMS, NOON), NOON)
    with pytest.raises(BadToken):
        read(KEYS, forged(HEADER, CONTENT, other.current), NOON)


def test_the_previous_secret_is_read_while_it_is_named_and_the_new_one_signs() -> None:
    rotated = SigningKeys.of(
        "another secret of more than thirty-two characters", "a secret of more than thirty-two characters"
    )
    assert read(rotated, TOKEN, NOON) == CLAIMS
    renewed = sign(rotated, CLAIMS, NOON)
    assert read(rotated, renewed, NOON) == CLAIMS
    with pytest.raises(BadToken):
        read(KEYS, renewed, NOON)


def test_the_secret_itself_signs_nothing() -> None:
    secret = b"a secret of more than thirty-two characters"
    with pytest.raises(BadToken):
        read(KEYS, forged(HEADER, CONTENT, secret), NOON)


def test_api_keys_are_no_tokens() -> None:
    assert not is_token("bur_abc.def.ghi")
    assert not is_token("eyJust-a-key")
