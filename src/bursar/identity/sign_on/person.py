"""Who somebody is by what the provider says of them, as far as it matters here. Pure.

An address counts only if the provider has verified it, and only in the domains that are let in. It never says
who somebody is: that is the pair of issuer and subject, which the provider gives to nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bursar.errors import SignOnRefused
from bursar.identity.tenant import is_name
from bursar.identity.users.user import is_email, normal_email

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.identity.sign_on.party import Entry

SUBJECT_LIMIT = 255
"""OpenID Connect Core 2: at most 255 ASCII characters."""
GROUPS_LIMIT = 2000
"""More groups than any provider lists; what is beyond is not looked at."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom the provider knows."""

    issuer: str
    subject: str
    email: str
    """Verified there, as `normal_email` writes it."""
    name: str
    groups: frozenset[str]


def lacks(claims: Mapping[str, Any], entry: Entry) -> bool:
    """Whether something is missing that the provider may tell elsewhere (its UserInfo endpoint)."""
    has_groups = not entry.mapping.by_group or _find(claims, entry.groups_claim) is not None
    return not ("email" in claims and "email_verified" in claims and has_groups)


def read_person(claims: Mapping[str, Any], entry: Entry) -> Person:
    """Who that is.

    Raises:
        SignOnRefused: no subject or address that can be kept, one that isn't verified, or of another domain.
    """
    subject, email = claims.get("sub"), claims.get("email")
    if not (isinstance(subject, str) and 0 < len(subject) <= SUBJECT_LIMIT and _is_plain(subject)):
        raise SignOnRefused("The provider gives no subject (`sub`) that can be kept.")
    if not isinstance(email, str) or not is_email(address := normal_email(email)):
        raise SignOnRefused("The provider tells no e-mail address; it needs the scope `email`.")
    # Some providers write truth as a text.
    verified = claims.get("email_verified")
    if verified is not True and verified != "true":
        raise SignOnRefused("The provider has not verified this e-mail address.")
    domain = address.rpartition("@")[2]
    if entry.email_domains and domain not in entry.email_domains:
        raise SignOnRefused(f"Addresses of {domain} are not let in.")
    return Person(str(claims["iss"]), subject, address, _name_of(claims, address), _groups_of(claims, entry))


def _name_of(claims: Mapping[str, Any], email: str) -> str:
    for claim in ("name", "preferred_username"):
        name = claims.get(claim)
        if isinstance(name, str) and is_name(name) and name.isprintable():
            return name
    return email


def _groups_of(claims: Mapping[str, Any], entry: Entry) -> frozenset[str]:
    found = _find(claims, entry.groups_claim)
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list):
        return frozenset()
    some = cast("list[object]", listed)[:GROUPS_LIMIT]
    return frozenset(one for one in some if isinstance(one, str))


def _find(claims: Mapping[str, Any], name: str) -> object:
    """A claim by its whole name, else along the dots in it."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        if not isinstance(found, dict):
            return None
        found = cast("dict[str, object]", found).get(part)
    return found


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
