"""What OAuth 2 writes into URLs and bodies, by authlib: the way to the provider, and the request for tokens.

Only its text is used: requests are made by `provider.py`, whose client is bounded and guarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from authlib.oauth2 import auth, rfc7636
from authlib.oauth2.rfc6749 import parameters

if TYPE_CHECKING:
    from bursar.identity.sign_on.flow import Flow
    from bursar.identity.sign_on.party import RelyingParty

FORM = "application/x-www-form-urlencoded"
# authlib has no types.
_auth: Any = auth
_parameters: Any = parameters
_pkce: Any = rfc7636


def authorization_url(endpoint: str, party: RelyingParty, flow: Flow) -> str:
    """Where a browser goes to log in: the authorization code flow with PKCE, S256 (RFC 7636)."""
    return str(
        _parameters.prepare_grant_uri(
            endpoint,
            client_id=party.client_id,
            response_type="code",
            redirect_uri=party.redirect_url,
            scope=list(party.scopes),
            state=flow.state,
            nonce=flow.nonce,
            code_challenge=_pkce.create_s256_code_challenge(flow.verifier),
            code_challenge_method="S256",
        )
    )


def token_request(
    party: RelyingParty, auth_method: str, code: str, verifier: str
) -> tuple[dict[str, str], bytes]:
    """Headers and body of the request for tokens (RFC 6749, 4.1.3)."""
    headers = {"Content-Type": FORM}
    body = _parameters.prepare_token_request(
        "authorization_code", redirect_uri=party.redirect_url, code=code, code_verifier=verifier
    )
    client_id, secret = party.client_id, party.client_secret
    if auth_method == "client_secret_basic":
        # RFC 6749, 2.3.1: encoded as in a form before they are joined by a colon.
        client_id, secret = quote(client_id, safe=""), quote(secret or "", safe="")
    client = _auth.ClientAuth(client_id, secret, auth_method)
    _url, sent, content = client.prepare("POST", "", headers, body)
    return dict(sent), str(content).encode()
