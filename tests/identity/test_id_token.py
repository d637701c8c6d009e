"""The ID token: each rule of OpenID Connect Core 3.1.3.7, broken one at a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from bursar import clock
from bursar.errors import SignOnFailed
from bursar.identity.sign_on.id_token import (
    LEEWAY_SECONDS,
    Expected,
    UnknownSigner,
    read_id_token,
    read_keys,
)
from tests.support.openid_provider import make_key

NOW = clock.from_micros(1_800_000_000 * 1_000_000)
SECONDS = 1_800_000_000
KEY = make_key("first")
PUBLIC = KEY.as_dict(private=False)
KEYS = read_keys([PUBLIC])
EXPECTED = Expected("https://login.example.com", "bursar", "the-nonce", SECONDS - 30)
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example.com",
    "sub": "ada",
    "aud": "bursar",
    "exp": SECONDS + 300,
    "iat": SECONDS - 1,
    "nonce": "the-nonce",
}


def signed(claims: dict[str, Any] | None = None, key: Any = KEY, **header: Any) -> str:  # noqa: ANN401 - joserfc's
    head = {"alg": "RS256", "kid": "first", **header}
    return jwt.encode(head, {**CLAIMS, **(claims or {})}, key, algorithms=[head["alg"]])


def raw(header: dict[str, Any], signature: bytes = b"", claims: dict[str, Any] | None = None) -> str:
    parts = (json.dumps(header).encode(), json.dumps({**CLAIMS, **(claims or {})}).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def test_a_token_that_keeps_every_rule_counts() -> None:
    assert read_id_token(signed(), KEYS, EXPECTED, NOW)["sub"] == "ada"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["bursar"]},
        {"aud": ["bursar", "another"], "azp": "bursar"},
        {"azp": "bursar"},
        {"exp": SECONDS - LEEWAY_SECONDS + 1},
        {"iat": SECONDS - 30 - LEEWAY_SECONDS},
        {"email": "ada@example.com", "groups": ["a"]},
    ],
)
def test_it_counts_in_any_of_its_forms(claims: dict[str, Any]) -> None:
    assert read_id_token(signed(claims), KEYS, EXPECTED, NOW)["sub"] == "ada"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example.com"}, "iss"),
        ({"iss": "https://login.example.com/"}, "iss"),
        ({"iss": ["https://login.example.com"]}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["another", "third"], "azp": "bursar"}, "aud"),
        ({"aud": ["bursar", "another"]}, "azp"),
        ({"aud": ["bursar", "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"aud": []}, "aud"),
        ({"exp": SECONDS - LEEWAY_SECONDS}, "exp"),
        ({"exp": "never"}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": SECONDS + LEEWAY_SECONDS + 1}, "future"),
        ({"iat": SECONDS - 31 - LEEWAY_SECONDS}, "older than this login"),
        ({"iat": "today"}, "iat"),
        ({"nbf": SECONDS + LEEWAY_SECONDS + 1}, "not yet"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, "sub"),
    ],
)
def test_a_broken_rule_is_refused_and_named(claims: dict[str, Any], why: str) -> None:
    with pytest.raises(SignOnFailed, match=why):
        read_id_token(signed(claims), KEYS, EXPECTED, NOW)


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat", "nonce"])
def test_none_of_the_claims_may_be_left_out(claim: str) -> None:
    token = jwt.encode(
        {"alg": "RS256", "kid": "first"}, {name: CLAIMS[name] for name in CLAIMS if name != claim}, KEY
    )
    with pytest.raises(SignOnFailed, match=claim):
        read_id_token(token, KEYS, EXPECTED, NOW)


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_alg_none_is_no_signature(name: str) -> None:
    with pytest.raises(SignOnFailed):
        read_id_token(raw({"alg": name, "kid": "first"}), KEYS, EXPECTED, NOW)


def test_a_public_key_is_no_secret() -> None:
    """HS256 with the provider's public key, which everybody has, as the secret: in each of its encodings."""
    for secret in (KEY.as_pem(private=False), KEY.as_der(private=False), json.dumps(PUBLIC).encode()):
        header = {"alg": "HS256", "kid": "first"}
        unsigned = raw(header).rpartition(".")[0]
        mac = hmac.digest(secret, unsigned.encode(), hashlib.sha256)
        with pytest.raises(SignOnFailed):
            read_id_token(raw(header, mac), KEYS, EXPECTED, NOW)


def test_a_secret_among_the_published_keys_signs_nothing() -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    keys = read_keys([secret.as_dict(private=True), PUBLIC])
    with pytest.raises((SignOnFailed, UnknownSigner)):
        read_id_token(signed(key=secret, alg="HS256", kid="shared"), keys, EXPECTED, NOW)


def test_a_token_of_another_key_of_the_same_name_is_refused() -> None:
    with pytest.raises(SignOnFailed):
        read_id_token(signed(key=make_key("first")), KEYS, EXPECTED, NOW)


def test_a_key_that_comes_with_the_token_is_not_looked_at() -> None:
    own = make_key("own")
    with pytest.raises(SignOnFailed):
        read_id_token(signed(key=own, jwk=own.as_dict(private=False)), KEYS, EXPECTED, NOW)


def test_an_unknown_key_is_told_apart() -> None:
    with pytest.raises(UnknownSigner):
        read_id_token(signed(kid="second"), KEYS, EXPECTED, NOW)


def test_a_token_without_a_key_id_is_read_where_there_is_one_key() -> None:
    token = jwt.encode({"alg": "RS256"}, CLAIMS, KEY)
    assert read_id_token(token, KEYS, EXPECTED, NOW)["sub"] == "ada"
    with pytest.raises(UnknownSigner):
        read_id_token(token, KeySet([*KEYS.keys, make_key("second")]), EXPECTED, NOW)


@pytest.mark.parametrize("kind", ["at+jwt", "logout+jwt", "dpop+jwt"])
def test_what_else_a_provider_signs_is_no_id_token(kind: str) -> None:
    with pytest.raises(SignOnFailed, match="another kind"):
        read_id_token(signed(typ=kind), KEYS, EXPECTED, NOW)


def test_an_unknown_critical_header_is_refused() -> None:
    token = signed()
    head = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": "first", "crit": ["x"]}).encode())
    with pytest.raises(SignOnFailed):
        read_id_token(".".join([head.decode().rstrip("="), *token.split(".")[1:]]), KEYS, EXPECTED, NOW)


def test_the_access_token_beside_it_must_be_the_one_that_it_names() -> None:
    half = hashlib.sha256(b"given").digest()[:16]
    token = signed({"at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode()})
    asked = Expected(EXPECTED.issuer, "bursar", "the-nonce", SECONDS, "given")
    assert read_id_token(token, KEYS, asked, NOW)
    with pytest.raises(SignOnFailed, match="at_hash"):
        read_id_token(token, KEYS, Expected(EXPECTED.issuer, "bursar", "the-nonce", SECONDS, "other"), NOW)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "....", "e30.e30.e30", "\ud800.x.y", "eyJhbGciOiJSUzI1NiJ9." + "A" * 200_000],
)
def test_what_is_no_token_is_refused_and_no_fault(token: str) -> None:
    with pytest.raises((SignOnFailed, UnknownSigner)):
        read_id_token(token, KEYS, EXPECTED, NOW)


@pytest.mark.parametrize("payload", [b"[]", b"7", b"[" * 50_000, b"{", b'{"iss": NaN}', b"\xff"])
def test_claims_that_are_none_are_refused(payload: bytes) -> None:

    token = jws.serialize_compact({"alg": "RS256", "kid": "first"}, payload, KEY)
    with pytest.raises(SignOnFailed):
        read_id_token(token, KEYS, EXPECTED, NOW)


def test_only_keys_that_may_sign_are_read() -> None:
    curve = ECKey.generate_key("P-256", {"kid": "curve"})
    odd: list[object] = [
        PUBLIC,
        curve.as_dict(private=False),
        {**PUBLIC, "kid": "sealing", "use": "enc"},
        {**PUBLIC, "kid": "short", "n": str(PUBLIC["n"])[:171]},
        {"kty": "RSA", "n": 7, "e": "AQAB"},
        {"kty": "future", "kid": "new"},
        {"kty": []},
        "no key",
        None,
        RSAKey.generate_key(2048, {"kid": "private"}).as_dict(private=True),
    ]
    assert [key.kid for key in read_keys(odd).keys] == ["first", "curve"]
