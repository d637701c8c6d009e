"""Single sign-on at an OpenID provider: which one, and which of its groups come in as what.

Passwords and how long sessions last are `access.py`. Nothing is asked of the provider at start.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from bursar.settings.networks import is_loopback, split_list
from bursar.settings.secret_values import KEY_FORM, Key
from bursar.settings.spelling import Group, Spelling, clash

if TYPE_CHECKING:
    from bursar.errors import Reason

ISSUER_FORM = "the provider's URL as it writes itself in its tokens, such as https://login.example.com/realm"
MAPPING_FORM = (
    "group=role, or group=role@project, separated by commas, such as finance=analyst, web=member@shop"
)
ROLE_FORM = "a role, or role@project, such as viewer"
SCOPES_FORM = "words separated by spaces, openid among them"
DOMAINS_FORM = "domains separated by commas, such as example.com, example.org"
_ROLE = re.compile(r"(?P<role>[a-z][a-z0-9_-]{0,63})(@(?P<project>[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}))?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,187}[a-z0-9])?")
_NEVER_FOR_ALL = "owner"


class RoleName(NamedTuple):
    """A role, in the whole tenant or in one project."""

    role: str
    project_id: str | None = None

    def __str__(self) -> str:
        """As it is written."""
        return self.role if self.project_id is None else f"{self.role}@{self.project_id}"


class GroupRole(NamedTuple):
    """A group of the provider, and what it is here."""

    group: str
    role: RoleName

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.group}={self.role}"


def _read_role(given: object) -> object:
    if not isinstance(given, str):
        return given
    found = _ROLE.fullmatch(given.strip())
    if found is None:
        message = "no role"
        raise ValueError(message)
    return RoleName(found["role"], found["project"])


def _read_mapping(given: object) -> object:
    if not isinstance(given, str):
        return given
    pairs = [item.rpartition("=") for item in given.split(",") if item.strip()]
    if not all(group.strip() and ";" not in group for group, _, _ in pairs):
        message = "a role without a group, or another mark than commas between"
        raise ValueError(message)
    return tuple(GroupRole(group.strip(), _read_role(role)) for group, _, role in pairs)  # pyright: ignore[reportArgumentType]


def _check_issuer(issuer: str) -> str:
    parts = urlsplit(issuer)
    is_plain = not (parts.query or parts.fragment or "@" in parts.netloc) and parts.hostname
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not (is_plain and is_safe and issuer.isprintable()):
        message = "no issuer"
        raise ValueError(message)
    return issuer


def _check_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    if "openid" not in scopes or not all(re.fullmatch(r"[!#-\[\]-~]+", one) for one in scopes):
        message = "not the scopes of OpenID"
        raise ValueError(message)
    return scopes


def _check_domains(domains: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(domain.lower() for domain in domains)
    if not all(_DOMAIN.fullmatch(domain) for domain in found):
        message = "no domain"
        raise ValueError(message)
    return found


class SignOn(Group):
    """Single sign-on at one OpenID provider."""

    oidc_issuer: Annotated[Annotated[str, AfterValidator(_check_issuer)] | None, Spelling(ISSUER_FORM)] = None
    """OpenID provider at which people log in (`/api/v1/auth/oidc/login`). Without it there is no single
    sign-on. Plain http only on this very machine."""
    oidc_client_id: Annotated[
        Annotated[str, Field(pattern=r"^[!-~]{1,256}$")] | None, Spelling("printable ASCII without spaces")
    ] = None
    """What the provider calls this Bursar. Register `<BURSAR_PUBLIC_URL>/api/v1/auth/oidc/callback` there."""
    oidc_client_secret: Annotated[Key | None, Spelling(KEY_FORM)] = None
    """The secret for it; without one Bursar is a public client, protected by PKCE alone."""
    oidc_scopes: Annotated[
        Annotated[tuple[str, ...], AfterValidator(_check_scopes), BeforeValidator(split_list)],
        Spelling(SCOPES_FORM),
    ] = ("openid", "profile", "email")
    """What is asked for. Some providers tell groups only with a scope of its own, such as `groups`."""
    oidc_groups_claim: Annotated[str, Spelling("a claim's name, such as groups or realm_access.roles")] = (
        Field(default="groups", pattern=r"^[!-~]{1,256}$")
    )
    """The claim that lists somebody's groups, of the ID token or the UserInfo endpoint; dots lead inside."""
    oidc_tenant: Annotated[str, Spelling("a tenant's id")] = Field(
        default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"
    )
    """The tenant whose users those are who come in by it."""
    oidc_role_mapping: Annotated[
        Annotated[tuple[GroupRole, ...], BeforeValidator(_read_mapping)], Spelling(MAPPING_FORM)
    ] = ()
    """Which groups have which roles. At each login the roles that came from groups are made equal to it."""
    oidc_default_role: Annotated[
        Annotated[RoleName, BeforeValidator(_read_role)] | None, Spelling(ROLE_FORM)
    ] = None
    """The role of those whose groups give none. Without it they are refused. Never `owner`."""
    oidc_email_domains: Annotated[
        Annotated[tuple[str, ...], AfterValidator(_check_domains), BeforeValidator(split_list)],
        Spelling(DOMAINS_FORM),
    ] = ()
    """Let in addresses of these domains only. Addresses must be verified by the provider in any case."""
    oidc_link_by_email: bool = False
    """Whether somebody with the verified address of a user that exists comes in as that user from then on.
    Only where nobody else can get a verified address of yours at the provider."""


def incomplete_sign_on(settings: SignOn) -> list[Reason]:
    """What is missing for single sign-on, or would let everybody do everything."""
    reasons: list[Reason] = []
    if settings.oidc_issuer is not None and settings.oidc_client_id is None:
        reasons.append(clash("oidc_client_id", "is needed with BURSAR_OIDC_ISSUER"))
    if settings.oidc_issuer is not None and not (settings.oidc_role_mapping or settings.oidc_default_role):
        reasons.append(
            clash("oidc_role_mapping", "or BURSAR_OIDC_DEFAULT_ROLE is needed, or nobody comes in")
        )
    if settings.oidc_default_role is not None and settings.oidc_default_role.role == _NEVER_FOR_ALL:
        reasons.append(clash("oidc_default_role", "can't be owner: map a group to it by name"))
    return reasons
