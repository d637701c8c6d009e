"""Single sign-on wired together: from the settings to the provider, and to the users whom it vouches for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.app.logins import local_url
from bursar.identity.sign_on.admission import Admission
from bursar.identity.sign_on.api import SignOn
from bursar.identity.sign_on.mapping import MappedRole, RoleMapping
from bursar.identity.sign_on.party import Entry, RelyingParty
from bursar.outgoing import Outgoing, Reach
from bursar.outgoing.transport import place_of
from bursar.storage.relational.provider_links import RelationalProviderLinks

if TYPE_CHECKING:
    from bursar.identity.audit.log import AuditLog
    from bursar.identity.logins.logins import Logins
    from bursar.settings import Settings
    from bursar.storage.relational.engine import StateEngine

CALLBACK = "/api/v1/auth/oidc/callback"


def open_sign_on(settings: Settings, engine: StateEngine, logins: Logins, audit: AuditLog) -> SignOn | None:
    """Single sign-on, if the operator has named a provider; nothing is asked of it yet."""
    issuer, client_id, secret = (
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
    )
    if issuer is None or client_id is None:
        return None
    from bursar.identity.sign_on.provider import Provider  # noqa: PLC0415 - authlib is slow to import

    party = RelyingParty(
        issuer,
        client_id,
        (settings.public_url or local_url(settings)).rstrip("/") + CALLBACK,
        entry_of(settings),
        None if secret is None else secret.get_secret_value(),
        settings.oidc_scopes,
    )
    # The operator has named this server. What it refers to elsewhere is judged like any URL.
    own = frozenset({place_of(issuer)})
    provider = Provider(party, Outgoing(Reach(settings.outgoing_networks), own=own))
    admission = Admission(party.entry, RelationalProviderLinks(engine), logins, audit.record)
    return SignOn(party, provider, admission, logins.keys)


def entry_of(settings: Settings) -> Entry:
    """Who may come in, and as what."""
    by_group = tuple((one.group, MappedRole(*one.role)) for one in settings.oidc_role_mapping)
    default = settings.oidc_default_role
    return Entry(
        settings.oidc_tenant,
        RoleMapping(by_group, None if default is None else MappedRole(*default)),
        settings.oidc_groups_claim,
        settings.oidc_email_domains,
        settings.oidc_link_by_email,
    )
