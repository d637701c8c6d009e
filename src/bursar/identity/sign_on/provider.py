"""What the OpenID provider is asked: how it is reached, by which keys it signs, what a code is worth.

It is asked when somebody logs in and never at start, so that Bursar starts while it is away. What it says of
itself is believed for some minutes; a token by a key that isn't known has its keys read again. Every request
goes through the guard against private networks (`outgoing`), bounded in time and size.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import structlog

from bursar.errors import BadRequest, OutgoingFailed, SignOnFailed
from bursar.identity.sign_on.id_token import Expected, UnknownSigner, read_id_token, read_keys
from bursar.identity.sign_on.person import lacks
from bursar.identity.sign_on.protocol import authorization_url, token_request
from bursar.identity.sign_on.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from joserfc.jwk import KeySet

    from bursar.identity.sign_on.flow import Flow
    from bursar.identity.sign_on.party import RelyingParty
    from bursar.outgoing import Answer, Outgoing

DISCOVERY = "/.well-known/openid-configuration"
METADATA_SECONDS, KEYS_SECONDS = 600.0, 600.0
"""For how long it is believed. A key that the provider takes back counts here for ten minutes at most."""
RENEWED_AFTER_SECONDS = 5.0
"""Keys read more lately than that are not read again for a key that isn't among them."""
_OK = 200
_JSON = {"Accept": "application/json"}
_BASIC, _POST, _NONE = "client_secret_basic", "client_secret_post", "none"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery 1.0, 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    token_auth_methods: tuple[str, ...]
    names_itself: bool
    """Whether every callback carries `iss` (RFC 9207)."""


class Provider:
    """The provider that one relying party trusts; use from the event loop."""

    def __init__(self, party: RelyingParty, outgoing: Outgoing) -> None:
        """Ask nothing yet."""
        self._party = party
        self._outgoing = outgoing
        self._metadata = Remembered(self._discover, METADATA_SECONDS)
        self._keys = Remembered(self._read_keys, KEYS_SECONDS)

    async def login_url(self, flow: Flow) -> str:
        """Where a browser goes to log in.

        Raises:
            OutgoingFailed: the provider doesn't answer as it should.
        """
        metadata = await self._metadata.value()
        return authorization_url(metadata.authorization_endpoint, self._party, flow)

    async def refuse_other_issuer(self, issuer: str | None) -> None:
        """Refuse a callback that another provider sent (RFC 9207).

        Raises:
            SignOnFailed: it is of another one, or of none though this one names itself.
            OutgoingFailed: the provider doesn't answer as it should.
        """
        metadata = await self._metadata.value()
        if issuer != self._party.issuer and (issuer is not None or metadata.names_itself):
            message = "This answer came from another provider than the one that was asked."
            raise SignOnFailed(message)

    async def redeem(self, code: str, flow: Flow, now: datetime) -> dict[str, Any]:
        """What the provider says of the person who logged in, for the code that it gave them.

        Raises:
            SignOnFailed: the code doesn't count (any more), or the ID token doesn't.
            OutgoingFailed: the provider doesn't answer as it should.
        """
        metadata = await self._metadata.value()
        tokens = await self._exchange(metadata, code, flow)
        access_token = tokens.get("access_token")
        given = access_token if isinstance(access_token, str) else None
        expected = Expected(self._party.issuer, self._party.client_id, flow.nonce, flow.started_at, given)
        claims = await self._read(tokens.get("id_token"), expected, now)
        if metadata.userinfo_endpoint and given and lacks(claims, self._party.entry):
            more = await self._userinfo(metadata.userinfo_endpoint, given, claims["sub"])
            # What is signed comes first.
            return {**more, **claims}
        return claims

    async def _read(self, token: object, expected: Expected, now: datetime) -> dict[str, Any]:
        if not isinstance(token, str):
            message = "The provider gave no ID token; it needs the scope `openid`."
            raise SignOnFailed(message)
        try:
            return read_id_token(token, await self._keys.value(), expected, now)
        except UnknownSigner:
            keys = await self._keys.value(older_than_seconds=RENEWED_AFTER_SECONDS)
        try:
            return read_id_token(token, keys, expected, now)
        except UnknownSigner as error:
            message = "The provider's ID token is signed by a key that it doesn't publish."
            raise SignOnFailed(message) from error

    async def _exchange(self, metadata: Metadata, code: str, flow: Flow) -> dict[str, Any]:
        method = _auth_method(self._party.client_secret, metadata.token_auth_methods)
        headers, body = token_request(self._party, method, code, flow.verifier)
        answer = await self._ask("POST", metadata.token_endpoint, headers, body)
        if answer.status == _OK:
            return _object_of(answer)
        reason = _reason_of(answer)
        log.warning("the provider refused a code", status=answer.status, reason=reason)
        if reason == "invalid_grant":
            message = "The provider doesn't take this login's code: it was used, or is too old. Begin again."
            raise SignOnFailed(message)
        raise OutgoingFailed(f"The provider didn't give out tokens: {reason or answer.status}.")

    async def _userinfo(self, url: str, access_token: str, subject: object) -> dict[str, Any]:
        answer = await self._ask("GET", url, {"Authorization": f"Bearer {access_token}"})
        if answer.status != _OK:
            raise OutgoingFailed(f"The provider's UserInfo endpoint answered {answer.status}.")
        found = _object_of(answer)
        # OpenID Connect Core 5.3.2: or it may be about somebody else.
        if found.get("sub") != subject:
            message = "The provider's UserInfo endpoint told of somebody else than the ID token."
            raise SignOnFailed(message)
        return found

    async def _discover(self) -> Metadata:
        answer = await self._ask("GET", self._party.issuer.rstrip("/") + DISCOVERY)
        if answer.status != _OK:
            raise OutgoingFailed(f"The provider's discovery document answered {answer.status}.")
        return _read_metadata(_object_of(answer), self._party.issuer)

    async def _read_keys(self) -> KeySet:
        answer = await self._ask("GET", (await self._metadata.value()).jwks_uri)
        entries = _object_of(answer).get("keys") if answer.status == _OK else None
        keys = read_keys(cast("list[object]", entries)) if isinstance(entries, list) else None
        if not keys:
            message = "The provider publishes no key that signs by an algorithm that is taken here."
            raise OutgoingFailed(message)
        return keys

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        try:
            return await self._outgoing.ask(method, url, {**_JSON, **(headers or {})}, body)
        except BadRequest as error:
            # Whoever logs in has named no URL: the operator and the provider have.
            raise OutgoingFailed(f"The provider can't be asked: {error.detail}") from error


def _read_metadata(found: dict[str, Any], issuer: str) -> Metadata:
    if found.get("issuer") != issuer:
        message = "The provider's discovery document names another issuer than BURSAR_OIDC_ISSUER."
        raise OutgoingFailed(message)
    methods = found.get("token_endpoint_auth_methods_supported", [_BASIC])
    return Metadata(
        authorization_endpoint=_endpoint(found, "authorization_endpoint", issuer),
        token_endpoint=_endpoint(found, "token_endpoint", issuer),
        jwks_uri=_endpoint(found, "jwks_uri", issuer),
        userinfo_endpoint=_endpoint(found, "userinfo_endpoint", issuer)
        if "userinfo_endpoint" in found
        else None,
        token_auth_methods=tuple(map(str, methods)) if isinstance(methods, list) else (_BASIC,),  # pyright: ignore[reportUnknownArgumentType]
        names_itself=found.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(found: dict[str, Any], name: str, issuer: str) -> str:
    """An endpoint that is asked by TLS, as the issuer itself is."""
    url = found.get(name)
    schemes = {"https", urlsplit(issuer).scheme}
    if isinstance(url, str) and url.isprintable() and urlsplit(url).scheme in schemes and " " not in url:
        return url
    raise OutgoingFailed(f"The provider's discovery document has no usable {name}.")


def _auth_method(secret: str | None, methods: tuple[str, ...]) -> str:
    if secret is None:
        return _NONE
    return _POST if _POST in methods and _BASIC not in methods else _BASIC


def _object_of(answer: Answer) -> dict[str, Any]:
    try:
        found: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        message = "The provider's answer is no JSON object."
        raise OutgoingFailed(message)
    return cast("dict[str, Any]", found)


def _reason_of(answer: Answer) -> str:
    """The provider's own word (RFC 6749, 5.2), if it is one."""
    try:
        word = _object_of(answer).get("error")
    except OutgoingFailed:
        return ""
    return word if isinstance(word, str) and word.isidentifier() else ""
